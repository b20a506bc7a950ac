"""Looks at an experiment that remember what earlier ones counted: the same answer, from less reading."""

import json
from datetime import timedelta

import pytest

from evolution.experiments.tallies import LATENCY, SUCCESS
from evolution.policies import trial_count
from evolution.policies.bucket import BUILT_IN
from evolution.policies.loop import DESIGN
from evolution.policies.trial import progress
from evolution.policies.trial_memory import TrialFolder
from evolution.policies.trial_recent import Recent
from evolution.ports import Recorded
from evolution.store.memory_store import MemoryExperienceStore
from schemas.assignment import CONTROL, TREATMENT
from schemas.base import now
from schemas.policy_state import PolicyExperiment, PolicyState
from tests.integration.test_policy_loop import traffic


class CountingStore(MemoryExperienceStore):
    """Says how many records were read since it was asked last."""

    def __init__(self) -> None:
        super().__init__()
        self._read = 0

    async def scan(self, query, batch_rows=1000):
        async for batch in super().scan(query, batch_rows):
            self._read += len(batch)
            yield batch

    def read(self) -> int:
        found, self._read = self._read, 0
        return found


@pytest.fixture
def store():
    return CountingStore()


@pytest.fixture
def memory(tmp_path):
    return TrialFolder(tmp_path / "trials")


@pytest.fixture
def state() -> PolicyState:
    since = now() - timedelta(hours=12)
    experiment = PolicyExperiment(name="trial", candidate="learned-1", share=0.5, since=since)
    return PolicyState(tenant="default", experiment=experiment, changed_at=since)


async def looked(store, state, memory=None, recent=None):
    return await progress(store, state, [state], DESIGN, memory=memory, recent=recent)


def counts(found) -> dict:
    """Count, mean and squares of each arm's metrics, but for the last digits: sums were added in another order."""
    return {
        (stage.treatment_share, arm, metric): [
            round(value, 9) for value in (moments.count, moments.mean, moments.squares)
        ]
        for stage in found.stages
        for arm in (CONTROL, TREATMENT)
        for metric in (SUCCESS, LATENCY)
        for moments in [stage.moments(arm, metric)]
    }


async def test_a_second_look_reads_the_last_hour_and_says_the_same(store, state, memory):
    await store.record(traffic(300, minutes_ago=300, start=0))
    await store.record(traffic(40, minutes_ago=20, start=1000))
    first = await looked(store, state, memory)
    assert store.read() == 340
    again = await looked(store, state, memory)
    assert store.read() == 40
    assert counts(again) == counts(first)
    assert again.verdict.action is first.verdict.action
    await store.record(traffic(25, minutes_ago=1, start=2000))
    newer = await looked(store, state, memory)
    assert store.read() == 65
    assert counts(newer) == counts(await looked(store, state))
    assert sum(newer.tasks.values()) == 365


async def test_a_process_that_goes_on_reads_only_what_was_stored_since_however_late(store, state, memory):
    recent = Recent()
    await store.record(traffic(300, minutes_ago=300, start=0))
    await store.record(traffic(40, minutes_ago=20, start=1000))
    await looked(store, state, memory, recent)
    store.read()
    assert counts(await looked(store, state, memory, recent)) == counts(await looked(store, state))
    store.read()
    await store.record(traffic(25, minutes_ago=1, start=2000))
    await store.record(traffic(15, minutes_ago=50, start=3000))  # they come late: others that ended later are counted
    newer = await looked(store, state, memory, recent)
    assert store.read() == 0
    assert sum(newer.tasks.values()) == 380
    assert counts(newer) == counts(await looked(store, state))
    assert counts(newer) == counts(await looked(store, state, memory))


async def test_where_the_store_cannot_tell_the_last_hour_is_read_again(store, state, memory, monkeypatch):
    async def untold(_tenant, _cursor):
        return Recorded("", None)

    monkeypatch.setattr(store, "recorded_since", untold)
    recent = Recent()
    await store.record(traffic(300, minutes_ago=300, start=0))
    await store.record(traffic(40, minutes_ago=20, start=1000))
    first = await looked(store, state, memory, recent)
    store.read()
    assert counts(await looked(store, state, memory, recent)) == counts(first)
    assert store.read() == 40


async def test_of_an_hour_in_which_too_much_ended_nothing_is_kept(store, state, memory, monkeypatch):
    monkeypatch.setattr("evolution.policies.trial_recent.KEPT_MAX", 39)
    recent = Recent()
    await store.record(traffic(300, minutes_ago=300, start=0))
    await store.record(traffic(40, minutes_ago=20, start=1000))
    first = await looked(store, state, memory, recent)
    store.read()
    assert counts(await looked(store, state, memory, recent)) == counts(first)
    assert store.read() == 40


async def test_the_evidence_is_the_same_whoever_reads(store, state, memory):
    recent = Recent()
    for start in range(0, 400, 100):
        await store.record(traffic(100, minutes_ago=50 - start / 10, start=start))
        kept = await looked(store, state, memory, recent)
    afresh = await looked(store, state)
    assert [(s.evidence.count, round(s.evidence.excess, 9)) for s in kept.stages] == [
        (s.evidence.count, round(s.evidence.excess, 9)) for s in afresh.stages
    ]


async def test_another_verdict_is_confirmed_by_counting_everything(store, state, memory):
    await store.record(traffic(60, minutes_ago=300))
    assert (await looked(store, state, memory)).verdict.action.value == "wait"
    # What came too late for the memory is found when it comes to a decision.
    await store.record(traffic(100, minutes_ago=400, start=3000, good=0.2))
    await store.record(traffic(900, minutes_ago=10, start=5000, good=0.2))
    store.read()
    found = await looked(store, state, memory)
    assert found.verdict.action.value == "roll_back"
    assert store.read() == 900 + 1060
    assert sum(found.tasks.values()) == 1060


async def test_everything_is_counted_again_once_a_day(store, state, memory, monkeypatch):
    await store.record(traffic(60, minutes_ago=300))
    await looked(store, state, memory)
    await store.record(traffic(10, minutes_ago=300, start=3000))
    assert sum((await looked(store, state, memory)).tasks.values()) == 60
    monkeypatch.setattr(trial_count, "WHOLE_EVERY", timedelta(0))
    assert sum((await looked(store, state, memory)).tasks.values()) == 70


async def test_another_share_or_experiment_is_counted_anew(store, state, memory):
    await store.record(traffic(60, minutes_ago=300))
    await looked(store, state, memory)
    store.read()
    wider = state.experiment.model_copy(update={"share": 0.6})
    await looked(store, state.model_copy(update={"experiment": wider}), memory)
    assert store.read() == 60
    other = state.model_copy(update={"active": "learned-0"})
    assert (await looked(store, other, memory)).control == "learned-0" != BUILT_IN
    assert store.read() == 60


@pytest.mark.parametrize("line", ["x1t5", "t2t5", "t1", ""], ids=["no arm", "no success", "no task", "nothing"])
async def test_open_outcomes_that_do_not_read_are_counted_anew(store, state, memory, tmp_path, line):
    await store.record(traffic(60, minutes_ago=300))
    first = counts(await looked(store, state, memory))
    file = tmp_path / "trials" / "default.json"
    kept = json.loads(file.read_text())
    (lines,) = kept["open"]
    assert len(lines) == 60
    file.write_text(json.dumps(kept | {"open": [[line, *lines[1:]]]}))
    store.read()
    assert counts(await looked(store, state, memory)) == first
    assert store.read() == 60


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"question": "x"}'], ids=["cut off", "a list", "too little"])
async def test_a_memory_that_does_not_read_or_cannot_be_written_only_costs_time(store, state, tmp_path, content):
    await store.record(traffic(60, minutes_ago=300))
    folder = tmp_path / "trials"
    folder.mkdir()
    (folder / "default.json").write_bytes(content)
    assert sum((await looked(store, state, TrialFolder(folder))).tasks.values()) == 60
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert sum((await looked(store, state, TrialFolder(blocked))).tasks.values()) == 60
