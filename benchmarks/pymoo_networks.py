"""The genetic search beside pymoo's NSGA-II, on the same synthetic fleets with as many evaluations.

    pip install pymoo==0.6.2
    python -m benchmarks.pymoo_networks --agents 12 --seeds 20 [--json]

pymoo gets what it is made for: NSGA-II over three objectives (Deb et al. 2002), with its own selection and survival. It
varies the same genomes by the same operators, and networks are repaired and scored by the same arrays, so that what
differs is the search. Its answer is the network of highest worth that it ever scored, as is ours.
"""

import argparse
import json
import time
from typing import Any

import numpy as np

from agents.evolving.evaluation.networks import budget_for
from agents.evolving.evaluation.synthetic import made_up
from agents.evolving.genetic import GeneticSearch
from agents.evolving.genome import Population
from agents.evolving.greedy_search import GreedySearch
from agents.evolving.objectives import Problem
from agents.evolving.searching import filled, valid_only
from agents.evolving.variation import Rates, crossed, mutated

SIZE = 100


def by_pymoo(problem: Problem, seeds: Population, evaluations: int, seed: int) -> float:
    """The highest worth that NSGA-II found."""
    # pymoo is no dependency of the project: whoever wants this comparison installs it.
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.crossover import Crossover
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.core.sampling import Sampling
    from pymoo.optimize import minimize

    rng, width, best = np.random.default_rng(seed), problem.space.slots, [-np.inf]
    rates, even = Rates(), np.full(len(problem.space), 1.0 / len(problem.space))

    def as_rows(population: Population) -> np.ndarray:
        return np.concatenate((population.slots, population.links), axis=1)

    def as_population(rows: np.ndarray) -> Population:
        whole = rows.astype(np.int64)
        return Population(whole[:, :width], whole[:, width:])

    class Networks(PymooProblem):  # type: ignore[misc] # pymoo has no types
        def __init__(self) -> None:
            super().__init__(n_var=2 * width, n_obj=3)

        def _evaluate(self, rows: np.ndarray, out: dict[str, Any], *_: object, **__: object) -> None:
            scores = problem.objectives(as_population(rows))
            best[0] = max(best[0], float(scores.worth.max()))
            out["F"] = scores.to_minimise()

    class Start(Sampling):  # type: ignore[misc]
        def _do(self, _problem: object, count: int, **__: object) -> np.ndarray:
            return as_rows(filled(problem, seeds, count, rng))

    class Cross(Crossover):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_parents=2, n_offsprings=1)

        def _do(self, _problem: object, parents: np.ndarray, **__: object) -> np.ndarray:
            mothers, fathers = (as_population(one) for one in parents)
            return as_rows(crossed(mothers, fathers, rates, rng))[None]

    class Change(Mutation):  # type: ignore[misc]
        def _do(self, _problem: object, rows: np.ndarray, **__: object) -> np.ndarray:
            changed = mutated(as_population(rows), even, rates, rng)
            whole = valid_only(problem, changed)
            return as_rows(filled(problem, whole, len(rows), rng))

    search = NSGA2(pop_size=SIZE, sampling=Start(), crossover=Cross(), mutation=Change(), eliminate_duplicates=False)
    minimize(Networks(), search, ("n_eval", evaluations), seed=seed, verbose=False)
    return best[0]


def compared(agents: int, seeds: int) -> dict[str, object]:
    """Both searches from the greedy network, on the problems of so many seeds."""
    ours, theirs, ours_ms, theirs_ms = [], [], list[float](), list[float]()
    for seed in range(seeds):
        problem, _ = made_up(agents, seed)
        greedy = GreedySearch().search(problem, None, budget_for(agents), seed)
        evaluations = budget_for(agents) - greedy.evaluations
        started = time.process_time()
        ours.append(GeneticSearch().search(problem, greedy.best, evaluations, seed).worth)
        ours_ms.append((time.process_time() - started) * 1e3)
        started = time.process_time()
        theirs.append(by_pymoo(problem, greedy.best, evaluations, seed))
        theirs_ms.append((time.process_time() - started) * 1e3)
    gain = np.subtract(ours, theirs)
    return {
        "agents": agents,
        "seeds": seeds,
        "evaluations": budget_for(agents),
        "genetic": {"worth": round(float(np.mean(ours)), 5), "cpu_ms_p50": round(float(np.median(ours_ms)), 1)},
        "pymoo_nsga2": {"worth": round(float(np.mean(theirs)), 5), "cpu_ms_p50": round(float(np.median(theirs_ms)), 1)},
        "genetic_better": round(float(np.mean(gain > 1e-9)), 3),
        "genetic_worse": round(float(np.mean(gain < -1e-9)), 3),
    }


def main() -> None:
    """Print the comparison."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--agents", type=int, default=12)
    reader.add_argument("--seeds", type=int, default=20)
    reader.add_argument("--json", action="store_true")
    given = reader.parse_args()
    figures = compared(given.agents, given.seeds)
    print(json.dumps(figures) if given.json else "\n".join(f"{name}: {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
