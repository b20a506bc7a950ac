"""``aos bench network``: the searches side by side on synthetic fleets. Called by the command line; prints nothing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agents.evolving import exhaustive
from agents.evolving.decoding import is_valid
from agents.evolving.evaluation.synthetic import made_up
from agents.evolving.genetic import GeneticSearch
from agents.evolving.genome import Population
from agents.evolving.greedy_search import GreedySearch
from agents.evolving.objectives import Preference, Problem
from agents.evolving.policy_gradient import PolicyGradientSearch
from agents.evolving.random_search import RandomSearch
from agents.evolving.searching import Found, NetworkSearch

SAME = 1e-9
Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """One search on one problem. ``cpu_ms`` is the process's own time: it does not count who else was running."""

    worth: float
    evaluations: int
    wall_ms: float
    cpu_ms: float
    valid: float
    history: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All searches on the problem of one seed; ``best`` is the optimum, or the best that anyone found."""

    genetic: Trial
    greedy: Trial
    random: Trial
    policy_gradient: Trial
    best: float
    optimum: float | None
    networks: int | None


def budget_for(agents: int) -> int:
    """Evaluations that a fleet of so many agents deserves: found on problems of other seeds than the reported ones.

    A small fleet gets enough to be sure of its optimum; larger ones what fits their time.
    """
    return 8000 if agents <= exhaustive.OFFERS_MAX else 1000 + 220 * agents


def compare(agents: int, seed: int, preference: Preference, evaluations: int) -> Comparison:
    """Every search on the same problem with the same number of evaluations; greedy stops when nothing helps it."""
    problem, _ = made_up(agents, seed, preference)
    greedy, first = _tried(GreedySearch(), problem, None, evaluations, seed)
    genetic = _from_greedy(problem, greedy, first, evaluations, seed)
    random, _ = _tried(RandomSearch(), problem, None, evaluations, seed)
    gradient, _ = _tried(PolicyGradientSearch(), problem, None, evaluations, seed)
    optimum, networks = None, None
    if exhaustive.feasible(problem.space):
        optimum, _, networks = exhaustive.optimum(problem)
    found = max(trial.worth for trial in (genetic, greedy, random, gradient))
    return Comparison(genetic, greedy, random, gradient, found if optimum is None else optimum, optimum, networks)


def report(
    agents: int, seeds: Sequence[int], preference: Preference, evaluations: int, tell: Tell
) -> dict[str, object]:
    """The figures of ``aos bench network``: the genetic search at the top level, the others by name."""
    compare(agents, seeds[0], preference, min(evaluations, 200))  # warms numpy up: the first call is not the usual one
    done: list[Comparison] = []
    for seed in seeds:
        done.append(compare(agents, seed, preference, evaluations))
        tell(len(done), len(seeds))
    genetic = [one.genetic for one in done]
    figures: dict[str, object] = {"agents": agents, "seeds": len(seeds), "preference": preference.value}
    figures |= {"evaluations": evaluations, **_figures(genetic, done)}
    figures |= {
        "better_than_greedy": _share([one.genetic.worth > one.greedy.worth + SAME for one in done]),
        "better_than_random": _share([one.genetic.worth > one.random.worth + SAME for one in done]),
        "better_than_policy_gradient": _share([one.genetic.worth > one.policy_gradient.worth + SAME for one in done]),
        "at_least_greedy": _share([one.genetic.worth >= one.greedy.worth - SAME for one in done]),
        "at_least_random": _share([one.genetic.worth >= one.random.worth - SAME for one in done]),
        "greedy": _figures([one.greedy for one in done], done),
        "random": _figures([one.random for one in done], done),
        "policy_gradient": _figures([one.policy_gradient for one in done], done),
        "exhaustive": _exhaustive(done),
        "regret_against": "best of all searches" if done[0].optimum is None else "exhaustive optimum",
    }
    return figures


def _tried(
    search: NetworkSearch, problem: Problem, seeds: Population | None, evaluations: int, seed: int
) -> tuple[Trial, Population]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = search.search(problem, seeds, evaluations, seed)
    wall_ms, cpu_ms = (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3
    trial = Trial(found.worth, found.evaluations, wall_ms, cpu_ms, _valid_share(problem, found), found.history)
    return trial, found.best


def _from_greedy(problem: Problem, greedy: Trial, first: Population, evaluations: int, seed: int) -> Trial:
    """The genetic search starts from the greedy network: what that cost comes off its budget and onto its time.

    Where greed takes more than half of a small budget, it is stopped there.
    """
    if greedy.evaluations > evaluations // 2:
        greedy, first = _tried(GreedySearch(), problem, None, evaluations // 2, seed)
    genetic, _ = _tried(GeneticSearch(), problem, first, evaluations - greedy.evaluations, seed)
    return _with_start(genetic, greedy)


def _with_start(genetic: Trial, start: Trial) -> Trial:
    return Trial(
        genetic.worth,
        genetic.evaluations + start.evaluations,
        genetic.wall_ms + start.wall_ms,
        genetic.cpu_ms + start.cpu_ms,
        genetic.valid,
        genetic.history,
    )


def _valid_share(problem: Problem, found: Found) -> float:
    """Of the best and the front: how many the planner's own type check and the message's validator accept."""
    everyone = found.best.joined(found.front)
    return _share([is_valid(problem.space, everyone.take(slice(row, row + 1))) for row in range(len(everyone))])


def _figures(trials: Sequence[Trial], done: Sequence[Comparison]) -> dict[str, object]:
    regret = [one.best - trial.worth for one, trial in zip(done, trials, strict=True)]
    best_share = _share([one <= SAME for one in regret])
    return {
        "worth": round(float(np.mean([trial.worth for trial in trials])), 6),
        "regret": round(float(np.mean(regret)), 6) + 0.0,  # never -0.0
        "best_share": best_share,
        "optimum_share": None if any(one.optimum is None for one in done) else best_share,
        "evaluations_used": round(float(np.mean([trial.evaluations for trial in trials]))),
        "ms": _percentiles([trial.wall_ms for trial in trials]),
        "cpu_ms": _percentiles([trial.cpu_ms for trial in trials]),
        "valid_share": round(float(np.mean([trial.valid for trial in trials])), 6),
    }


def _exhaustive(done: Sequence[Comparison]) -> dict[str, object]:
    optima = [one.optimum for one in done if one.optimum is not None]
    if not optima:
        return {"feasible": False}
    networks = [one.networks for one in done if one.networks is not None]
    return {"feasible": True, "worth": round(float(np.mean(optima)), 6), "networks": round(float(np.mean(networks)))}


def _percentiles(ms: Sequence[float]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(ms, share)), 2) for share in (50, 95)}


def _share(flags: Sequence[bool]) -> float:
    return round(float(np.mean(flags)), 6)
