"""A small fleet for planning tests, with a matcher and encoder that count shared words."""

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from agents.ports.matching import Lot, Matcher
from schemas.candidate import Candidate, MatchReport
from schemas.card import AgentCard, Cost, Liveness, NatsEndpoint, Skill
from schemas.experience import ExperienceRecord
from schemas.network import Edge, Network, Node
from schemas.parts import Modality
from schemas.task import RoutingHints, StepOutcome, TaskState
from tensor_layer.ports import Vector

WORDS = 512


def card(agent: str, skill: str, description: str, reads: str, makes: str, requires: str = "", **more) -> AgentCard:
    """A card with one skill; kinds of content are given as words."""
    kinds = {name: tuple(Modality(word) for word in text.split()) for name, text in
             (("inputs", reads), ("outputs", makes), ("requires", requires))}  # fmt: skip
    return AgentCard(
        id=agent,
        version="1.0.0",
        description=description,
        skills=(Skill(id=skill, description=description, **kinds),),
        endpoint=NatsEndpoint(),
        **more,
    )


OCR = card("ocr", "read", "Read the text written in a picture or scan", "text image", "text", "image",
           cost=Cost(per_call=0.01))  # fmt: skip
FACTS = card("image-facts", "measure", "Measure size colours and format of an image", "image", "data text", "image")
TABLE = card("table", "make", "Make a table of the figures in a text", "text", "table", "text")
CHART = card("chart", "draw", "Draw a chart of a table", "text table", "image", "table")
SUMMARY = card("summary", "extract", "Summarise a text", "text", "text", "text")
SENTIMENT = card("sentiment", "judge", "Judge the sentiment of a text", "text", "text", "text")
KEYWORDS = card("keywords", "find", "Find the keywords of a text", "text", "text", "text")
ANALYSIS = card("analysis", "ask", "Analyse a csv table and answer questions about its rows",
                "text table", "text table", "table")  # fmt: skip
PDF = card("pdf", "read", "Extract the text of a PDF document", "document text", "text", "document")
REPORT = card("report", "write", "Collect results into one report document", "text table image", "document")
CALC = card("calc", "compute", "Compute arithmetic and convert units", "text", "text")

EVERYONE = (OCR, FACTS, TABLE, CHART, SUMMARY, SENTIMENT, KEYWORDS, ANALYSIS, PDF, REPORT, CALC)


def vector_of(text: str) -> Vector:
    """(WORDS,) float32 unit-norm: which stems occur."""
    vector = np.zeros(WORDS, dtype=np.float32)
    for word in re.findall(r"[a-z]{3,}", text.lower()):
        vector[sum(ord(letter) * 31**place for place, letter in enumerate(word[:5])) % WORDS] = 1.0
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


async def encode(texts: Sequence[str]) -> Vector:
    """(len(texts), WORDS) float32."""
    return np.stack([vector_of(text) for text in texts])


class StandingFleet:
    """A fleet whose cards and health are set by the test."""

    def __init__(self, *cards: AgentCard) -> None:
        self.by_id = {card.id: card for card in cards}
        self.dead: set[str] = set()

    def cards(self, tenant: str) -> dict[str, AgentCard]:
        return self.by_id

    def liveness(self, tenant: str, agent_id: str) -> Liveness:
        return Liveness.DEAD if agent_id in self.dead else Liveness.ALIVE

    def version(self, tenant: str) -> int:
        return hash((tuple(map(id, self.by_id.values())), frozenset(self.dead)))

    def load(self, tenant: str, agent_id: str) -> float:
        return 0.0


class WordMatcher(Matcher):
    """Ranks skills by the cosine of their words; abstains below the threshold; counts its calls."""

    def __init__(self, fleet: StandingFleet, threshold: float = 0.1) -> None:
        self.fleet, self.threshold, self.calls = fleet, threshold, 0

    async def match(
        self,
        tenant: str,
        goal: str,
        vector: Vector,
        modalities: frozenset[Modality],
        hints: RoutingHints,
        limit: int = 8,
        lot: Lot | None = None,
    ) -> MatchReport:
        self.calls += 1
        found = [
            Candidate(agent_id=card.id, skill_id=skill.id, score=float(vector @ vector_of(skill.description)))
            for card in self.fleet.cards(tenant).values()
            for skill in card.skills
            if card.id not in hints.exclude and card.id not in self.fleet.dead
        ]
        ranked = tuple(sorted(found, key=lambda candidate: (-candidate.score, candidate.agent_id))[:limit])
        best = ranked[0].score if ranked else 0.0
        return MatchReport(goal=goal, candidates=ranked, abstained=best < self.threshold, threshold=self.threshold)


def seen(steps: Sequence[tuple[str, str, float, bool]], *, cost: float = 0.0, tenant: str = "default", **more):
    """The experience of a task whose steps, in a row, were (agent, skill, latency in ms, went well)."""
    nodes = tuple(Node(id=agent, agent_id=agent, skill_id=skill) for agent, skill, _, _ in steps)
    pairs = [("task", nodes[0].id), *((one.id, other.id) for one, other in pairwise(nodes))]
    edges = tuple(Edge(source=source, target=target, modalities=(Modality.TEXT,)) for source, target in pairs)
    outcomes = tuple(
        StepOutcome(
            step_id=agent, node=agent, agent_id=agent, skill_id=skill, attempts=1, latency_ms=ms, cost=cost, ok=ok
        )
        for agent, skill, ms, ok in steps
    )
    success = all(ok for *_, ok in steps)
    state = TaskState.SUCCEEDED if success else TaskState.FAILED
    return ExperienceRecord(
        record_id="r", task_id="t", tenant=tenant, state=state, success=success, steps=outcomes, latency_ms=1.0,
        cost=cost, network=Network(nodes=nodes, edges=edges), **more,
    )  # fmt: skip
