"""One HTTP connection with the bounds that uvicorn's own lacks, so that no client holds the door. Used by `server`.

A head without an end costs the event loop minutes (its pieces are joined anew each time), and who stops in the middle,
or sends a byte a minute, holds an upload's place for ever. What cannot be read as a request is told as problem JSON, as
every other error is.
"""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.http.problems import MEDIA_TYPE
from schemas.problem import Problem

HEAD_BYTES_MAX = 64 * 1024
"""Of a request's line and headers together; proxies allow 8 to 32 KiB."""
LEAST_BYTES_S = 1024
"""Of a request that is being sent, over any stretch of patience. A phone line brings four times that, and 2 GiB within
a week; with fewer, holding a place would cost nothing."""
_HEAD_TOO_LARGE = Problem(
    title="Head too large",
    status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    detail=f"the request's line and headers are longer than {HEAD_BYTES_MAX} bytes",
    code="head_too_large",
    next_step="send fewer or shorter headers, and content in the body",
)
_UNREADABLE = Problem(
    title="Request invalid",
    status=HTTPStatus.BAD_REQUEST,
    detail="this is no HTTP/1.1 request",
    code="request_invalid",
    next_step="check the request's line, its headers and the lengths that they announce; speak http, not https",
)
_STALLED = Problem(
    title="Request timeout",
    status=HTTPStatus.REQUEST_TIMEOUT,
    detail=f"the rest of the request did not come, or with fewer than {LEAST_BYTES_S} bytes a second",
    code="request_timeout",
    next_step="send the whole request again",
)


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection, which also refuses endless heads and tells when its client has stopped."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own, passed on
        super().__init__(*arguments, **named)
        self._in_head = False
        self._head_bytes = 0
        self._only_head = True
        self._refusal = _UNREADABLE
        self._moved_at = self.loop.time()
        self._unsent = 0

    def data_received(self, data: bytes) -> None:
        """Read on, unless it is too much of a head. What comes buys its sender time, as far as up to now."""
        self._moved_at = min(self.loop.time(), self._moved_at + len(data) / LEAST_BYTES_S)
        self._only_head = True
        super().data_received(data)
        if self._in_head and self._only_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._tell(_HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._moved_at = self.loop.time()
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """The head is here: its request starts, when it is not too large."""
        self._only_head = False
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES_MAX:
            self._refusal = _HEAD_TOO_LARGE
            raise ValueError(_HEAD_TOO_LARGE.detail)  # ends the parsing, and comes back as send_400_response
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is here."""
        self._only_head = False
        super().on_message_complete()

    def resume_writing(self) -> None:
        """The client took most of what was written."""
        self._moved_at = self.loop.time()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """From now on the client is waited for."""
        self._moved_at = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Say why, as problem JSON."""
        self._tell(self._refusal)

    def drop_if_stalled(self, now: float, patience_s: float) -> None:
        """End the connection when it waits for its client, who has sent too little, or taken nothing, for so long."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._moved_at = unsent, now
        elif not unsent and self._is_unread():
            self._moved_at = now  # it is the door that is slow
        if self.transport.is_closing() or now - self._moved_at < patience_s:
            return
        if unsent:
            self.transport.abort()
        elif self._lacks_body() or (self._in_head and self._is_free()):
            self._tell(_STALLED)
        elif self._is_free() and (self.cycle is None or self.cycle.more_body):
            self.transport.close()  # neither of them has uvicorn's own timer

    def _is_unread(self) -> bool:
        """Whether some of a body is here and has not been read, or nobody has asked for it yet."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        return bool(cycle.body) or cycle.waiting_for_100_continue or self.flow.read_paused

    def _lacks_body(self) -> bool:
        """Whether a request has been handed on, all of it that came was read, and more was announced."""
        cycle = self.cycle
        return cycle is not None and cycle.more_body and not cycle.response_complete and not self._is_unread()

    def _is_free(self) -> bool:
        """Whether no answer is under way or due."""
        return self.cycle is None or self.cycle.response_complete

    def _tell(self, problem: Problem) -> None:
        """Answer with the problem, unless an earlier request's answer is due, and hang up."""
        if self._is_free() or not (self.cycle.response_started or self._in_head):
            body = problem.model_dump_json(exclude_defaults=True).encode()
            status = HTTPStatus(problem.status)
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
            self.transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        self.transport.close()


async def drop_stalled(connections: Iterable[Any], patience_s: float) -> None:
    """Look after the connections until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(patience_s / 4)
        for connection in list(connections):
            if isinstance(connection, BoundedConnection):
                connection.drop_if_stalled(loop.time(), patience_s)
