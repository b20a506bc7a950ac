"""A task's record as an answer. Used by the routes about tasks and about what people say to them."""

from starlette.responses import Response

from schemas.task import TaskRecord


def record_answer(record: TaskRecord, status: int = 200) -> Response:
    """The record, as its sender may see it."""
    return json_answer(told(record), status)


def told(record: TaskRecord) -> str:
    """What the record says; an ended task's sender need not be sent what was asked."""
    return (record.model_copy(update={"submission": None}) if record.state.terminal else record).model_dump_json()


def json_answer(body: str, status: int = 200) -> Response:
    """JSON that is written already."""
    return Response(body, status_code=status, media_type="application/json")
