"""Decides what to do with a task that may have been here before. A pure decision, asked by `travel`."""

from enum import StrEnum

from schemas.task import ApprovalState, TaskRecord, TaskState


class Claim(StrEnum):
    """What the worker does with the message it holds."""

    START = "start"
    RESUME = "resume"
    SETTLE_AGAIN = "settle_again"
    CANCEL = "cancel"
    DROP = "drop"


def claim(record: TaskRecord | None, stream_seq: int) -> Claim:
    """What a message means for its task.

    The record's ``stream_seq`` names the message that owns the task. The same message again is a redelivery: a worker
    died or was too slow. Another message is a duplicate (sent again after the bus forgot its id), unless the task
    waits for a person who has decided.
    """
    if record is None:
        return Claim.START
    if record.state.terminal:
        return Claim.SETTLE_AGAIN
    if record.state is TaskState.AWAITING_APPROVAL:
        return _claim_waiting(record)
    if record.stream_seq not in (None, stream_seq):
        return Claim.DROP
    if record.cancel_requested:
        return Claim.CANCEL
    return Claim.RESUME if record.plan is not None else Claim.START


def _claim_waiting(record: TaskRecord) -> Claim:
    if record.cancel_requested:
        return Claim.CANCEL
    decided = any(state is not ApprovalState.PENDING for state in record.approvals.values())
    return Claim.RESUME if decided else Claim.DROP
