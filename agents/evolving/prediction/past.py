"""The network that did a past task, as learning sees it. Used by every module of the prediction."""

from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PastGraph:
    """One task's network by rows of the catalogue: agents in order of work, and who hands over to whom."""

    agents: tuple[int, ...]
    edges: tuple[Pair, ...]

    def orders(self) -> list[Pair]:
        """Every pair that stands in this order."""
        return [(one, other) for place, one in enumerate(self.agents) for other in self.agents[place + 1 :]]
