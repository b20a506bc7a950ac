"""Reads stored messages straight from a stream, without a consumer. Called by lists, event streams and dead letters.

The server's batched direct get (nats-server 2.11, ADR-31): one request, many replies, nothing to clean up, and any
replica of the stream may answer.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from agents.errors import BusUnavailable

_PENDING_MESSAGES = 4096
_PENDING_BYTES = 64 * 1024 * 1024
_MAX_BATCH = 512
_MAX_BATCH_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """One message as the stream holds it."""

    seq: int
    subject: str
    data: bytes
    stored_at: datetime
    deleted: bool
    """Whether it is a key-value tombstone."""


class StreamReader:
    """Reads of one stream. Safe for concurrent use; every failure of the bus becomes BusUnavailable."""

    def __init__(self, nc: Client, stream: str, *, timeout_s: float = 5.0) -> None:
        self._nc = nc
        self._subject = f"$JS.API.DIRECT.GET.{stream}"
        self._info = f"$JS.API.STREAM.INFO.{stream}"
        self._timeout_s = timeout_s

    async def one(self, seq: int) -> Stored | None:
        """The message of that sequence, or None."""
        return await self._single({"seq": seq})

    async def last(self, subject: str) -> Stored | None:
        """The newest message of a subject, which may hold wildcards."""
        return await self._single({"last_by_subj": subject})

    async def subjects(self, pattern: str) -> list[str]:
        """Those of the pattern that messages lie under, in order; of key-value buckets also removed keys."""
        found: list[str] = []
        while True:
            told = await self._told({"subjects_filter": pattern, "offset": len(found)})
            some = told["state"].get("subjects") or {}
            found += some
            if not some or len(found) >= told.get("total", 0):
                return sorted(found)

    async def created(self) -> str:
        """When the stream was made, to the nanosecond."""
        return str((await self._told({}))["created"])

    async def _told(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The server's description of the stream."""
        try:
            reply = await self._nc.request(self._info, orjson.dumps(asked), timeout=self._timeout_s)
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"the stream cannot be described: {error!r}") from error
        told: dict[str, Any] = orjson.loads(reply.data)
        if "error" in told:
            raise BusUnavailable(f"the stream answers {told['error'].get('description', told['error'])}")
        return told

    async def last_of(self, subjects: Sequence[str]) -> list[Stored]:
        """The newest message of each of these subjects, as far as there is one."""
        found: list[Stored] = []
        for start in range(0, len(subjects), _MAX_BATCH):
            some = list(subjects[start : start + _MAX_BATCH])
            async with aclosing(self._many({"multi_last": some, "batch": len(some)})) as messages:
                found += [message async for message in messages]
        return found

    async def since(
        self, start: int | datetime, subject: str, until_seq: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        """Messages of a subject from a sequence or a moment on, oldest first, before ``until_seq``, as they lie now."""
        following = 0 if isinstance(start, datetime) else start
        place: dict[str, object] = {"start_time": start.isoformat()} if isinstance(start, datetime) else {"seq": start}
        while until_seq is None or following < until_seq:
            request = {
                **place,
                "next_by_subj": subject,
                "batch": _MAX_BATCH,
                "max_bytes": _MAX_BATCH_BYTES,
            }
            came = 0
            async with aclosing(self._many(request)) as batch:
                async for found in batch:
                    if until_seq is not None and found.seq >= until_seq:
                        return
                    came, following = came + 1, found.seq + 1
                    place = {"seq": following}
                    yield found
            if came == 0:
                return

    async def _single(self, request: dict[str, object]) -> Stored | None:
        try:
            reply = await self._nc.request(self._subject, orjson.dumps(request), timeout=self._timeout_s)
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"a stored message cannot be read: {error!r}") from error
        return _stored(reply)

    async def _many(self, request: dict[str, object]) -> AsyncGenerator[Stored, None]:
        inbox = self._nc.new_inbox()
        try:
            replies = await self._nc.subscribe(
                inbox, pending_msgs_limit=_PENDING_MESSAGES, pending_bytes_limit=_PENDING_BYTES
            )
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"stored messages cannot be read: {error!r}") from error
        try:
            await self._nc.publish(self._subject, orjson.dumps(request), reply=inbox)
            while (found := _stored(await replies.next_msg(timeout=self._timeout_s))) is not None:
                yield found
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"stored messages cannot be read: {error!r}") from error
        finally:
            with suppress(nats.errors.Error, OSError):
                await replies.unsubscribe()


def _stored(reply: Msg) -> Stored | None:
    headers = reply.headers or {}
    status = headers.get("Status")
    if status is not None and not reply.data:
        if status in ("204", "404"):
            return None
        raise BusUnavailable(f"the stream answers {status} {headers.get('Description', '')}")
    return Stored(
        seq=int(headers["Nats-Sequence"]),
        subject=headers["Nats-Subject"],
        data=reply.data,
        stored_at=datetime.fromisoformat(headers["Nats-Time-Stamp"]),
        deleted="KV-Operation" in headers,
    )
