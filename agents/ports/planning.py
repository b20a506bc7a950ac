"""From a perceived task to a plan. Asked by `journey` and by explain; kept and refined plans come the same way."""

from dataclasses import dataclass
from typing import Protocol

from schemas.candidate import Candidate, Excluded, MatchReport
from schemas.network import Plan
from schemas.task import TaskSubmitted
from tensor_layer.ports import Perceived


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the match reports it was made from (one for each goal)."""

    plan: Plan
    matches: tuple[MatchReport, ...]
    match_ms: float = 0.0
    plan_ms: float = 0.0

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All candidates of all goals, best first, each agent once."""
        best: dict[str, Candidate] = {}
        for report in self.matches:
            for candidate in report.candidates:
                if candidate.agent_id not in best or candidate.score > best[candidate.agent_id].score:
                    best[candidate.agent_id] = candidate
        return tuple(sorted(best.values(), key=lambda c: -c.score))

    @property
    def policy(self) -> str:
        """The version of the ranking policy that decided."""
        return self.matches[0].policy if self.matches else "cosine-1"

    @property
    def exploratory(self) -> bool:
        """Whether somebody else than the best known was put first, to learn."""
        found = (report.candidates for report in self.matches if not report.abstained)
        return any(few[0].probability < max(one.probability for one in few) for few in found if few)

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """Who was not eligible."""
        return tuple({e.agent_id: e for report in self.matches for e in report.excluded}.values())


class Planner(Protocol):
    """Turns a perceived task into a validated plan."""

    async def plan(self, task: TaskSubmitted, perceived: Perceived) -> Planned:
        """Raises NoAgentFits, NoNetworkFits."""
        ...
