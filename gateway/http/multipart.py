"""Reads multipart/form-data part by part as it streams in (RFC 7578); no part is ever whole in memory or on disk.

Called by `task_forms`. Starlette's own parser spools files to disk first.
"""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.errors import RequestInvalid, TooLarge

_BEGIN, _DATA, _END, _CLOSE = "begin", "data", "end", "close"


@dataclass(frozen=True, slots=True)
class _Event:
    """What the parser met. One chunk of the body may hold several parts, so each begin carries its own headers."""

    kind: str
    data: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FormPart:
    """One field or file of a form. Read its ``chunks`` before asking for the next part."""

    name: str
    filename: str | None
    media_type: str | None
    chunks: AsyncIterator[bytes]

    async def text(self, limit_bytes: int) -> str:
        """A field's value. Raises TooLarge, RequestInvalid."""
        value = bytearray()
        async for chunk in self.chunks:
            value += chunk
            if len(value) > limit_bytes:
                raise TooLarge(f"the form field {self.name!r} is larger than {limit_bytes} bytes")
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise _invalid(f"the form field {self.name!r} is not UTF-8") from error


class MultipartReader:
    """One form, read once. Raises RequestInvalid when it is torn or malformed."""

    def __init__(self, stream: AsyncIterator[bytes], content_type: str) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise _invalid("the Content-Type says no boundary")
        self._stream = stream
        self._events: deque[_Event] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._header = [b"", b""]
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_data,
                    "on_part_end": lambda: self._events.append(_Event(_END)),
                    "on_end": lambda: self._events.append(_Event(_CLOSE)),
                },
            )
        except FormParserError as error:
            raise _invalid(str(error)) from error

    async def parts(self) -> AsyncIterator[FormPart]:
        """Every part in turn."""
        while True:
            event = await self._next()
            if event.kind == _CLOSE:
                return
            if event.kind == _BEGIN:
                chunks = self._chunks()
                yield _part(event.headers, chunks)
                async for _unread in chunks:
                    pass

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            event = await self._next()
            if event.kind == _END:
                return
            yield event.data

    async def _next(self) -> _Event:
        while not self._events:
            try:
                chunk = await anext(self._stream)
            except StopAsyncIteration:
                raise RequestInvalid(
                    "the multipart body ends before its last boundary",
                    code="multipart_truncated",
                    next_step="send the whole body again",
                ) from None
            self._feed(chunk)
        return self._events.popleft()

    def _feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _invalid(str(error)) from error

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header[0].lower()] = self._header[1]
        self._header = [b"", b""]

    def _on_headers_finished(self) -> None:
        self._events.append(_Event(_BEGIN, headers=self._headers))
        self._headers = {}

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(_Event(_DATA, data[start:end]))


def _part(headers: dict[bytes, bytes], chunks: AsyncIterator[bytes]) -> FormPart:
    _, options = parse_options_header(headers.get(b"content-disposition", b""))
    if b"name" not in options:
        raise _invalid("a part has no name in its Content-Disposition")
    filename, media_type = options.get(b"filename"), headers.get(b"content-type")
    return FormPart(
        name=_decoded(options[b"name"]),
        filename=_decoded(filename) if filename is not None else None,
        media_type=_decoded(media_type) if media_type else None,
        chunks=chunks,
    )


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _invalid(problem: str) -> RequestInvalid:
    return RequestInvalid(f"the multipart body cannot be read: {problem}", code="multipart_invalid")
