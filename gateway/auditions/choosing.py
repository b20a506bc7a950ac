"""Who is a newcomer, and which past tasks it is asked: half of them near its card, half any that it can read. Pure.

Those near the card show how good it is at what it claims; the others, what else it can do, and whether it answers
whatever it is asked.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.lessons import TAUGHT_BY
from agents.matching.ranking import nearness_of
from agents.ports.skill_index import SkillPoint
from evolution.replay.rerunning import unit_vector
from schemas.candidate import Candidate
from schemas.experience import ExperienceRecord
from schemas.task import counted

NEWCOMER_STEPS = 10
"""Whoever did so many steps lately is known well enough."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One past task for one agent: the record, and the agent as a candidate for it, by its nearest skill."""

    record: ExperienceRecord
    candidate: Candidate

    @property
    def nearness(self) -> float:
        """The cosine of the agent's card."""
        return nearness_of(self.candidate) or 0.0


def steps_by_agent(records: Iterable[ExperienceRecord]) -> Counter[str]:
    """How many steps each agent did that say something of it."""
    return Counter(step.agent_id for record in records for step in counted(record.steps))


def repeatable(records: Iterable[ExperienceRecord], encoder: str) -> list[ExperienceRecord]:
    """Tasks that a single agent did or failed at, of vectors by that encoder; of the same content, the newest one."""
    found: dict[str, ExperienceRecord] = {}
    for record in records:
        alone = len(record.chosen) == 1 and record.state in TAUGHT_BY and not record.untried
        if alone and record.vector is not None and record.vector_version == encoder:
            kept = found.setdefault(record.vector, record)
            if record.at > kept.at:
                found[record.vector] = record
    return list(found.values())


def programme(records: Sequence[ExperienceRecord], points: Sequence[SkillPoint], wanted: int) -> list[Piece]:
    """At most ``wanted`` tasks for the agent with these points, in the order in which they are asked.

    The same agent is asked the same of the same past: chance is drawn by its id.
    """
    if not points or wanted < 1:
        return []
    pieces = [piece for record in records if (piece := _piece(record, points)) is not None]
    pieces.sort(key=lambda piece: (-piece.nearness, piece.record.record_id))
    near, others = pieces[: wanted - wanted // 2], pieces[wanted - wanted // 2 :]
    chance = np.random.default_rng(zlib.crc32(points[0].agent_id.encode()))
    drawn = [others[place] for place in chance.permutation(len(others))[: wanted // 2]]
    both = near + drawn
    return [both[place] for place in chance.permutation(len(both))]


def _piece(record: ExperienceRecord, points: Sequence[SkillPoint]) -> Piece | None:
    """None where the agent cannot read the task."""
    modalities, vector = set(record.modalities), unit_vector(record)
    readable = [point for point in points if modalities <= point.inputs and point.needs <= modalities]
    if vector is None or not readable:
        return None
    skills: dict[str, dict[str, float]] = {}
    for point in readable:
        name = "dense" if point.example is None else "example"
        scores = skills.setdefault(point.skill_id, {})
        scores[name] = max(scores.get(name, -1.0), float(point.vector @ vector))
    return Piece(record, max((_candidate(readable[0].agent_id, *skill) for skill in skills.items()), key=_order))


def _candidate(agent_id: str, skill_id: str, scores: Mapping[str, float]) -> Candidate:
    return Candidate(agent_id=agent_id, skill_id=skill_id, score=scores["dense"], scores=dict(scores), probability=1.0)


def _order(candidate: Candidate) -> tuple[float, str]:
    return nearness_of(candidate) or 0.0, candidate.skill_id
