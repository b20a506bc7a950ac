"""Keeps messages small: content that would make a task's message too large goes to the object store by reference.

Called by admission for parts that came inline, and by the HTTP door for files as they stream in.
"""

import asyncio
import base64
import mimetypes
from collections.abc import AsyncIterable, AsyncIterator, Sequence

from gateway.errors import Overloaded, TaskRefused
from schemas.parts import BlobRef, Modality, Part
from schemas.problem import FieldProblem
from tensor_layer.ports import Blobs

_KEEP_BYTES = 1024
"""Parts this small are never worth a reference, which takes some 150 bytes itself."""


class ClaimCheck:
    """Takes content in. Holds at most ``inline_bytes`` of one stream in memory."""

    def __init__(self, blobs: Blobs, *, inline_bytes: int, attachment_bytes: int, uploads: int = 64) -> None:
        self._blobs = blobs
        self._inline_bytes = inline_bytes
        self._attachment_bytes = attachment_bytes
        self._uploads = uploads
        self._uploading = 0

    async def store(self, chunks: AsyncIterable[bytes]) -> BlobRef:
        """A stream of any size up to the limit. Raises BlobTooLarge, BlobStoreUnavailable, Overloaded."""
        if self._uploading >= self._uploads:
            raise Overloaded(f"{self._uploading} uploads are under way already")
        self._uploading += 1
        try:
            return await self._blobs.put(chunks, self._attachment_bytes)
        finally:
            self._uploading -= 1

    async def receive(
        self, chunks: AsyncIterable[bytes], name: str | None, media_type: str | None, already_inline_bytes: int = 0
    ) -> Part:
        """A file as a part: inside the message while there is room beside what is inline already, else by reference.

        Raises BlobTooLarge, BlobStoreUnavailable, Overloaded.
        """
        room = _decoded_size(self._inline_bytes - already_inline_bytes)
        media_type = media_type or (mimetypes.guess_type(name)[0] if name else None)
        source = aiter(chunks)
        head, ended = await _take(source, room)
        if ended:
            return Part(name=name, media_type=media_type, data=base64.b64encode(head).decode())
        ref = await self.store(_joined(head, source))
        return Part(name=name, media_type=media_type, ref=ref)

    async def check_in(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """The parts as a message may carry them. Raises TaskRefused for a reference to nothing."""
        refs = {index: part.ref for index, part in enumerate(parts) if part.ref is not None}
        present = await asyncio.gather(*(self._blobs.keep(ref) for ref in refs.values()))
        missing = [index for index, there in zip(refs, present, strict=True) if not there]
        if missing:
            raise _missing(missing, refs)
        return await self.lighten(parts)

    async def lighten(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """The same parts, the largest ones by reference as far as it takes to fit. Raises BlobStoreUnavailable."""
        lighter = list(parts)
        for index in heaviest(parts, self._inline_bytes):
            lighter[index] = await self._by_reference(lighter[index])
        return tuple(lighter)

    async def _by_reference(self, part: Part) -> Part:
        content = part.inline_bytes()
        assert content is not None
        ref = await self._blobs.put_bytes(content)
        update: dict[str, object] = {"text": None, "data": None, "ref": ref}
        if part.text is not None:
            update |= {"modality": part.modality or Modality.TEXT, "media_type": part.media_type or "text/plain"}
        return part.model_copy(update=update)


def _missing(missing: Sequence[int], refs: dict[int, BlobRef]) -> TaskRefused:
    fields = tuple(
        FieldProblem(
            field=f"parts[{index}].ref.digest",
            problem=f"there is no content {refs[index].digest}",
            expected="the digest that POST /v1/blobs returned",
        )
        for index in missing
    )
    return TaskRefused(
        "the task refers to content that is not in the object store",
        code="attachment_missing",
        next_step="upload it first (POST /v1/blobs), or send it with the task as multipart/form-data",
        fields=fields,
    )


def heaviest(parts: Sequence[Part], limit_bytes: int) -> list[int]:
    """Which parts must leave the message, largest first, until the rest is within the limit."""
    sizes = {index: inline_size(part) for index, part in enumerate(parts)}
    total, leaving = sum(sizes.values()), []
    for index in sorted(sizes, key=lambda i: -sizes[i]):
        if total <= limit_bytes or sizes[index] <= _KEEP_BYTES:
            break
        leaving.append(index)
        total -= sizes[index]
    return leaving


def inline_size(part: Part) -> int:
    """How many bytes the part's content takes inside a message."""
    if part.text is not None:
        return len(part.text.encode())
    return len(part.data) if part.data is not None else 0


def _decoded_size(base64_bytes: int) -> int:
    return max(0, base64_bytes) // 4 * 3


async def _take(source: AsyncIterator[bytes], limit_bytes: int) -> tuple[bytes, bool]:
    """Up to and just past the limit, and whether the stream ended before passing it."""
    head = bytearray()
    async for chunk in source:
        head += chunk
        if len(head) > limit_bytes:
            return bytes(head), False
    return bytes(head), True


async def _joined(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest:
        yield chunk
