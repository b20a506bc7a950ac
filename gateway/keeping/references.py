"""Which contents of the object store something on the bus still names. Asked before any of them is removed.

A task's contents go with its message: from the queue into checkpoints and its record, or into a dead letter and back.
So the places are read in that order, and the dead letters once more at the end: what moves on meanwhile is met later.
"""

import base64
import binascii
import re
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing

import orjson
from nats.aio.client import Client
from nats.js import JetStreamContext

from agents.running.checkpoint_stream import CheckpointStream
from evolution.errors import PolicyDamaged, PolicyNotFound
from evolution.policies.bucket import PolicyBucket
from gateway.bus.stream_reader import StreamReader
from schemas import checkpoint_subjects, subjects

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_PLACES = (
    (subjects.STREAM_DEAD, subjects.DEAD_ALL),
    (subjects.STREAM_TASKS, subjects.SUBMIT_ALL),
    (subjects.STREAM_CHECKPOINTS, checkpoint_subjects.ALL),
    (f"KV_{subjects.BUCKET_TASKS}", f"$KV.{subjects.BUCKET_TASKS}.>"),
    (subjects.STREAM_DEAD, subjects.DEAD_ALL),
)


class References:
    """Of one bus. Raises BusUnavailable, PolicyBucketUnavailable, and PolicyDamaged: its parts cannot be told."""

    def __init__(self, nc: Client, js: JetStreamContext) -> None:
        self._nc = nc
        self._checkpoints = CheckpointStream(nc)
        self._policies = PolicyBucket(js)

    async def bus(self) -> str:
        """A name of this bus, the same for as long as it keeps its tasks."""
        created = await StreamReader(self._nc, subjects.STREAM_TASKS).created()
        return f"the bus whose tasks began {created}"

    async def among(self, digests: Collection[str]) -> set[str]:
        """Those of them that are named somewhere. Reads all tasks that the bus holds: 100 MB a second, or so."""
        asked, found = set(digests), set[str]()
        for stream, subject in _PLACES:
            bodies = self._threads() if stream == subjects.STREAM_CHECKPOINTS else self._bodies(stream, subject)
            async with aclosing(bodies):
                async for body in bodies:
                    found |= named_in(body) & asked
        return found | (await self._of_policies() & asked)

    async def _bodies(self, stream: str, subject: str) -> AsyncGenerator[bytes, None]:
        async with aclosing(StreamReader(self._nc, stream).since(1, subject)) as messages:
            async for stored in messages:
                yield _original(stored.data) if stream == subjects.STREAM_DEAD else stored.data

    async def _threads(self) -> AsyncGenerator[bytes, None]:
        """Checkpoints thread by thread: one that is larger than a message is put together first."""
        for thread in await self._checkpoints.threads():
            for value in (await self._checkpoints.read(checkpoint_subjects.of_thread(thread))).values():
                yield value.body

    async def _of_policies(self) -> set[str]:
        found: set[str] = set()
        for tenant, name in await self._policies.everything():
            try:
                found |= set((await self._policies.version(tenant, name)).artefacts.values())
            except PolicyNotFound:
                continue  # taken out meanwhile
            except PolicyDamaged as error:
                raise PolicyDamaged(
                    f"policy {name} of tenant {tenant} does not say which parts it has: {error}"
                ) from error
        return found


def named_in(body: bytes) -> set[str]:
    """The digests in it, whatever it is: JSON, protobuf and checkpoints all hold them as they are."""
    return {digest.decode() for digest in _DIGEST.findall(body)}


def _original(letter: bytes) -> bytes:
    """The message that was given up; the letter itself where it holds none that can be read."""
    try:
        return base64.b64decode(orjson.loads(letter)["payload"], validate=True)
    except (orjson.JSONDecodeError, binascii.Error, KeyError, TypeError):
        return letter
