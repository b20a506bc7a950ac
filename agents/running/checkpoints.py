"""LangGraph's checkpoint saver on JetStream: any worker resumes any task. Called by compiled graphs and the runner.

No state in the process. A checkpoint is one message with the channels that changed; the writes of a finished task
are one more. A thread is read whole, in one round trip: threads here are as long as a plan has steps.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from nats.aio.client import Client

from agents.running.checkpoint_stream import PATIENCE_S, CheckpointStream
from agents.running.threads import (
    REGULAR_SLOT,
    Namespace,
    Writes,
    encode_checkpoint,
    encode_stored,
    encode_writes,
    namespaces_of,
    numbered,
)
from schemas import checkpoint_subjects


class JetStreamSaver(BaseCheckpointSaver[int]):
    """Checkpoints in the stream AOS_CHECKPOINTS, which must exist. Async only; safe for many workers at once.

    A returned put is stored. Raises BusUnavailable when the bus stays away longer than ``patience_s`` or is full.
    What was put is what the next read gives, at whatever server of a cluster. Unless another ``serde`` is given, only
    plain values and LangGraph's own types are rebuilt: whoever can write to the bus runs no code here.
    """

    def __init__(self, nc: Client, *, serde: SerializerProtocol | None = None, patience_s: float = PATIENCE_S) -> None:
        super().__init__(serde=serde or JsonPlusSerializer(allowed_msgpack_modules=None))
        self._stream = CheckpointStream(nc, patience_s=patience_s)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that ``config`` names, or the newest of its thread; None when there is none."""
        thread_id, name = _place(config)
        namespace = await self._namespace(thread_id, name)
        checkpoint_id = get_checkpoint_id(config) or next(iter(namespace.ids()), None)
        return namespace.tuple_of(checkpoint_id) if checkpoint_id else None

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the name is the base class's
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints, newest first within each thread. Without ``config``, those of all threads."""
        if limit is not None and limit <= 0:
            return
        count = 0
        async for namespace in self._namespaces(config):
            for checkpoint_id in _chosen(namespace, config, before, filter or {}):
                found = namespace.tuple_of(checkpoint_id)
                if found is None:
                    continue
                yield found
                count += 1
                if count == limit:
                    return

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint: one message with the channels of ``new_versions``."""
        thread_id, name = _place(config)
        value = encode_checkpoint(
            self.serde,
            checkpoint,
            get_checkpoint_metadata(config, metadata),
            get_checkpoint_id(config),
            new_versions,
        )
        await self._stream.put(checkpoint_subjects.checkpoint(thread_id, name, checkpoint["id"]), value)
        place = {"thread_id": thread_id, "checkpoint_ns": name, "checkpoint_id": checkpoint["id"]}
        return {"configurable": place}

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store a task's writes: one message. A write that is stored already stays as it was, special ones change."""
        known = numbered(writes)
        regular = [write for write in known if write[0] >= 0]
        special = [write for write in known if write[0] < 0]
        for write in special:
            await self._put_writes(config, [write], task_id, task_path, slot=str(write[0]))
        if regular and not await self._put_writes(config, regular, task_id, task_path, slot=REGULAR_SLOT):
            await self._put_missing_writes(config, regular, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all of a thread; one that does not exist is no error."""
        await self._stream.purge(checkpoint_subjects.of_thread(thread_id))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints of these runs in all threads; their children become self-contained."""
        doomed = set(run_ids)
        if not doomed:
            return
        async for namespace in self._namespaces(None):
            ids = namespace.ids()
            await self._delete(namespace, {i for i in ids if _metadata(namespace, i).get("run_id") in doomed})

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all of a thread, writes and history included. A source that does not exist copies nothing."""
        source, target = (
            checkpoint_subjects.of_thread(t).removesuffix(">") for t in (source_thread_id, target_thread_id)
        )
        messages = await self._stream.read_raw(source + ">")
        await self._stream.put_raw({target + subject.removeprefix(source): data for subject, data in messages.items()})

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep the newest checkpoint of each namespace (``keep_latest``), or nothing (``delete``)."""
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"strategy is 'keep_latest' or 'delete', not {strategy!r}")
        for thread_id in thread_ids:
            if strategy == "delete":
                await self.adelete_thread(thread_id)
                continue
            values = await self._stream.read(checkpoint_subjects.of_thread(thread_id))
            for namespace in namespaces_of(values, self.serde).values():
                await self._delete(namespace, set(namespace.ids()) - _needed_by_latest(namespace))

    async def _namespace(self, thread_id: str, name: str) -> Namespace:
        values = await self._stream.read(checkpoint_subjects.in_namespace(thread_id, name))
        return namespaces_of(values, self.serde).get(name) or Namespace(thread_id, name, self.serde)

    async def _namespaces(self, config: RunnableConfig | None) -> AsyncIterator[Namespace]:
        """The namespaces that ``config`` restricts to, thread by thread: memory holds one thread at a time."""
        threads = [str(config["configurable"]["thread_id"])] if config else await self._stream.threads()
        name = config["configurable"].get("checkpoint_ns") if config else None
        for thread_id in threads:
            if name is not None:
                yield await self._namespace(thread_id, name)
                continue
            values = await self._stream.read(checkpoint_subjects.of_thread(thread_id))
            for namespace in namespaces_of(values, self.serde).values():
                yield namespace

    async def _put_writes(
        self, config: RunnableConfig, writes: Writes, task_id: str, task_path: str, *, slot: str
    ) -> bool:
        thread_id, name = _place(config)
        subject = checkpoint_subjects.writes(thread_id, name, config["configurable"]["checkpoint_id"], task_id, slot)
        value = encode_writes(self.serde, writes, task_path)
        return await self._stream.put(subject, value, only_first=writes[0][0] >= 0)

    async def _put_missing_writes(self, config: RunnableConfig, writes: Writes, task_id: str, task_path: str) -> None:
        """The task wrote before: keep that, and store what it did not have, each in a slot of its own."""
        namespace = await self._namespace(*_place(config))
        stored = namespace.stored_indices(config["configurable"]["checkpoint_id"], task_id)
        for write in writes:
            if write[0] not in stored:
                await self._put_writes(config, [write], task_id, task_path, slot=str(write[0]))

    async def _delete(self, namespace: Namespace, doomed: Collection[str]) -> None:
        """Delete checkpoints of a namespace; whoever relied on their channels gets them first."""
        place = namespace.thread_id, namespace.name
        for checkpoint_id in namespace.ids():
            stored = namespace.get(checkpoint_id)
            if stored and checkpoint_id not in doomed and stored.parent_id in doomed:
                value = encode_stored(self.serde, namespace.self_contained(checkpoint_id))
                await self._stream.put(checkpoint_subjects.checkpoint(*place, checkpoint_id), value)
        await asyncio.gather(*(self._stream.purge(checkpoint_subjects.of_checkpoint(*place, i)) for i in doomed))


def _place(config: RunnableConfig) -> tuple[str, str]:
    place = config["configurable"]
    return str(place["thread_id"]), place.get("checkpoint_ns", "")


def _metadata(namespace: Namespace, checkpoint_id: str) -> dict[str, Any]:
    stored = namespace.get(checkpoint_id)
    return dict(stored.metadata) if stored else {}


def _chosen(
    namespace: Namespace, config: RunnableConfig | None, before: RunnableConfig | None, wanted: dict[str, Any]
) -> list[str]:
    """Ids that pass the restrictions, newest first."""
    only = get_checkpoint_id(config) if config else None
    limit = get_checkpoint_id(before) if before else None
    return [
        checkpoint_id
        for checkpoint_id in namespace.ids()
        if (only is None or checkpoint_id == only)
        and (limit is None or checkpoint_id < limit)
        and wanted.items() <= _metadata(namespace, checkpoint_id).items()
    ]


def _needed_by_latest(namespace: Namespace) -> set[str]:
    """The newest checkpoint, and as many ancestors as its delta channels are rebuilt from."""
    line = namespace.ancestry(namespace.ids()[0]) if namespace.ids() else []
    if not line:
        return set()
    counters = _metadata(namespace, line[0]).get("counters_since_delta_snapshot") or {}
    return set(line[: 1 + max((int(supersteps) for _, supersteps in counters.values()), default=0)])
