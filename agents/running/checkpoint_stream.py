"""The checkpoint stream as a keyed store: put once or again, read by prefix, purge. Called by the saver only.

Every put is idempotent (one message for a subject, same content), so it is repeated until the bus acknowledges it:
a server that restarts costs a pause, never a step.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from nats import errors as nats_errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError, ServiceUnavailableError

from agents.errors import BusUnavailable
from agents.running.frames import Value, pack, unpack
from schemas import checkpoint_subjects, subjects

T = TypeVar("T")

REQUEST_TIMEOUT_S = 3.0
PATIENCE_S = 30.0
PAGE_MESSAGES = 256
PAGE_BYTES = 8 * 1024 * 1024
PARTS_IN_FLIGHT = 8
HEADERS_BYTES = 1024
DELIVERY_OVERHEAD_BYTES = 1024
"""What a direct get adds to a message (subject, sequence, time as headers): room kept below the bus limit."""

_WRONG_LAST_SEQUENCE = 10071
_FULL = frozenset({10002, 10023, 10028, 10047, 10077, 10122})
"""No room in the stream, the account or on the disk: waiting here would not help."""
_ONLY_FIRST = {"Nats-Expected-Last-Subject-Sequence": "0"}


class _CopyIsBehind(Exception):
    """The copy of the stream that was asked lacks what its leader has."""


_AWAY = (
    _CopyIsBehind,
    nats_errors.TimeoutError,
    nats_errors.NoRespondersError,
    nats_errors.NoServersError,
    nats_errors.StaleConnectionError,
    nats_errors.ConnectionReconnectingError,
    nats_errors.OutboundBufferLimitError,
    NoStreamResponseError,
    ServiceUnavailableError,
)


class CheckpointStream:
    """Values under subjects of the stream. Safe for concurrent use by any number of workers.

    Raises BusUnavailable when the bus stays away for ``patience_s`` or the stream's quota is full.
    """

    def __init__(self, nc: Client, *, patience_s: float = PATIENCE_S) -> None:
        self._nc = nc
        self._js: JetStreamContext = nc.jetstream(timeout=REQUEST_TIMEOUT_S)
        self._patience_s = patience_s
        self._copies: int | None = None

    async def put(self, subject: str, value: Value, *, only_first: bool = False) -> bool:
        """Store durably. With ``only_first`` what is there already stays, and the answer is False."""
        frames = pack(value, self._nc.max_payload - HEADERS_BYTES - DELIVERY_OVERHEAD_BYTES)
        for start in range(0, len(frames.parts), PARTS_IN_FLIGHT):
            batch = enumerate(frames.parts[start : start + PARTS_IN_FLIGHT], start)
            await asyncio.gather(
                *(self._publish(checkpoint_subjects.part(subject, frames.digest, n), part) for n, part in batch)
            )
        return await self._publish(subject, frames.head, only_first=only_first)

    async def put_raw(self, messages: Mapping[str, bytes]) -> None:
        """Store messages as they were read by ``read_raw``, in the same order: heads come after their parts."""
        for subject, payload in messages.items():
            await self._publish(subject, payload)

    async def read(self, subject_filter: str) -> dict[str, Value]:
        """Every value under the filter by its subject, in the order of storing."""
        raw = await self.read_raw(subject_filter)
        values = {}
        for subject, payload in raw.items():
            if checkpoint_subjects.address(subject) is None:
                continue
            value = unpack(payload, _parts_of(subject, raw))
            if value is not None:
                values[subject] = value
        return values

    async def read_raw(self, subject_filter: str) -> dict[str, bytes]:
        """Every message under the filter, parts of large values included, in the order of storing.

        Pages come from any copy of the stream. Where it has several, they are read again until they hold what its
        leader knows of.
        """
        return await self._patiently(partial(self._read_all, subject_filter))

    async def _read_all(self, subject_filter: str) -> dict[str, bytes]:
        newest = 0
        if await self._has_copies() and not (newest := await self._newest(subject_filter)):
            return {}
        messages: dict[str, bytes] = {}
        seen = 0
        sequence: int | None = 1
        while sequence is not None:
            page, sequence = await self._patiently(partial(self._read_page, subject_filter, sequence))
            for seq, subject, payload in page:
                seen = seq
                messages.pop(subject, None)
                messages[subject] = payload
        if seen < newest:
            raise _CopyIsBehind
        return messages

    async def _newest(self, subject_filter: str) -> int:
        """The sequence of the last message under the filter; 0 where there is none."""
        try:
            return (await self._js.get_last_msg(subjects.STREAM_CHECKPOINTS, subject_filter)).seq or 0
        except NotFoundError:
            return 0

    async def _has_copies(self) -> bool:
        """Asked once: where there is a single one, asking it twice would cost each task a round trip."""
        if self._copies is None:
            self._copies = (await self._js.stream_info(subjects.STREAM_CHECKPOINTS)).config.num_replicas or 1
        return self._copies > 1

    async def threads(self) -> list[str]:
        """Ids of all threads that have a checkpoint."""
        info = await self._patiently(
            lambda: self._js.stream_info(subjects.STREAM_CHECKPOINTS, checkpoint_subjects.CHECKPOINTS_ONLY)
        )
        addresses = map(checkpoint_subjects.address, info.state.subjects or ())
        return sorted({address.thread_id for address in addresses if address})

    async def purge(self, subject_filter: str) -> None:
        """Delete every message under the filter; none is no error."""
        await self._patiently(lambda: self._js.purge_stream(subjects.STREAM_CHECKPOINTS, subject=subject_filter))

    async def _publish(self, subject: str, payload: bytes, *, only_first: bool = False) -> bool:
        headers = _ONLY_FIRST if only_first else None
        try:
            await self._patiently(lambda: self._js.publish(subject, payload, headers=headers))
        except APIError as refusal:
            if only_first and refusal.err_code == _WRONG_LAST_SEQUENCE:
                return False
            raise BusUnavailable(f"the checkpoint stream refuses {subject}: {refusal.description}") from refusal
        return True

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        deadline = time.monotonic() + self._patience_s
        pause_s = 0.05
        while True:
            try:
                return await attempt()
            except _AWAY as problem:
                if isinstance(problem, APIError) and problem.err_code in _FULL:
                    raise
                if time.monotonic() + pause_s > deadline:
                    raise BusUnavailable("the bus does not store or give checkpoints just now") from problem
            except nats_errors.ConnectionClosedError as problem:
                raise BusUnavailable("the connection to the bus is closed") from problem
            await asyncio.sleep(pause_s)
            pause_s = min(1.0, pause_s * 2)

    async def _read_page(self, subject_filter: str, sequence: int) -> tuple[list[tuple[int, str, bytes]], int | None]:
        """One batched direct get (ADR-31): a page in one round trip, and the sequence where the next one begins."""
        inbox = self._nc.new_inbox()
        subscription = await self._nc.subscribe(inbox)
        wanted = {"seq": sequence, "next_by_subj": subject_filter, "batch": PAGE_MESSAGES, "max_bytes": PAGE_BYTES}
        page: list[tuple[int, str, bytes]] = []
        try:
            await self._nc.publish(
                f"$JS.API.DIRECT.GET.{subjects.STREAM_CHECKPOINTS}", json.dumps(wanted).encode(), reply=inbox
            )
            while True:
                message = await subscription.next_msg(REQUEST_TIMEOUT_S)
                headers = message.headers or {}
                if "Nats-Subject" not in headers:
                    return page, _next_sequence(message, headers)
                page.append((int(headers["Nats-Sequence"]), headers["Nats-Subject"], message.data))
        finally:
            if not self._nc.is_closed:
                await subscription.unsubscribe()


def _next_sequence(end: Msg, headers: Mapping[str, str]) -> int | None:
    """Where to read on after the message that ends a page: 204 end of batch, 404 nothing there, 503 nobody answers."""
    status = headers.get("Status")
    if status == "503":
        raise nats_errors.NoRespondersError
    if status == "404" or int(headers.get("Nats-Num-Pending", "0")) == 0:
        return None
    return int(headers["Nats-Last-Sequence"]) + 1


def _parts_of(subject: str, raw: Mapping[str, bytes]) -> Callable[[str, int], bytes | None]:
    return lambda digest, index: raw.get(checkpoint_subjects.part(subject, digest, index))
