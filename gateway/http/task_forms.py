"""Reads a task that comes as a form: fields like those of the JSON body, and files that stream into the store.

Called by `tasks`.
"""

import re

import orjson
from starlette.requests import Request

from gateway.claim_check import ClaimCheck, inline_size
from gateway.door_limits import DoorLimits
from gateway.errors import RequestInvalid, SchemaInvalid
from gateway.http.bodies import build
from gateway.http.multipart import FormPart, MultipartReader
from gateway.task_draft import TaskDraft
from schemas.parts import Part, text_part
from schemas.problem import FieldProblem

_JSON_FIELDS = frozenset({"labels", "routing"})
_MOST_PARTS = 64
_MEDIA_TYPE_MAX = 255
_UNSPECIFIC = frozenset({"application/octet-stream", ""})


async def read_task_form(request: Request, claim_check: ClaimCheck, limits: DoorLimits) -> TaskDraft:
    """The form as a draft, its files checked in. Raises RequestInvalid, SchemaInvalid, TooLarge, BlobTooLarge."""
    reader = MultipartReader(request.stream(), request.headers["content-type"])
    values: dict[str, object] = {}
    parts: list[Part] = []
    async for part in reader.parts():
        if part.filename is not None:
            _check_room(parts)
            parts.append(await _file(part, claim_check, parts))
        elif part.name == "text":
            _check_room(parts)
            room = limits.json_body_bytes - sum(len((present.text or "").encode()) for present in parts)
            parts.append(text_part(await part.text(room)))
        else:
            _check_new(part.name, values)
            values[part.name] = _value(part.name, await part.text(limits.inline_bytes))
        if len(values) > len(TaskDraft.model_fields):
            break
    return build(TaskDraft, values | {"parts": parts})


async def _file(part: FormPart, claim_check: ClaimCheck, parts: list[Part]) -> Part:
    said = part.media_type or ""
    media_type = said if said not in _UNSPECIFIC and len(said) <= _MEDIA_TYPE_MAX else None
    inline = sum(inline_size(present) for present in parts)
    return await claim_check.receive(part.chunks, _file_name(part.filename), media_type, inline)


def _file_name(given: str | None) -> str | None:
    """The last component of what browsers and curl send."""
    name = re.split(r"[/\\]", given or "")[-1].replace("\x00", "").strip()[-255:]
    return name if name not in ("", ".", "..") else None


def _value(name: str, text: str) -> object:
    if name == "parts":
        field = FieldProblem(field=name, problem="no field of a form", expected="fields named text, and files")
        raise SchemaInvalid("a form's parts are its texts and files", fields=(field,))
    if name == "file":
        field = FieldProblem(field=name, problem="came without a file name", expected="a file: curl -F file=@PATH")
        raise SchemaInvalid("the form field 'file' came without a file name, so it is no file", fields=(field,))
    if name not in _JSON_FIELDS:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestInvalid(
            f"the form field {name!r} is not JSON: {error}",
            code="invalid_json",
            next_step=f'write it like {name}={{"key":"value"}}',
        ) from error


def _check_new(name: str, values: dict[str, object]) -> None:
    if name in values:
        field = FieldProblem(field=name[:100], problem="came twice", expected="one value")
        raise SchemaInvalid(f"the form field {name!r:.100} came twice", fields=(field,))


def _check_room(parts: list[Part]) -> None:
    if len(parts) >= _MOST_PARTS:
        field = FieldProblem(field="parts", problem="too many texts and files", expected=f"at most {_MOST_PARTS}")
        raise SchemaInvalid(f"a task has at most {_MOST_PARTS} parts", fields=(field,))
