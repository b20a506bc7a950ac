"""Speaks to tasks under way: cancel, approve, deny. Called by the doors.

The record carries the wish, so whoever takes the task next sees it; the control message reaches the worker that has it
now. A task that waits for a person is in nobody's hands, so it goes back to the work queue, the only way to get work
done, under an id that makes asking twice harmless.
"""

from collections.abc import Callable
from contextlib import suppress

import nats.errors
from nats.aio.client import Client

from gateway.bus.publishing import Publisher
from gateway.errors import StateConflict
from gateway.task_ledger import TaskLedger
from schemas import subjects
from schemas.control import ControlAction, ControlMessage, Remark
from schemas.task import ApprovalState, TaskRecord, TaskState

WHOLE_TASK = "task"
"""The name under which a decision about the task itself, not one of its steps, is kept."""

_REMARKS_KEPT = 16
_DECISIONS = {ControlAction.APPROVE: ApprovalState.APPROVED, ControlAction.DENY: ApprovalState.DENIED}


class TaskControl:
    """Carries out what people want of a task. Safe to repeat; raises TaskNotFound, StateConflict, BusUnavailable."""

    def __init__(self, nc: Client, publisher: Publisher, ledger: TaskLedger) -> None:
        self._nc = nc
        self._publisher = publisher
        self._ledger = ledger

    async def tell(self, message: ControlMessage) -> TaskRecord:
        """Do what the message says; the record as it is then."""
        change = _cancelled(message) if message.action is ControlAction.CANCEL else _decided(message)
        held = await self._ledger.change(message.tenant, message.task_id, change)
        await self._nudge(message)
        await self._put_back(held.record)
        return held.record

    async def _nudge(self, message: ControlMessage) -> None:
        """Reach the worker that has the task now, if any; the record tells the others."""
        subject = subjects.control(message.tenant, message.task_id)
        with suppress(nats.errors.Error, OSError):
            await self._nc.publish(subject, message.model_dump_json().encode())

    async def _put_back(self, record: TaskRecord) -> None:
        task = record.submission
        if task is None or record.state is not TaskState.AWAITING_APPROVAL or not _is_settled(record):
            return
        subject = subjects.submit(task.tenant, task.priority)
        await self._publisher.publish(subject, task.model_dump_json().encode(), _resume_id(record))


def _cancelled(message: ControlMessage) -> Callable[[TaskRecord], TaskRecord]:
    def change(record: TaskRecord) -> TaskRecord:
        if record.state.terminal and record.state is not TaskState.CANCELLED:
            raise StateConflict(
                f"task {record.task_id} is over: {record.state.value}",
                code="task_finished",
                next_step="nothing is left to cancel; submit a new task if you need one",
            )
        remarks = record.remarks if record.cancel_requested else _with_remark(record, message)
        return record.model_copy(update={"cancel_requested": True, "remarks": remarks})

    return change


def _decided(message: ControlMessage) -> Callable[[TaskRecord], TaskRecord]:
    def change(record: TaskRecord) -> TaskRecord:
        if record.state is not TaskState.AWAITING_APPROVAL:
            raise StateConflict(
                f"task {record.task_id} does not wait for approval; it is {record.state.value}",
                code="not_awaiting_approval",
            )
        nodes = _nodes(record, message)
        if not nodes:
            return record
        approvals = record.approvals | dict.fromkeys(nodes, _DECISIONS[message.action])
        return record.model_copy(update={"approvals": approvals, "remarks": _with_remark(record, message)})

    return change


def _with_remark(record: TaskRecord, message: ControlMessage) -> tuple[Remark, ...]:
    said = Remark(action=message.action, node=message.node, actor=message.actor, reason=message.reason, at=message.at)
    return (*record.remarks, said)[-_REMARKS_KEPT:]


def _nodes(record: TaskRecord, message: ControlMessage) -> tuple[str, ...]:
    """Which steps the decision is about: the one it names, else every one that waits."""
    waiting = tuple(node for node, state in record.approvals.items() if state is ApprovalState.PENDING)
    if message.node is None:
        return waiting or (() if record.approvals else (WHOLE_TASK,))
    if message.node not in record.approvals:
        raise StateConflict(
            f"step {message.node!r} of task {record.task_id} does not wait for approval",
            code="not_awaiting_approval",
            next_step=f"steps that wait: {', '.join(waiting) or 'none'}",
        )
    return (message.node,) if message.node in waiting else ()


def _is_settled(record: TaskRecord) -> bool:
    """Whether a worker can go on: it was cancelled, somebody said no, or everybody has said yes."""
    decisions = record.approvals.values()
    return record.cancel_requested or ApprovalState.DENIED in decisions or ApprovalState.PENDING not in decisions


def _resume_id(record: TaskRecord) -> str:
    """One message for each round of decisions, however often it is asked for."""
    if record.cancel_requested:
        return f"resume-{record.task_id}-cancel"
    decided = sum(state is not ApprovalState.PENDING for state in record.approvals.values())
    return f"resume-{record.task_id}-{decided}"
