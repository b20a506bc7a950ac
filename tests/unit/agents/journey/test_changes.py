"""What a task's record becomes along the way."""

from datetime import UTC, datetime, timedelta

import pytest

from agents.errors import ApprovalDenied, StepTimedOut, TaskCancelled, TaskTakenElsewhere
from agents.journey import changes
from agents.journey.changes import cancelled, decided, failure_of, owned, taken, waiting, with_reasons
from agents.journey.records import Held
from schemas.base import now
from schemas.control import ControlAction, Remark
from schemas.parts import text_part
from schemas.task import ApprovalState, TaskRecord, TaskState, TaskSubmitted

TASK = TaskSubmitted(task_id="t", parts=(text_part("add one and one"),))


def test_a_task_that_nobody_recorded_is_taken_with_its_title():
    held = taken(None, TASK, "worker-1", stream_seq=7, deliveries=1)
    assert held.revision == 0
    assert (held.record.state, held.record.stream_seq, held.record.title) == (TaskState.RUNNING, 7, "add one and one")


def test_a_record_of_a_door_keeps_what_it_says():
    queued = TaskRecord(task_id="t", tenant="default", state=TaskState.QUEUED, title="from the door")
    held = taken(Held(queued, 3), TASK, "worker-1", stream_seq=7, deliveries=2)
    assert (held.revision, held.record.title, held.record.deliveries) == (3, "from the door", 2)


def test_a_cancellation_stored_meanwhile_is_heeded():
    mine = taken(None, TASK, "worker-1", stream_seq=7, deliveries=1).record
    stored = mine.model_copy(update={"state": TaskState.QUEUED, "cancel_requested": True})
    with pytest.raises(TaskCancelled):
        owned(stored, mine)
    with pytest.raises(TaskCancelled):
        waiting(stored, mine, TASK, ("a",))


def test_a_later_delivery_of_the_same_message_owns_the_task():
    mine, later = (taken(None, TASK, "worker-1", stream_seq=7, deliveries=number).record for number in (1, 2))
    with pytest.raises(TaskTakenElsewhere):
        owned(later, mine)
    with pytest.raises(TaskTakenElsewhere):
        taken(Held(later, 3), TASK, "worker-1", stream_seq=7, deliveries=1)
    assert owned(mine, later).deliveries == 2
    assert taken(Held(later, 3), TASK, "worker-1", stream_seq=8, deliveries=1).record.deliveries == 1


@pytest.mark.parametrize("present", [{"state": TaskState.RUNNING, "stream_seq": 8}, {"state": TaskState.SUCCEEDED}])
def test_a_task_that_another_message_owns_is_left_alone(present):
    mine = taken(None, TASK, "worker-1", stream_seq=7, deliveries=1).record
    with pytest.raises(TaskTakenElsewhere):
        owned(mine.model_copy(update=present), mine)


def test_a_decided_task_that_waited_goes_to_the_message_that_brings_it_back():
    mine = taken(None, TASK, "worker-1", stream_seq=9, deliveries=1).record
    before = mine.model_copy(update={"stream_seq": 7})
    stored = waiting(before, before, TASK, ("a",))
    assert owned(stored, mine).stream_seq == 9


def test_a_decision_outlives_the_next_wait():
    record = TaskRecord(task_id="t", tenant="default", state=TaskState.RUNNING, approvals={"a": ApprovalState.APPROVED})
    again = waiting(record, record, TASK, ("a", "b"))
    assert decided(again, ApprovalState.APPROVED) == {"a"}
    assert decided(again, ApprovalState.PENDING) == {"b"}
    assert again.submission == TASK


def test_a_failure_says_which_step_of_which_agent():
    failure = failure_of(StepTimedOut("no answer", step_id="t.a", agent_id="slow", retryable=True))
    assert (failure.code, failure.step_id, failure.agent_id) == ("step_timed_out", "t.a", "slow")


def test_a_failure_says_who_wanted_it_and_why():
    said = (
        Remark(action=ControlAction.APPROVE, node="a", actor="bob"),
        Remark(action=ControlAction.DENY, node="b", actor="ada", reason="too dear"),
    )
    record = TaskRecord(task_id="t", tenant="default", state=TaskState.RUNNING, remarks=said)
    assert with_reasons(failure_of(ApprovalDenied("a person denied step b")), record).message == (
        "a person denied step b (ada: too dear)"
    )
    assert with_reasons(cancelled(), record) == cancelled()


def test_what_people_took_to_decide_is_counted_over_several_waits(monkeypatch):
    clock = iter(datetime(2026, 11, 20, 12, 0, second, tzinfo=UTC) for second in (0, 10, 20, 25))
    monkeypatch.setattr(changes, "now", lambda: next(clock))
    record = taken(None, TASK, "worker-1", stream_seq=7, deliveries=1).record
    for _ in range(2):
        asked = waiting(record, record, TASK, ("a",))
        assert asked.awaiting_since is not None
        record = owned(asked, asked)
        assert record.awaiting_since is None
    assert record.awaited_ms == 15_000
    assert owned(record, record).awaited_ms == 15_000


def test_a_clock_that_was_put_back_takes_nothing_from_what_people_took():
    record = taken(None, TASK, "worker-1", stream_seq=7, deliveries=1).record
    ahead = waiting(record, record, TASK, ("a",)).model_copy(update={"awaiting_since": now() + timedelta(hours=1)})
    assert owned(ahead, ahead).awaited_ms == 0
