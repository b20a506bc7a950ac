"""How far an answer is proof that its agent was the right one. Called by ``policy``.

An agent that cannot do a task says so in some fleets, and answers all the same in others: then an answer that nobody
judged tells nothing, and whoever is asked most looks best. What tells the two apart is how those fare whose cards do
not claim a task and who never did one like it. Where they succeed as often as anybody, an answer counts as much as the
card speaks for its agent; where they mostly fail, it counts whole. Failures always count, and what people say replaces
both.
"""

import math

NEARNESS_UNCLAIMED = 0.3
"""Cosine of the card: below it, the agent does not claim the task."""
EVEN_NEARNESS, NEARNESS_SLOPE = 0.4, 10.0
"""A card as near as this is as likely right as wrong; log odds for each unit of cosine beyond."""
UNKNOWN_CLAIM = 0.5
USUAL_MEMORY, STRANGERS_MEMORY = 1_000.0, 100.0
"""After so many later outcomes of its sort one counts e-fold less."""
IMAGINED_STRANGERS = 4.0
"""Until strangers were tried they are thought to do as well as everybody."""
BEST_SUCCESS = 0.95
FULL_GAP = 0.6
"""Where strangers fall short of the best by this share of it, answers are trusted whole."""


def claim(nearness: float | None) -> float:
    """How likely the agent is right by its card alone, 0 to 1. None: it is not known how near the card is."""
    if nearness is None:
        return UNKNOWN_CLAIM
    return 1.0 / (1.0 + math.exp(-NEARNESS_SLOPE * (nearness - EVEN_NEARNESS)))


class Trust:
    """Counts how strangers fare beside the others. For one thread at a time."""

    def __init__(self) -> None:
        self._usual = (2.0, 4.0)  # successes, steps
        self._strangers = (0.0, 0.0)

    def hear(self, success: float, *, stranger: bool) -> None:
        """One step of which nobody but the agent has said yet how it went, ``success`` 0 to 1."""
        self._usual = _faded(self._usual, success, USUAL_MEMORY)
        if stranger:
            self._strangers = _faded(self._strangers, success, STRANGERS_MEMORY)

    @property
    def share(self) -> float:
        """0: an answer says nothing beyond the card; 1: it says all."""
        usual = self._usual[0] / self._usual[1]
        successes, steps = self._strangers
        strangers = (successes + IMAGINED_STRANGERS * usual) / (steps + IMAGINED_STRANGERS)
        return min(1.0, max(0.0, 1.0 - strangers / BEST_SUCCESS) / FULL_GAP)


def _faded(counts: tuple[float, float], success: float, memory: float) -> tuple[float, float]:
    kept = 1.0 - 1.0 / memory
    return counts[0] * kept + success, counts[1] * kept + 1.0
