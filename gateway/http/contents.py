"""Sends bytes: a task's outputs and stored blobs. Called by `tasks` and `blobs`."""

from collections.abc import AsyncIterator
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from schemas.parts import BlobRef, Part
from tensor_layer.errors import BlobNotFound
from tensor_layer.ports import Blobs

_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf", "audio/", "video/")
"""What a browser may show in place. Everything else is saved: markup from an agent must not run as this site's."""

_GUARDS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


async def part_response(request: Request, part: Part, blobs: Blobs, fallback_name: str) -> Response:
    """A part's content with its media type and file name. Raises BlobNotFound, BlobStoreUnavailable."""
    media_type = part.media_type or ("text/plain" if part.text is not None else "application/octet-stream")
    headers = _GUARDS | {"Content-Disposition": _disposition(part.name or fallback_name, media_type)}
    if part.ref is not None:
        return await blob_response(request, part.ref, blobs, media_type, headers)
    return Response(part.inline_bytes(), media_type=media_type, headers=headers)


async def blob_response(
    request: Request, ref: BlobRef, blobs: Blobs, media_type: str, headers: dict[str, str] | None = None
) -> Response:
    """A blob's content, in chunks; a range of it when asked for one."""
    headers = _GUARDS | {"ETag": f'"{ref.digest}"', "Cache-Control": "private, immutable"} | (headers or {})
    if "range" in request.headers:
        if not await blobs.exists(ref):
            raise BlobNotFound(f"there is no content {ref.digest}")
        return FileResponse(await blobs.local_path(ref), media_type=media_type, headers=headers)
    chunks = blobs.stream(ref)
    first = await anext(chunks, b"")
    return StreamingResponse(_all(first, chunks), media_type=media_type, headers=headers)


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _disposition(name: str, media_type: str) -> str:
    """RFC 6266: shown or saved, under its own name."""
    how = "inline" if media_type.startswith(_SHOWN) else "attachment"
    return f"{how}; filename*=UTF-8''{quote(name, safe='')}"
