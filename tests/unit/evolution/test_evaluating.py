"""Policies are compared on a stored window, on the same decisions, and the better one comes out better."""

import gc
import weakref
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from evolution.errors import NothingToEvaluate
from evolution.ports import ExperienceQuery
from evolution.replay.evaluating import PolicyEvaluation, days_back, evaluated
from evolution.replay.policies import always, as_logged, best_scored, uniform
from evolution.store.memory_store import MemoryExperienceStore
from schemas.candidate import Candidate
from schemas.experience import Feedback
from tests.unit.evolution.experience_records import MOMENT, a_record

BATCH = 100
POLICIES = {
    "logged": as_logged,
    "uniform": uniform,
    "best scored": best_scored,
    "always good": always("good"),
    "always absent": always("absent"),
}


def a_choice(rng, number):
    """The score prefers the bad agent; exploration picked the good one in 30 % of cases."""
    chosen = "good" if rng.random() < 0.3 else "bad"
    candidates = (
        Candidate(agent_id="bad", skill_id="s", score=0.9, probability=0.7),
        Candidate(agent_id="good", skill_id="s", score=0.8, probability=0.3),
    )
    success = bool(rng.random() < {"good": 0.9, "bad": 0.5}[chosen])
    return a_record(f"t{number}", minutes=number, chosen=(chosen,), candidates=candidates, success=success)


@pytest.fixture
async def store():
    rng = np.random.default_rng(1)
    memory = MemoryExperienceStore()
    await memory.record([a_choice(rng, number) for number in range(1500)])
    await memory.record([a_record("team", chosen=("a", "b"))])
    return memory


async def test_policies_are_compared_on_the_same_decisions(store):
    found = await PolicyEvaluation(store).compare(ExperienceQuery(), POLICIES)
    value = {name: evaluation.doubly_robust.value for name, evaluation in found.evaluations.items()}
    assert value["always good"] == pytest.approx(0.9, abs=0.05)
    assert value["best scored"] == pytest.approx(0.5, abs=0.05)
    assert value["uniform"] == pytest.approx(0.7, abs=0.05)
    assert value["always absent"] == value["best scored"]
    assert found.evaluations["logged"].ips.value == pytest.approx(found.evaluations["logged"].logged_value)
    assert found.evaluations["always good"].doubly_robust.low > found.evaluations["best scored"].doubly_robust.high
    assert found.left_out == {"several agents worked together": 1}


async def test_what_people_said_of_a_task_is_what_it_earned(store):
    chosen = {record.task_id: record.chosen for record in await store.find(ExperienceQuery(limit=2000))}
    judged = [Feedback(task_id=task, score=0.9 if of == ("bad",) else 0.1) for task, of in chosen.items()]
    await store.add_feedback([*judged, Feedback(task_id="t1", tenant="other", score=0.5)])
    found = await PolicyEvaluation(store).compare(ExperienceQuery(), POLICIES)
    assert found.evaluations["always good"].doubly_robust.value == pytest.approx(0.1, abs=0.01)
    assert found.evaluations["best scored"].doubly_robust.value == pytest.approx(0.9, abs=0.01)


async def test_only_the_newest_decisions_are_kept_and_how_many_are_older_is_said(store):
    told = []
    evaluation = PolicyEvaluation(store, max_decisions=300)
    found = await evaluation.compare(ExperienceQuery(), {"logged": as_logged}, lambda *so_far: told.append(so_far))
    assert found.evaluations["logged"].decisions == 300
    assert found.left_out == {"they are older than the newest 300": 1201}
    assert told[-1] == (300, 300)


async def test_a_window_without_decisions_says_why():
    store = MemoryExperienceStore()
    with pytest.raises(NothingToEvaluate, match="it is empty"):
        await PolicyEvaluation(store).compare(ExperienceQuery(), POLICIES)
    await store.record([a_record(chosen=("a", "b"))])
    with pytest.raises(NothingToEvaluate, match="1 several agents"):
        await PolicyEvaluation(store).compare(ExperienceQuery(), POLICIES)


async def test_a_policy_that_forgets_a_candidate_is_refused(store):
    with pytest.raises(ValueError, match="shorter"):
        await PolicyEvaluation(store).compare(ExperienceQuery(), {"broken": lambda record: (1.0,)})


class Day(MemoryExperienceStore):
    """Tells what is read of it, and how many records that it gave are still held when more are asked for."""

    def __init__(self):
        super().__init__()
        self.asked, self.held = [], 0
        self._given = []

    async def scan(self, query, batch_rows=BATCH):
        self.asked.append((query.since, query.until))
        async for records in super().scan(query, batch_rows):
            gc.collect()
            self.held = max(self.held, sum(given() is not None for given in self._given))
            copies = [record.model_copy() for record in records]
            del records
            self._given += [weakref.ref(copy) for copy in copies]
            yield copies
            del copies


@pytest.fixture
async def days():
    """Three days of four hundred decisions each, of two to four candidates."""
    rng, store = np.random.default_rng(3), Day()
    for number in range(1200):
        record = a_choice(rng, number)
        more = [Candidate(agent_id=f"other{n}", skill_id="s", score=0.1, probability=0.0) for n in range(number % 3)]
        minutes = -60 * 24 * 3 * (1 - number / 1200)
        await store.record(
            [
                record.model_copy(
                    update={"at": MOMENT + timedelta(minutes=minutes), "candidates": (*record.candidates, *more)}
                )
            ]
        )
    return store


async def test_a_window_is_evaluated_as_all_of_its_records_at_once_are(days):
    since = MOMENT - timedelta(days=4)
    records = await days.find(ExperienceQuery(since=since, limit=10_000))
    found = await PolicyEvaluation(days).compare(ExperienceQuery(since=since), POLICIES)
    assert len(days.asked) > 3
    assert found == evaluated(records, POLICIES)


async def test_records_go_once_their_decisions_are_taken(days):
    await PolicyEvaluation(days).compare(ExperienceQuery(since=MOMENT - timedelta(days=4)), POLICIES)
    assert days.held <= BATCH  # the batch that was just taken


async def test_what_is_older_than_the_newest_decisions_is_counted_and_not_read(days):
    told = []
    query = ExperienceQuery(since=MOMENT - timedelta(days=30))
    found = await PolicyEvaluation(days, max_decisions=250).compare(
        query, {"logged": as_logged}, lambda *so_far: told.append(so_far)
    )
    newest = await days.find(ExperienceQuery(limit=250))
    assert found.evaluations == evaluated(newest, {"logged": as_logged}).evaluations
    assert found.left_out == {"they are older than the newest 250": 950}
    assert told[-1] == (250, 250)
    assert min(since for since, _ in days.asked) >= MOMENT - timedelta(days=2)


def test_a_window_is_gone_through_day_by_day_from_its_end():
    noon = MOMENT.replace(hour=12, minute=0, second=0, microsecond=0)
    midnight = noon.replace(hour=0)
    query = ExperienceQuery(since=noon - timedelta(days=2), until=noon)
    spans = [(one.since, one.until) for one in days_back(query)]
    assert spans == [
        (midnight, noon),
        (midnight - timedelta(days=1), midnight),
        (noon - timedelta(days=2), midnight - timedelta(days=1)),
    ]
    assert [one.since for one in days_back(replace(query, since=midnight))] == [midnight]
    assert list(days_back(ExperienceQuery())) == [ExperienceQuery()]


async def test_of_one_agent_the_older_ones_are_counted_too(days):
    query = ExperienceQuery(since=MOMENT - timedelta(days=30), agent_id="good")
    there = len(await days.find(replace(query, limit=10_000)))
    found = await PolicyEvaluation(days, max_decisions=20).compare(query, {"logged": as_logged})
    assert found.left_out == {"they are older than the newest 20": there - 20}
    assert len(days.asked) == len(set(days.asked))  # no time is read twice
