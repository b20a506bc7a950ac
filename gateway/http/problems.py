"""Turns everything that can go wrong into problem JSON (RFC 9457). The one table of errors to answers."""

import logging
from http import HTTPStatus

import nats.errors
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from agents.error_answers import ANSWERS, Answer, answer_to
from agents.errors import AgentNotFound, AgentsError, BusUnavailable, CardInvalid
from gateway.errors import GatewayError
from gateway.http.methods import allowed
from schemas.field_problems import field_problems, told
from schemas.problem import FieldProblem, Problem, title_of, type_of
from tensor_layer.errors import (
    BlobNotFound,
    BlobTooLarge,
    TensorLayerError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


_ANSWERS = {
    **ANSWERS,
    BusUnavailable: Answer(503, "nothing was accepted; try again, with an Idempotency-Key to be safe", 1),
    AgentNotFound: Answer(404, "GET /v1/agents (aos agents list) shows those that are registered"),
    CardInvalid: Answer(422, "correct the fields and send the card again"),
    BlobNotFound: Answer(404, "upload the content first: POST /v1/blobs"),
    BlobTooLarge: Answer(413, "send less, or raise the attachment limit in aos.toml"),
}


def respond(problem: Problem, retry_after_s: int | None = None) -> Response:
    """The problem as a response."""
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s is not None else None
    body = problem.model_dump_json(exclude_defaults=True, exclude={"type"})
    body = f'{{"type":"{type_of(problem.code)}",{body[1:]}'
    return Response(body, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception, instance: str) -> tuple[Problem, int | None]:
    """What an error of ours says to a client, and after how many seconds to try again."""
    if isinstance(error, GatewayError):
        answer = Answer(error.status, error.next_step, error.retry_after_s)
    else:
        assert isinstance(error, AgentsError | TensorLayerError)
        answer = answer_to(error, _ANSWERS)
    code = str(getattr(error, "code", "internal_error"))
    fields = error.fields if isinstance(error, GatewayError) else ()
    if isinstance(error, CardInvalid):
        fields = _card_fields(error)
    problem = Problem(
        title=title_of(code),
        status=answer.status,
        detail=str(error),
        instance=instance,
        code=code,
        next_step=answer.next_step,
        fields=fields,
    )
    return problem, answer.retry_after_s


def install(app: FastAPI) -> None:
    """Answer every error of the app by the table."""
    for ours in (GatewayError, AgentsError, TensorLayerError):
        app.add_exception_handler(ours, _ours)
    app.add_exception_handler(nats.errors.Error, _bus)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _defect)


async def _ours(request: Request, error: Exception) -> Response:
    problem, retry_after_s = problem_of(error, request.url.path)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("%s %s: %s: %s", request.method, request.url.path, problem.code, error)
    return respond(problem, retry_after_s)


async def _bus(request: Request, error: Exception) -> Response:
    """A bus error that no use case has put into words."""
    return await _ours(request, BusUnavailable(f"the bus does not answer: {str(error) or type(error).__name__}"))


async def _parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = field_problems(list(error.errors()))
    return respond(invalid(fields, request.url.path))


def invalid(fields: tuple[FieldProblem, ...], instance: str, code: str = "schema_invalid") -> Problem:
    """A problem about fields, told in its detail too."""
    detail = told(fields)
    return Problem(title=title_of(code), status=422, detail=detail, instance=instance, code=code, fields=fields)


async def _http(request: Request, error: Exception) -> Response:
    """404 and 405 of the router, and whatever the framework refuses."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = status.name.lower()
    next_step = "see /docs for what is here" if status in (404, 405) else ""
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=f"{request.method} {request.url.path}: {error.detail}",
        instance=request.url.path,
        code=code,
        next_step=next_step,
    )
    response = respond(problem)
    response.headers.update(error.headers or {})
    methods = allowed(request.app.state.routes, request.scope) if status == HTTPStatus.METHOD_NOT_ALLOWED else ""
    if methods:  # the framework names those of one route only
        response.headers["Allow"] = methods
    return response


async def _gone(request: Request, _error: Exception) -> Response:
    """The client left in the middle of its request; nobody reads this."""
    problem = Problem(title="Client gone", status=400, code="client_gone", instance=request.url.path)
    return respond(problem)


async def _defect(request: Request, error: Exception) -> Response:
    """A defect of ours: its story goes to the log, not to the client."""
    logger.error("%s %s met a defect", request.method, request.url.path, exc_info=error)
    problem = Problem(
        title="Internal error",
        status=500,
        detail="the gateway met a defect; its log tells more",
        instance=request.url.path,
        code="internal_error",
    )
    return respond(problem)


def _card_fields(error: CardInvalid) -> tuple[FieldProblem, ...]:
    return tuple(
        FieldProblem(
            field=item.field,
            problem=f"line {item.line}: {item.problem}" if item.line else item.problem,
            expected=item.expected,
            example=item.example,
        )
        for item in error.problems
    )
