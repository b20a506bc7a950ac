"""How busy an agent was when it was ranked: recorded, so that explaining and learning see what ranking saw."""

import base64

import numpy as np
import pytest

from agents.matching.live.lessons import lessons_of
from agents.matching.live.policy import LivePolicy
from agents.matching.live.ranker import LearnedOrder
from agents.ports.matching import Ranked
from agents.ports.skill_index import SkillHit
from schemas.card import AgentCard, NatsEndpoint, Skill
from schemas.experience import ExperienceRecord
from schemas.parts import Modality
from schemas.task import TaskState

DIMENSION = 4
VECTOR = np.eye(DIMENSION, dtype=np.float32)[0]
LOADS = {"busy": 0.8, "idle": 0.0}


def card(agent_id: str) -> AgentCard:
    skill = Skill(id="s", description="Does it.", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,))
    return AgentCard(id=agent_id, version="1.0.0", description="Does it.", skills=(skill,), endpoint=NatsEndpoint())


def ranked(order: LearnedOrder) -> Ranked:
    hits = [SkillHit(agent_id, "s", 0.6, lexical=0.5) for agent_id in LOADS]
    return order.rank(VECTOR, hits, {name: card(name) for name in LOADS}, LOADS.__getitem__, 0.0, 0.25, 8)


def test_what_is_explained_sums_up_to_the_score_under_load_too():
    order = LearnedOrder("learned-1", LivePolicy.blank(DIMENSION))
    candidates = ranked(order).candidates
    assert [one.agent_id for one in candidates] == ["idle", "busy"]
    for one in order.explained(VECTOR, candidates):
        assert one.features["load"] == pytest.approx(LOADS[one.agent_id])
        odds = sum(one.contributions.values())
        assert 1.0 / (1.0 + np.exp(-odds)) == pytest.approx(one.score, abs=1e-3)


def test_a_record_teaches_with_the_load_of_that_moment():
    candidates = ranked(LearnedOrder("learned-1", LivePolicy.blank(DIMENSION))).candidates
    taught = []
    for agent_id in LOADS:
        record = ExperienceRecord(
            record_id=agent_id, task_id=agent_id, tenant="default", state=TaskState.SUCCEEDED, success=True, cost=0,
            chosen=(agent_id,), candidates=candidates, vector=base64.b64encode(VECTOR.tobytes()).decode(), latency_ms=1,
        )  # fmt: skip
        taught += [(lesson.agent_id, lesson.load) for lesson in lessons_of(record, DIMENSION)]
    assert taught == list(LOADS.items())
