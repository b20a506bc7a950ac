"""What a bus service answers when it cannot answer: a `Problem`, marked by the headers of NATS services (ADR-32).

Called by `services`; the doors read it in `gateway.worker_desk`.
"""

import logging

from faststream.nats import NatsResponse
from pydantic import BaseModel, ValidationError

from agents.error_answers import answer_to
from agents.errors import AgentsError
from schemas import subjects
from schemas.field_problems import field_problems, told
from schemas.json_bodies import VALUES_MAX
from schemas.problem import Problem, title_of, type_of
from tensor_layer.errors import TensorLayerError

logger = logging.getLogger(__name__)

_CONTENT_PROBLEM = "application/problem+json"


def too_many_values(model: type[BaseModel]) -> Problem:
    """Nobody reads a request of that many values."""
    said = f"the request holds more than {VALUES_MAX} values"
    return _problem(400, "too_many_values", said, f"send a {model.__name__} with less in it")


def problem_of(error: Exception, model: type[BaseModel]) -> Problem:
    """What went wrong while a request, which should read as ``model``, was answered. Defects go to the log."""
    if isinstance(error, ValidationError):
        return _unread(error, model)
    if isinstance(error, AgentsError | TensorLayerError):
        answer = answer_to(error)
        return _problem(answer.status, error.code, str(error), answer.next_step)
    logger.error("%s met a defect", model.__name__, exc_info=error)
    return _problem(500, "internal_error", "the worker met a defect", "see the worker's log")


def reply_of(problem: Problem) -> NatsResponse:
    """The problem as a reply."""
    headers = {
        "content-type": _CONTENT_PROBLEM,  # as FastStream spells it: another spelling would be a second header
        subjects.HEADER_SERVICE_ERROR: problem.code,
        subjects.HEADER_SERVICE_ERROR_CODE: str(problem.status),
    }
    return NatsResponse(problem.model_dump_json().encode(), headers=headers)


def _unread(error: ValidationError, model: type[BaseModel]) -> Problem:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        said = f"the request is not JSON: {errors[0]['msg']}"
        return _problem(400, "invalid_json", said, f"send a {model.__name__} as JSON in UTF-8")
    fields = field_problems(errors, model)
    problem = _problem(422, "schema_invalid", told(fields), f"correct the fields of the {model.__name__}")
    return problem.model_copy(update={"fields": fields})


def _problem(status: int, code: str, detail: str, next_step: str) -> Problem:
    kind, title = type_of(code), title_of(code)
    return Problem(type=kind, title=title, status=status, detail=detail, code=code, next_step=next_step)
