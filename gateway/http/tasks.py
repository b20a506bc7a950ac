"""The routes about tasks. The innermost path, POST /v1/tasks, reads and answers without the framework's models."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.admission import Accepted, identify
from gateway.errors import NotFound, RequestInvalid, StateConflict
from gateway.http import event_stream
from gateway.http.bodies import (
    HEADER_IDEMPOTENCY_KEY,
    media_type_of,
    parse,
    read_body,
    read_model,
    task_id_of,
    tenant_of,
    wait_s_of,
)
from gateway.http.contents import part_response
from gateway.http.doors import Doors, doors_of
from gateway.http.openapi import (
    AFTER,
    IDEMPOTENCY_KEY,
    IF_RANGE,
    LAST_EVENT_ID,
    RANGE,
    WAIT,
    TaskAccepted,
    answers,
    body_of,
)
from gateway.http.task_answers import json_answer, record_answer, told
from gateway.http.task_forms import read_task_form
from gateway.http.waiting import while_there
from gateway.task_draft import EXAMPLES, TaskDraft
from gateway.task_ledger import TaskPage
from schemas.task import TaskRecord, TaskState

router = APIRouter(tags=["tasks"])


@router.post(
    "/v1/tasks",
    summary="Submit a task",
    description="JSON, or multipart/form-data with files. 202 once the task is durably accepted; with ?wait= 200 and "
    "the finished task if it ends in time. The same Idempotency-Key is the same task, for as long as it is on record.",
    responses=answers({202: TaskAccepted, 200: TaskRecord}),
    openapi_extra=body_of(TaskDraft, EXAMPLES, form=True) | {"parameters": [WAIT, IDEMPOTENCY_KEY]},
    response_model=None,
)
async def submit(request: Request) -> Response:
    """Accept a task; wait for its end when asked to."""
    doors, tenant = doors_of(request), tenant_of(request)
    wait_s = wait_s_of(request, doors.limits.wait_s)
    key = request.headers.get(HEADER_IDEMPOTENCY_KEY)
    task_id = identify(tenant, key)
    draft = await read_draft(request, doors)
    if not wait_s:
        accepted = await doors.admission.admit(tenant, draft, task_id=task_id, idempotency_key=key)
        return _accepted(doors, accepted, None)
    async with doors.following.watch(tenant, task_id) as watch:
        accepted = await doors.admission.admit(tenant, draft, task_id=task_id, idempotency_key=key)
        ended = accepted.record if accepted.record.state.terminal else await while_there(request, watch.ended(wait_s))
    return _accepted(doors, accepted, ended)


async def read_draft(request: Request, doors: Doors) -> TaskDraft:
    """The task in the request's body, whichever way it is written."""
    media_type = media_type_of(request)
    if media_type == "multipart/form-data":
        return await read_task_form(request, doors.claim_check, doors.limits)
    if media_type in ("application/json", ""):
        return parse(TaskDraft, await read_body(request, doors.limits.json_body_bytes))
    return await read_model(request, TaskDraft, doors.limits.json_body_bytes)


def _accepted(doors: Doors, accepted: Accepted, ended: TaskRecord | None) -> Response:
    record = ended or accepted.record
    if not accepted.repeated:
        doors.metrics.accepted(record.priority)
    headers = {"Location": f"/v1/tasks/{record.task_id}"}
    if accepted.repeated:
        headers["Idempotency-Replayed"] = "true"
    if record.state.terminal:
        return Response(told(record), media_type="application/json", headers=headers)
    return Response(_links(record), status_code=202, media_type="application/json", headers=headers)


def _links(record: TaskRecord) -> bytes:
    here = f"/v1/tasks/{record.task_id}"
    links = {"self": here, "events": f"{here}/events", "cancel": f"{here}/cancel"}
    return orjson.dumps({"task_id": record.task_id, "state": record.state.value, "links": links})


@router.get("/v1/tasks", summary="List tasks, the most recently changed first", responses=answers({200: TaskPage}))
async def list_tasks(
    request: Request,
    state: TaskState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="from the page before")] = None,
) -> Response:
    """A page of tasks. A cursor may come with few tasks, or none, when a filter matches rarely: go on with it."""
    page = await doors_of(request).ledger.page(tenant_of(request), state=state, limit=limit, before_seq=cursor)
    return json_answer(page.model_dump_json())


@router.get(
    "/v1/tasks/{task_id}",
    summary="Read a task",
    responses=answers({200: TaskRecord}),
    openapi_extra={"parameters": [WAIT]},
)
async def get_task(request: Request) -> Response:
    """The task's record; with ?wait= as soon as it has ended, or as it stands then."""
    doors, tenant, task_id = doors_of(request), tenant_of(request), task_id_of(request)
    wait_s = wait_s_of(request, doors.limits.wait_s)
    if not wait_s:
        return record_answer((await doors.ledger.get(tenant, task_id)).record)
    async with doors.following.watch(tenant, task_id) as watch:
        held = await doors.ledger.get(tenant, task_id)
        ended = held.record if held.record.state.terminal else await while_there(request, watch.ended(wait_s))
    return record_answer(ended or (await doors.ledger.get(tenant, task_id)).record)


@router.get(
    "/v1/tasks/{task_id}/events",
    summary="Follow a task",
    description="Server-sent events: id is the sequence to resume from with Last-Event-ID, event is the kind, data is "
    "a TaskEvent. Ends after the task has.",
    responses={200: {"content": {event_stream.MEDIA_TYPE: {"schema": {"type": "string"}}}}},
    openapi_extra={"parameters": [LAST_EVENT_ID, AFTER]},
    response_model=None,
)
async def follow_task(request: Request) -> Response:
    """The task's events from the beginning, or after the one that the client saw last."""
    doors, tenant, task_id = doors_of(request), tenant_of(request), task_id_of(request)
    after_seq = _last_event_id(request)
    await doors.following.check(tenant, task_id)
    story = event_stream.told(doors.following, tenant, task_id, after_seq)
    return StreamingResponse(story, media_type=event_stream.MEDIA_TYPE, headers=event_stream.HEADERS)


def _last_event_id(request: Request) -> int:
    given = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not (given.isascii() and given.isdecimal() and len(given) < 19):
        raise RequestInvalid("Last-Event-ID is not the id of an event", next_step="send the id of the last event seen")
    return int(given)


@router.get(
    "/v1/tasks/{task_id}/outputs/{index}",
    summary="Read one output's bytes",
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
    openapi_extra={"parameters": [RANGE, IF_RANGE]},
    response_model=None,
)
async def read_output(request: Request, index: int) -> Response:
    """The content of one part of the task's result, counted from 0."""
    doors = doors_of(request)
    record = (await doors.ledger.get(tenant_of(request), task_id_of(request))).record
    outputs = record.result.outputs if record.result else ()
    if not record.state.terminal:
        raise StateConflict(
            f"task {record.task_id} has no outputs yet; it is {record.state.value}",
            code="task_not_finished",
            next_step=f"wait for it: GET /v1/tasks/{record.task_id}?wait=30",
        )
    if not 0 <= index < len(outputs):
        raise NotFound(f"task {record.task_id} has {len(outputs)} outputs, counted from 0", code="output_not_found")
    return await part_response(request, outputs[index], doors.blobs, f"output-{index}")
