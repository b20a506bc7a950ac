"""Who is tried, and how likely: bounded Thompson sampling with exact propensities. Called by ``ranker``.

Thompson 1933: an agent is tried with the probability that it is the best one, as far as is known. Computed, not drawn:
the chance that its success, normally distributed around its estimate, is the largest. The best agent keeps at least
1 - ``bound`` of the tasks; the others share what exploration gets by their probability of being the best.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from schemas.policy_state import EXPLORATION_FLOOR

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

GRID = 48
IMAGINED = 8.0
"""Outcomes that the estimate of a known agent is worth at a kind of task that it never did."""
NEWCOMER_STEPS = 3.0


def best_probabilities(chances: Floats, amount: Floats, steps: Floats | None = None) -> Numbers:
    """(candidates,) the probability of each to be the best. ``amount`` of evidence makes a chance certain.

    ``steps`` are those that an agent ever did: of a newcomer nothing is certain yet, and so it is tried.
    """
    mean = chances.astype(np.float64)
    imagined = IMAGINED if steps is None else IMAGINED * steps / (steps + NEWCOMER_STEPS)
    spread = np.sqrt(mean * (1.0 - mean) / (amount + imagined + 1.0)) + 1e-3
    # The best one lies above the highest lower end: below it nothing can win.
    low, high = float((mean - 4 * spread).max()), float((mean + 4 * spread).max())
    grid = np.linspace(low, high, GRID)
    below = np.maximum(ndtr((grid[:, None] - mean) / spread), 1e-12)
    together = below.prod(axis=1, keepdims=True)
    # Each one's own mass between two points of the grid, times the chance that all others lie below.
    mass = np.diff(below, axis=0, prepend=0.0)
    wins = (mass * together / below).sum(axis=0)
    shares: Numbers = wins / wins.sum()
    return shares


def affordable(bound: float, chance: float) -> float:
    """The bound for a task that the best agent does with this ``chance``: less of it where there is less to gain.

    The whole bound up to an even chance, the floor where success is sure: what nobody else ever tries cannot be judged.
    """
    return max(min(bound, EXPLORATION_FLOOR), bound * min(1.0, 2.0 * (1.0 - chance)))


def propensities(best: Numbers, bound: float) -> Numbers:
    """(candidates,) of being put first, the first candidate being the best known. They sum to 1."""
    others = 1.0 - best[0]
    explored = min(bound, others) if len(best) > 1 and others > 0 else 0.0
    shares = best * (explored / others) if explored else np.zeros_like(best)
    shares[0] = 1.0 - explored
    return shares


def shortlisted(best: Numbers, limit: int) -> list[int]:
    """At most so many places, in their order: half of them the first, the others those likeliest to be the best."""
    if len(best) <= limit:
        return list(range(len(best)))
    first = (limit + 1) // 2
    likeliest = first + np.argsort(-best[first:], kind="stable")[: limit - first]
    return [*range(first), *sorted(int(place) for place in likeliest)]


def hopeful_third(best: Numbers) -> list[int]:
    """All places, the third being whoever of the others is likeliest to be the best: it stands in when two have failed.

    Whoever fails tells little; a task that is lost to the best two anyway is what trying somebody costs least on.
    """
    places = list(range(len(best)))
    if len(best) > 3:
        places.insert(2, places.pop(2 + int(best[2:].argmax())))
    return places


def drawn(shares: Numbers, ticket: float) -> int:
    """The place that the ticket, uniform in [0, 1), draws: the others come first, so that a small one explores."""
    ends = shares[1:].cumsum()
    place = int(np.searchsorted(ends, ticket, side="right"))
    return place + 1 if place < len(ends) else 0
