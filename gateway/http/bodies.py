"""Reads what comes with a request: the tenant, a bounded body, a model, the time to wait. Called by the routes."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from gateway.errors import MediaTypeUnsupported, RequestInvalid, SchemaInvalid, TaskNotFound, TooLarge
from schemas.base import is_token
from schemas.field_problems import field_problems, told
from schemas.json_bodies import VALUES_MAX, has_too_many_values
from schemas.problem import FieldProblem

HEADER_TENANT = "X-AOS-Tenant"
HEADER_IDEMPOTENCY_KEY = "Idempotency-Key"
DEFAULT_TENANT = "default"

Model = TypeVar("Model", bound=BaseModel)


def tenant_of(request: Request) -> str:
    """Whose tasks and agents the request is about."""
    tenant = request.headers.get(HEADER_TENANT, DEFAULT_TENANT)
    if not is_token(tenant):
        raise RequestInvalid(
            f"the header {HEADER_TENANT} is not a tenant",
            code="tenant_invalid",
            next_step="use 1-64 letters, digits, '_' and '-', or leave the header out",
        )
    return tenant


def task_id_of(request: Request) -> str:
    """The task that the path names."""
    task_id: str = request.path_params["task_id"]
    if not is_token(task_id):
        raise TaskNotFound(f"{task_id!r} is no task id")
    return task_id


def media_type_of(request: Request) -> str:
    """The body's media type, lower case, without parameters; empty when the client did not say."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_model(request: Request, model: type[Model], limit_bytes: int) -> Model:
    """A JSON body as a model. Raises MediaTypeUnsupported, TooLarge, RequestInvalid, SchemaInvalid."""
    media_type = media_type_of(request)
    if media_type not in ("", "application/json") and not media_type.endswith("+json"):
        raise MediaTypeUnsupported(
            f"a body of type {media_type} cannot be read here", next_step="send Content-Type: application/json"
        )
    return parse(model, await read_body(request, limit_bytes))


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body, refused as soon as it passes the limit."""
    check_announced(request, limit_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
    return bytes(body)


def text_of(body: bytes) -> str:
    """The body as text. Raises RequestInvalid when it is not UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RequestInvalid(f"the body is not UTF-8: {error}", code="invalid_encoding") from error


def check_announced(request: Request, limit_bytes: int) -> None:
    """Refuse a body that says at once that it is too large."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise _too_large(limit_bytes)


def parse(model: type[Model], body: bytes) -> Model:
    """JSON as a model, parsed and validated in one go."""
    if has_too_many_values(body):
        raise RequestInvalid(
            f"the body holds more than {VALUES_MAX} values",
            code="too_many_values",
            next_step="send less at a time, and large content as text, base64 or by reference",
        )
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error, model) from error


def build(model: type[Model], values: dict[str, object]) -> Model:
    """Values of a form as a model."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _refusal(error, model) from error


def wait_s_of(request: Request, limit_s: float) -> float:
    """How long the client wants to wait for the end; 0 when it does not."""
    wanted = request.query_params.get("wait")
    if wanted is None:
        return 0.0
    try:
        seconds = float(wanted)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= limit_s:
        field = FieldProblem(
            field="query.wait", problem=f"{wanted!r:.40} seconds", expected=f"0 to {limit_s:g} seconds", example=30
        )
        raise SchemaInvalid("wait is out of range", fields=(field,))
    return seconds


def _refusal(error: ValidationError, model: type[BaseModel]) -> RequestInvalid | SchemaInvalid:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        return RequestInvalid(
            f"the body is not JSON: {errors[0]['msg']}",
            code="invalid_json",
            next_step="check quotes and commas, and that the body is UTF-8",
        )
    fields = field_problems(list(errors), model)
    return SchemaInvalid(told(fields), fields=fields)


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(
        f"the body is larger than {limit_bytes} bytes",
        next_step="send large content as multipart/form-data, or upload it with POST /v1/blobs and refer to it",
    )
