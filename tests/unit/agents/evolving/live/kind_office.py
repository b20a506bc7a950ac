"""A worker's planner of kinds, with the search in this process instead of over the bus."""

import asyncio
import re
from collections.abc import Callable, Sequence

import numpy as np

from agents.evolving.live.background import Background
from agents.evolving.live.binding import CardDigests
from agents.evolving.live.book import PlanBook
from agents.evolving.live.planner import KindPlanner, PolicyOf
from agents.evolving.live.refiner import refine
from agents.evolving.objectives import Preference
from agents.planning.pasts import Pasts
from agents.planning.planner import GreedyPlanner
from agents.ports.planning import Planned
from schemas.candidate import Candidate, MatchReport
from schemas.card import AgentCard, Cost, Liveness, NatsEndpoint, Skill
from schemas.experience import ExperienceRecord
from schemas.network import Network
from schemas.parts import Modality, Part, text_part
from schemas.percept import Percept
from schemas.refinement import RefineReply, RefineRequest
from schemas.task import RoutingHints, StepOutcome, TaskState, TaskSubmitted
from tensor_layer.ports import Perceived, Vector

WORDS = 256
THRESHOLD = 0.1


def card(
    agent: str, description: str, reads: str = "text", makes: str = "text", requires: str = "", **more
) -> AgentCard:
    kinds = {
        name: tuple(Modality(word) for word in text.split())
        for name, text in (("inputs", reads), ("outputs", makes), ("requires", requires))
    }
    skill = Skill(id="work", description=description, **kinds)
    return AgentCard(
        id=agent, version="1.0.0", description=description, skills=(skill,), endpoint=NatsEndpoint(), **more
    )


DEAR = Cost(per_call=10.0)


def vector_of(text: str) -> Vector:
    """(WORDS,) float32 unit-norm: which words occur."""
    vector = np.zeros(WORDS, dtype=np.float32)
    for word in re.findall(r"[a-z]{3,}", text.lower()):
        vector[sum(ord(letter) * 31**place for place, letter in enumerate(word[:6])) % WORDS] = 1.0
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


async def encode(texts: Sequence[str]) -> Vector:
    return np.stack([vector_of(text) for text in texts])


class Fleet:
    """Cards as a snapshot that is replaced when it changes, as the live fleet does it."""

    def __init__(self, *cards: AgentCard) -> None:
        self.present = {one.id: one for one in cards}
        self.dead: set[str] = set()

    def add(self, one: AgentCard) -> None:
        self.present = {**self.present, one.id: one}

    def remove(self, agent_id: str) -> None:
        self.present = {key: one for key, one in self.present.items() if key != agent_id}

    def cards(self, tenant: str) -> dict[str, AgentCard]:
        return self.present

    def liveness(self, tenant: str, agent_id: str) -> Liveness:
        return Liveness.DEAD if agent_id in self.dead else Liveness.ALIVE

    def version(self, tenant: str) -> int:
        return hash((id(self.present), frozenset(self.dead)))

    def load(self, tenant: str, agent_id: str) -> float:
        return 0.0


class Matcher:
    """Cosine of words; counts its calls."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.calls = fleet, 0

    def lot(self, task: TaskSubmitted) -> None:
        return None

    async def match(
        self, tenant: str, goal: str, vector: Vector, modalities, hints: RoutingHints, limit: int = 8, lot=None
    ) -> MatchReport:
        self.calls += 1
        found = [
            Candidate(agent_id=one.id, skill_id="work", score=float(vector @ vector_of(one.description)))
            for one in self.fleet.present.values()
            if one.id not in hints.exclude and one.id not in self.fleet.dead
        ]
        ranked = tuple(sorted(found, key=lambda candidate: (-candidate.score, candidate.agent_id))[:limit])
        abstained = not ranked or ranked[0].score < THRESHOLD
        return MatchReport(goal=goal, candidates=ranked, abstained=abstained, threshold=THRESHOLD)


class Office:
    """Plans tasks; ``refine`` waits until every wish for a better network was worked off, or found nobody there."""

    def __init__(
        self,
        *cards: AgentCard,
        preference: Preference = Preference.QUALITY,
        fresh: float = 0.0,
        book: PlanBook | None = None,
        policy_of: PolicyOf = lambda _task: "",
        matcher: Callable[[Fleet], Matcher] = Matcher,
    ) -> None:
        self.fleet = Fleet(*cards)
        self.matcher = matcher(self.fleet)
        self.pasts = Pasts()
        self.book = book or PlanBook()
        self.away = False
        self.asked: list[RefineRequest] = []
        self.replies: list[RefineReply] = []
        digests = CardDigests()
        self.background = Background(self._ask, self.book, self.fleet, self.pasts, digests, lambda _tenant: preference)
        self.greedy = GreedyPlanner(self.matcher, self.fleet, encode, pasts=self.pasts)
        self.planner = KindPlanner(
            self.greedy, self.fleet, self.book, self.background, digests, fresh_share=fresh, policy_of=policy_of
        )

    async def _ask(self, request: RefineRequest) -> RefineReply | None:
        self.asked.append(request)
        if self.away:
            return None
        self.replies.append(await asyncio.to_thread(refine, request))
        return self.replies[-1]

    async def plan(self, words: str, *attachments: Part, **task) -> Planned:
        self.last = (words, *attachments)
        parts = (text_part(words), *attachments)
        kinds = tuple(dict.fromkeys(part.modality or Modality.FILE for part in parts))
        perceived = Perceived(Percept(parts=(), modalities=kinds), vector_of(words), parts)
        return await self.planner.plan(TaskSubmitted(parts=parts, **task), perceived)

    async def refine(self) -> None:
        """Meet the last task once more, which makes its kind worth a search, and work off every wish."""
        await self.plan(*self.last)
        await self.background.drain()


def agents_of(planned: Planned) -> list[str]:
    """In order of execution."""
    return [planned.plan.network.node(node).agent_id for group in planned.plan.order for node in group]


def outcome(network: Network, *, failed: frozenset[str] = frozenset(), ms: float = 10.0, **more) -> ExperienceRecord:
    """What a task with this network came to."""
    steps = tuple(
        StepOutcome(step_id=node.id, node=node.id, agent_id=node.agent_id, skill_id=node.skill_id, attempts=1,
                    latency_ms=ms, cost=0.0, ok=node.agent_id not in failed)
        for node in network.nodes
    )  # fmt: skip
    success = all(step.ok for step in steps)
    state = TaskState.SUCCEEDED if success else TaskState.FAILED
    return ExperienceRecord(
        record_id="r", task_id="t", tenant="default", state=state, success=success, steps=steps, latency_ms=1.0,
        cost=0.0, network=network, **more,
    )  # fmt: skip
