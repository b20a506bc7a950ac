"""Sends bytes: a task's outputs and stored blobs. Called by `tasks` and `blobs`."""

import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from gateway.http.problems import respond
from schemas.parts import BlobRef, Part
from schemas.problem import Problem
from tensor_layer.errors import BlobNotFound
from tensor_layer.ports import Blobs

_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf", "audio/", "video/")
"""What a browser may show in place. Everything else is saved: markup from an agent must not run as this site's."""

_PAST_THE_END = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
_MEDIA_TYPE = re.compile(r"[\w.+!#$&^-]+/[\w.+!#$&^-]+( *;[ -~]*)?", re.ASCII)
_RANGE = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")

_GUARDS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


async def part_response(request: Request, part: Part, blobs: Blobs, fallback_name: str) -> Response:
    """A part's content with its media type and file name. Raises BlobNotFound, BlobStoreUnavailable."""
    media_type = _media_type(part)
    headers = _GUARDS | {"Content-Disposition": _disposition(part.name or fallback_name, media_type)}
    if part.ref is not None:
        return await blob_response(request, part.ref, blobs, media_type, headers)
    return Response(part.inline_bytes(), media_type=media_type, headers=headers)


def _media_type(part: Part) -> str:
    """What the agent said, where it can stand in a header."""
    said = part.media_type or ("text/plain" if part.text is not None else "")
    return said if _MEDIA_TYPE.fullmatch(said) else "application/octet-stream"


async def blob_response(
    request: Request, ref: BlobRef, blobs: Blobs, media_type: str, headers: dict[str, str] | None = None
) -> Response:
    """A blob's content, in chunks; a range of it when asked for one."""
    headers = _GUARDS | {"ETag": f'"{ref.digest}"', "Cache-Control": "private, immutable"} | (headers or {})
    if _asks_for_ranges(request.headers.get("range", "")):
        if not await blobs.exists(ref):
            raise BlobNotFound(f"there is no content {ref.digest}")
        return _RangesResponse(await blobs.local_path(ref), media_type=media_type, headers=headers)
    chunks = blobs.stream(ref)
    first = await anext(chunks, b"")
    return StreamingResponse(_all(first, chunks), media_type=media_type, headers=headers)


class _RangesResponse(FileResponse):
    """A file's ranges; ones that it does not have are told as a problem."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with what there is."""
        held: str | None = None

        async def without_refusal(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and message["status"] == _PAST_THE_END:
                held = Headers(raw=message["headers"])["content-range"]
            if held is None:
                await send(message)

        await super().__call__(scope, receive, without_refusal)
        if held is not None:
            await _not_satisfiable(scope["path"], held)(scope, receive, send)


def _not_satisfiable(path: str, held: str) -> Response:
    problem = Problem(
        title="Range not satisfiable",
        status=_PAST_THE_END,
        detail=f"the content is {held.removeprefix('bytes */')} bytes long, and the range begins past its end",
        instance=path,
        code="range_not_satisfiable",
        next_step="ask for a range within the content, or for all of it without the header Range",
    )
    response = respond(problem)
    response.headers["Content-Range"] = held
    return response


def _asks_for_ranges(header: str) -> bool:
    """Whether the header Range asks for ranges of bytes. Anything else is ignored (RFC 9110, section 14.2)."""
    unit, _, ranges = header.partition("=")
    return unit.strip().lower() == "bytes" and all(map(_is_range, ranges.split(",")))


def _is_range(text: str) -> bool:
    found = _RANGE.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]):
        return False
    return not (found[1] and found[2]) or int(found[1]) <= int(found[2])


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _disposition(name: str, media_type: str) -> str:
    """RFC 6266: shown or saved, under its own name."""
    how = "inline" if media_type.startswith(_SHOWN) else "attachment"
    return f"{how}; filename*=UTF-8''{quote(name, safe='')}"
