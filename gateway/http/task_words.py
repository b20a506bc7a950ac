"""The routes by which people have a say in a task: cancel it, approve or deny it, give feedback."""

from typing import TypeVar

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.bodies import parse, read_body, read_model, task_id_of, tenant_of
from gateway.http.doors import doors_of
from gateway.http.openapi import answers, body_of
from gateway.http.task_answers import json_answer, record_answer
from gateway.task_feedback import FeedbackDraft
from schemas.base import Message
from schemas.control import ControlAction, ControlMessage
from schemas.experience import Feedback
from schemas.task import TaskRecord

router = APIRouter(tags=["tasks"])

_SMALL_BODY_BYTES = 64 * 1024

Words = TypeVar("Words", bound="Word")


class Word(Message):
    """What a person adds to a cancellation or a decision. All of it may be left out."""

    reason: str = Field(default="", max_length=2000, examples=["ordered twice"])
    actor: str = Field(default="", max_length=200, examples=["ada"])
    node: str | None = Field(default=None, description="the step; None means every one that waits", examples=["n2"])


class Decision(Word):
    """What a person says to a task that waits for approval."""

    approve: bool = Field(default=True, description="false denies", examples=[True])


@router.post(
    "/v1/tasks/{task_id}/cancel",
    summary="Cancel a task",
    responses=answers({202: TaskRecord}),
    openapi_extra=body_of(Word, required=False),
    response_model=None,
)
async def cancel_task(request: Request) -> Response:
    """Stop the task wherever it is. 202: the wish is on record; the task ends as cancelled soon."""
    word = await _word(request, Word)
    record = await doors_of(request).control.tell(_control(request, ControlAction.CANCEL, word))
    return record_answer(record, 202)


@router.post(
    "/v1/tasks/{task_id}/approve",
    summary="Approve or deny a task, or one of its steps, that waits for a person",
    responses=answers({202: TaskRecord}),
    openapi_extra=body_of(Decision, required=False),
    response_model=None,
)
async def decide_task(request: Request) -> Response:
    """Put the decision on record; the task goes on once every waiting step is decided."""
    decision = await _word(request, Decision)
    action = ControlAction.APPROVE if decision.approve else ControlAction.DENY
    return record_answer(await doors_of(request).control.tell(_control(request, action, decision)), 202)


@router.post(
    "/v1/tasks/{task_id}/deny",
    summary="Deny a task that waits for a person",
    responses=answers({202: TaskRecord}),
    openapi_extra=body_of(Word, required=False),
    response_model=None,
)
async def deny_task(request: Request) -> Response:
    """The same as approve with ``approve`` false."""
    word = await _word(request, Word)
    return record_answer(await doors_of(request).control.tell(_control(request, ControlAction.DENY, word)), 202)


@router.post(
    "/v1/tasks/{task_id}/feedback",
    summary="Say what you think of a task's result",
    responses=answers({202: Feedback}),
    openapi_extra=body_of(FeedbackDraft),
    response_model=None,
)
async def give_feedback(request: Request) -> Response:
    """Store an opinion, from which routing learns."""
    draft = await read_model(request, FeedbackDraft, _SMALL_BODY_BYTES)
    feedback = await doors_of(request).feedback.give(tenant_of(request), task_id_of(request), draft)
    return json_answer(feedback.model_dump_json(), 202)


def _control(request: Request, action: ControlAction, word: Word) -> ControlMessage:
    return ControlMessage(
        task_id=task_id_of(request),
        tenant=tenant_of(request),
        action=action,
        node=word.node,
        reason=word.reason,
        actor=word.actor,
    )


async def _word(request: Request, model: type[Words]) -> Words:
    body = await read_body(request, _SMALL_BODY_BYTES)
    return parse(model, body) if body.strip() else model()
