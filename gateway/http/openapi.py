"""Describes the door (OpenAPI 3.1): bodies that routes read themselves, and problem JSON for everything that fails."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from gateway.task_draft import TaskDraft
from gateway.task_feedback import FeedbackDraft
from schemas.base import TOKEN_PATTERN
from schemas.card import AgentCard
from schemas.explain import SearchRequest
from schemas.parts import BlobRef
from schemas.problem import Problem

_REF = "#/components/schemas/"
_FORM_FIELDS = ("priority", "requires_approval", "deadline_s", "max_cost", "labels", "routing")

Parameter = dict[str, Any]


def _parameter(name: str, where: str, schema: dict[str, Any], description: str) -> Parameter:
    return {"name": name, "in": where, "required": False, "schema": schema, "description": description}


WAIT = _parameter("wait", "query", {"type": "number", "minimum": 0}, "wait so many seconds at most for the task's end")
IDEMPOTENCY_KEY = _parameter(
    "Idempotency-Key", "header", {"type": "string", "maxLength": 255}, "the same key is the same task"
)
LAST_EVENT_ID = _parameter(
    "Last-Event-ID", "header", {"type": "integer", "minimum": 0}, "the id of the last event seen; later ones are sent"
)
AFTER = _parameter(
    "after", "query", {"type": "integer", "minimum": 0}, "as Last-Event-ID, for clients that cannot set headers"
)
RANGE = _parameter("Range", "header", {"type": "string", "examples": ["bytes=0-1023"]}, "the part wanted (RFC 9110)")
IF_RANGE = _parameter("If-Range", "header", {"type": "string"}, "the ETag of which the Range is a part")
TENANT = _parameter(
    "X-AOS-Tenant", "header", {"type": "string", "pattern": TOKEN_PATTERN, "default": "default"}, "whose request it is"
)


class TaskAccepted(BaseModel):
    """A task that was durably accepted and has not ended yet."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    state: str
    links: dict[str, str]


def answers(models: dict[int, type[BaseModel]]) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that answers with these models."""
    return {status: {"model": model} for status, model in models.items()}


def body_of(
    model: type[BaseModel],
    examples: dict[str, Any] | None = None,
    *,
    form: bool = False,
    yaml: bool = False,
    required: bool = True,
) -> dict[str, Any]:
    """The ``openapi_extra`` of a route that reads such a body itself."""
    media: dict[str, Any] = {"schema": {"$ref": _REF + model.__name__}}
    content: dict[str, Any] = {"application/json": media | ({"examples": examples} if examples else {})}
    if form:
        content["multipart/form-data"] = {"schema": _form_schema(model)}
    if yaml:
        content["application/yaml"] = media
    return {"requestBody": {"required": required, "content": content}}


def _form_schema(model: type[BaseModel]) -> dict[str, Any]:
    fields = model.model_fields
    properties: dict[str, Any] = {
        name: {"type": "string", "description": fields[name].description or f"as in the JSON body: {name}"}
        for name in _FORM_FIELDS
    }
    properties["text"] = {"type": "string", "description": "the words of the task"}
    properties["file"] = {"type": "array", "items": {"type": "string", "format": "binary"}}
    return {"type": "object", "properties": properties}


def describe(app: FastAPI, bodies: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    """The whole description, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        models: tuple[type[BaseModel], ...] = (
            TaskDraft,
            FeedbackDraft,
            AgentCard,
            SearchRequest,
            BlobRef,
            Problem,
            *bodies,
        )
        _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF + "{model}")
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        components |= {name: value for name, value in definitions["$defs"].items() if name not in components}
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                _with_problem(operation)
                _with_path(operation, path)
                if path.startswith("/v1/"):
                    operation["parameters"].append(TENANT)
        app.openapi_schema = schema
    return app.openapi_schema


def _with_problem(operation: dict[str, Any]) -> None:
    """Every operation may answer with a problem; the framework's own 422 is never sent."""
    responses = operation.setdefault("responses", {})
    responses.pop("422", None)
    content = {"application/problem+json": {"schema": {"$ref": f"{_REF}Problem"}}}
    responses["default"] = {"description": "What went wrong, and what to do next (RFC 9457)", "content": content}


def _with_path(operation: dict[str, Any], path: str) -> None:
    """Every ``{name}`` of the path is a parameter, also where the route reads it itself: generators insist on that."""
    given = operation.setdefault("parameters", [])
    known = {parameter["name"] for parameter in given if parameter["in"] == "path"}
    for name in re.findall(r"{(\w+)}", path):
        if name not in known:
            given.insert(0, {"name": name, "in": "path", "required": True, "schema": {"type": "string"}})
