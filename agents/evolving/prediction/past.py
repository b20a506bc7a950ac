"""The network that did a past task, as learning sees it. Used by every module of the prediction."""

from dataclasses import dataclass

Pair = tuple[int, int]
Step = tuple[int, str]


@dataclass(frozen=True, slots=True)
class PastGraph:
    """One task's network by rows of the catalogue: agents in order of work, and who hands over to whom.

    ``steps`` says, where it is known, what an agent was asked: (agent, words). An agent may have several, or none.
    """

    agents: tuple[int, ...]
    edges: tuple[Pair, ...]
    steps: tuple[Step, ...] = ()

    def orders(self) -> list[Pair]:
        """Every pair that stands in this order."""
        return [(one, other) for place, one in enumerate(self.agents) for other in self.agents[place + 1 :]]
