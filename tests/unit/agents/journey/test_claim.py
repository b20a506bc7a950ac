"""A task that may have been here before: what the message in hand means for it."""

import pytest

from agents.journey.claim import Claim, claim
from schemas.network import Edge, Network, Node, Plan
from schemas.parts import Modality
from schemas.task import ApprovalState, TaskRecord, TaskState

PLAN = Plan(
    plan_id="p",
    network=Network(
        nodes=(Node(id="a", agent_id="x", skill_id="s"),),
        edges=(Edge(source="task", target="a", modalities=(Modality.TEXT,)),),
    ),
    order=(("a",),),
    critical_path=("a",),
    estimated_ms=1,
    estimated_cost=0,
)


def record(state: TaskState, **fields: object) -> TaskRecord:
    return TaskRecord(task_id="t", tenant="default", state=state, **fields)


def test_a_task_never_seen_starts():
    assert claim(None, 7) is Claim.START


def test_a_task_that_a_door_recorded_starts():
    assert claim(record(TaskState.QUEUED, stream_seq=7), 7) is Claim.START


def test_a_redelivered_task_with_a_plan_resumes():
    assert claim(record(TaskState.RUNNING, stream_seq=7, plan=PLAN), 7) is Claim.RESUME


def test_a_second_message_for_a_running_task_is_dropped():
    assert claim(record(TaskState.RUNNING, stream_seq=7, plan=PLAN), 8) is Claim.DROP


@pytest.mark.parametrize("state", [s for s in TaskState if s.terminal])
@pytest.mark.parametrize("seq", [7, 8])
def test_an_ended_task_is_only_told_again(state, seq):
    assert claim(record(state, stream_seq=7), seq) is Claim.SETTLE_AGAIN


def test_a_cancelled_task_in_the_queue_is_cancelled():
    assert claim(record(TaskState.QUEUED, stream_seq=7, cancel_requested=True), 7) is Claim.CANCEL


def test_a_task_that_waits_for_people_ignores_messages_until_they_decide():
    waiting = record(TaskState.AWAITING_APPROVAL, stream_seq=7, plan=PLAN, approvals={"a": ApprovalState.PENDING})
    assert claim(waiting, 9) is Claim.DROP


@pytest.mark.parametrize("decision", [ApprovalState.APPROVED, ApprovalState.DENIED])
def test_a_decision_brings_a_waiting_task_back(decision):
    waiting = record(TaskState.AWAITING_APPROVAL, stream_seq=7, plan=PLAN, approvals={"a": decision})
    assert claim(waiting, 9) is Claim.RESUME


@pytest.mark.parametrize("decision", list(ApprovalState))
def test_a_task_that_is_cancelled_while_it_waits_is_cancelled_whatever_was_decided(decision):
    waiting = record(
        TaskState.AWAITING_APPROVAL, stream_seq=7, plan=PLAN, approvals={"a": decision}, cancel_requested=True
    )
    assert claim(waiting, 9) is Claim.CANCEL
