"""How a task's record changes along the way: functions without effects, from what is stored to what shall be.

Used by `travel`, `settlement` and `handbacks`.
"""

from datetime import datetime

from agents.errors import AgentsError, ApprovalDenied, StepFailed, TaskCancelled, TaskTakenElsewhere
from agents.journey.records import Held
from agents.ports.planning import Planned
from schemas.base import now
from schemas.control import ControlAction
from schemas.task import ApprovalState, TaskFailure, TaskRecord, TaskState, TaskSubmitted
from tensor_layer.ports import Perceived

_TITLE_CHARACTERS = 120
_CANDIDATES_KEPT = 8
_PEOPLES_DOING = {ApprovalDenied.code: ControlAction.DENY, TaskCancelled.code: ControlAction.CANCEL}


def taken(held: Held | None, task: TaskSubmitted, worker_id: str, stream_seq: int, deliveries: int) -> Held:
    """The record as this worker will store it: running, owned by this message. Raises TaskTakenElsewhere."""
    present = held.record if held else new_record(task)
    update = {"state": TaskState.RUNNING, "stream_seq": stream_seq, "worker_id": worker_id, "deliveries": deliveries}
    mine = present.model_copy(update=update)
    if superseded(present, mine):
        raise TaskTakenElsewhere(f"delivery {deliveries} of message {stream_seq} came before {present.deliveries}")
    return Held(mine, held.revision if held else 0)


def superseded(present: TaskRecord, mine: TaskRecord) -> bool:
    """Whether a later delivery of the same message has the task: this worker was away for longer than its lease."""
    return present.stream_seq == mine.stream_seq and present.deliveries > mine.deliveries


def new_record(task: TaskSubmitted) -> TaskRecord:
    """Of a task that came straight over the bus and that nobody has taken yet."""
    return TaskRecord(
        task_id=task.task_id,
        tenant=task.tenant,
        state=TaskState.QUEUED,
        priority=task.priority,
        submitted_at=task.submitted_at,
        title=task.instruction()[:_TITLE_CHARACTERS],
    )


def owned(present: TaskRecord, mine: TaskRecord) -> TaskRecord:
    """What is stored now, with this worker as its owner.

    Raises TaskTakenElsewhere when another message or a later delivery owns it, and TaskCancelled when a person wished
    so meanwhile: the word of it may have missed this worker.
    """
    waiting = present.state is TaskState.AWAITING_APPROVAL
    another = present.stream_seq not in (None, mine.stream_seq) and not waiting
    if present.state.terminal or another or superseded(present, mine):
        whose = f"message {present.stream_seq}, delivery {present.deliveries}"
        raise TaskTakenElsewhere(f"{present.state.value}, {whose}")
    if present.cancel_requested:
        raise TaskCancelled("the task was cancelled")
    return no_longer_waiting(present).model_copy(
        update={
            "state": TaskState.RUNNING,
            "stream_seq": mine.stream_seq,
            "worker_id": mine.worker_id,
            "deliveries": mine.deliveries,
            "title": mine.title,
        }
    )


def planned_record(record: TaskRecord, mine: TaskRecord, perceived: Perceived | None, planned: Planned) -> TaskRecord:
    """The record with the plan that any worker will run: one that is there stays. Raises as ``owned``."""
    record = owned(record, mine)
    if record.plan is not None:
        return record
    return record.model_copy(
        update={
            "percept": perceived.percept if perceived else None,
            "candidates": planned.candidates[:_CANDIDATES_KEPT],
            "plan": planned.plan,
            "policy": planned.policy,
            "exploratory": planned.exploratory,
        }
    )


def waiting(record: TaskRecord, mine: TaskRecord, task: TaskSubmitted, nodes: tuple[str, ...]) -> TaskRecord:
    """The record of a task that no worker holds until a person has decided; its submission brings it back.

    Raises as ``owned``: nothing would bring back a task that was cancelled just before it waits.
    """
    record = owned(record, mine)
    approvals = dict.fromkeys(nodes, ApprovalState.PENDING) | record.approvals
    asked = {"awaiting_since": now(), "approvals": approvals, "submission": task}
    return record.model_copy(update={"state": TaskState.AWAITING_APPROVAL} | asked)


def no_longer_waiting(record: TaskRecord) -> TaskRecord:
    """The record with the time counted that people took, when it was waiting for them."""
    if record.awaiting_since is None:
        return record
    awaited_ms = record.awaited_ms + ms_between(record.awaiting_since, now())
    return record.model_copy(update={"awaiting_since": None, "awaited_ms": awaited_ms})


def ms_between(earlier: datetime, later: datetime) -> float:
    """Never negative: clocks of two processes differ."""
    return max(0.0, (later - earlier).total_seconds() * 1e3)


def decided(record: TaskRecord, state: ApprovalState) -> frozenset[str]:
    """The nodes of which people said so."""
    return frozenset(node for node, decision in record.approvals.items() if decision is state)


def failure_of(error: AgentsError) -> TaskFailure:
    """An error as the task's sender sees it."""
    step_id = agent_id = None
    if isinstance(error, StepFailed):
        step_id, agent_id = error.step_id or None, error.agent_id or None
    return TaskFailure(
        code=error.code, message=str(error), step_id=step_id, agent_id=agent_id, retryable=error.retryable
    )


def cancelled() -> TaskFailure:
    """What the sender of a cancelled task sees."""
    return TaskFailure(code=TaskCancelled.code, message="the task was cancelled")


def with_reasons(failure: TaskFailure, record: TaskRecord) -> TaskFailure:
    """The failure with what the person said who denied or cancelled the task."""
    action = _PEOPLES_DOING.get(failure.code)
    said = [remark for remark in record.remarks if remark.action is action and (remark.actor or remark.reason)]
    if not said:
        return failure
    words = ": ".join(filter(None, (said[-1].actor, said[-1].reason)))
    return failure.model_copy(update={"message": f"{failure.message} ({words})"})
