"""What any search has to beat: type-correct networks drawn at random. Called by ``evaluation``."""

import numpy as np

from agents.evolving.genome import Population
from agents.evolving.objectives import Objectives, Problem
from agents.evolving.searching import Found, filled
from agents.evolving.survival import distinct, fronts

CHUNK = 500


class RandomSearch:
    """Implements ``searching.NetworkSearch`` by drawing: type-correct networks of all sizes, the best is kept."""

    def search(self, problem: Problem, seeds: Population | None, evaluations: int, seed: int) -> Found:
        """Deterministic for a given seed."""
        rng = np.random.default_rng(seed)
        kept, scores, history, done = None, None, list[float](), 0
        while done < evaluations:
            size = min(CHUNK, evaluations - done)
            fresh = filled(problem, seeds if kept is None else None, size, rng)
            scored = problem.objectives(fresh)
            if kept is not None and scores is not None:
                fresh, scored = kept.joined(fresh), scores.joined(scored)
            kept, scores = front_and_best(fresh, scored)
            history.append(float(scores.worth[0]))
            done += size
        assert kept is not None
        assert scores is not None
        return found_in(kept, scores, done, tuple(history))


def found_in(population: Population, objectives: Objectives, evaluations: int, history: tuple[float, ...]) -> Found:
    """The outcome of a search that ended with these networks."""
    kept, scores = front_and_best(population, objectives)
    first = np.arange(1)
    return Found(kept.take(first), scores.rows(first), kept, scores, evaluations, history)


def front_and_best(population: Population, objectives: Objectives) -> tuple[Population, Objectives]:
    """The network of highest worth, then the others that nothing dominates."""
    rows = distinct(objectives)
    best = rows[np.argmax(objectives.worth[rows])]
    front = rows[fronts(objectives.to_minimise()[rows], 1)[0]]
    kept = np.concatenate(([best], front[front != best]))
    return population.take(kept), objectives.rows(kept)
