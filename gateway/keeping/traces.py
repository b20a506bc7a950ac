"""What tasks left on the bus: records, events, wishes, checkpoints, dead letters. Called by ``forgetting``."""

import base64
import binascii
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass

import orjson
from nats.aio.client import Client
from nats.js import JetStreamContext
from pydantic import ValidationError

from gateway.bus.clearing import Clearing
from gateway.bus.stream_reader import StreamReader
from gateway.keeping.references import named_in
from schemas import checkpoint_subjects, subjects
from schemas.task import DeadTask, TaskState


@dataclass(frozen=True, slots=True)
class Left:
    """What tasks left; ``contents`` are digests that their records and dead letters name, ``letters`` sequences.

    Those ``under_way`` still need what they have: nothing of theirs is named here.
    """

    ended: tuple[str, ...]
    under_way: tuple[str, ...]
    contents: frozenset[str]
    letters: tuple[int, ...]


class Traces:
    """One bus. Raises BusUnavailable."""

    def __init__(self, nc: Client, js: JetStreamContext) -> None:
        self._js = js
        self._records = StreamReader(nc, f"KV_{subjects.BUCKET_TASKS}")
        self._dead = StreamReader(nc, subjects.STREAM_DEAD)

    async def of(self, tenant: str, tasks: Collection[str]) -> Left:
        """As far as the bus still has it."""
        under_way, contents = [], set[str]()
        for task_id in tasks:
            key = subjects.record_key(tenant, task_id)
            stored = await self._records.last(f"$KV.{subjects.BUCKET_TASKS}.{key}")
            if stored is None or stored.deleted:
                continue
            if _has_ended(stored.data):
                contents |= named_in(stored.data)
            else:
                under_way.append(task_id)
        ended = tuple(sorted(set(tasks).difference(under_way)))
        letters = await self._letters(tenant, frozenset(ended))
        for message in letters.values():
            contents |= named_in(message)
        return Left(ended, tuple(under_way), frozenset(contents), tuple(letters))

    async def remove(self, tenant: str, left: Left) -> None:
        """All of it, a task's record last: who was ended on the way finds it again."""
        for seq in left.letters:
            await Clearing(self._js, subjects.STREAM_DEAD).delete(seq)
        for task_id in left.ended:
            thread = f"{tenant}.{task_id}"
            key = subjects.record_key(tenant, task_id)
            for stream, subject in (
                (subjects.STREAM_EVENTS, subjects.event(tenant, task_id)),
                (subjects.STREAM_CONTROL, subjects.control(tenant, task_id)),
                (subjects.STREAM_CHECKPOINTS, checkpoint_subjects.of_thread(thread)),
                (f"KV_{subjects.BUCKET_TASKS}", f"$KV.{subjects.BUCKET_TASKS}.{key}"),
            ):
                await Clearing(self._js, stream).purge_subject(subject)

    async def _letters(self, tenant: str, tasks: Collection[str]) -> dict[int, bytes]:
        """The messages of dead letters about these tasks, by sequence."""
        found: dict[int, bytes] = {}
        async with aclosing(self._dead.since(1, subjects.dead(tenant))) as stored:
            async for one in stored:
                message = _message_about(one.data, tasks)
                if message is not None:
                    found[one.seq] = message
        return found


def _has_ended(record: bytes) -> bool:
    return TaskState(orjson.loads(record)["state"]).terminal


def _message_about(letter: bytes, tasks: Collection[str]) -> bytes | None:
    """The message that was given up, where it is about one of these tasks."""
    try:
        dead = DeadTask.from_peer(letter)
        return base64.b64decode(dead.payload, validate=True) if dead.task_id in tasks else None
    except (ValidationError, binascii.Error):
        return None
