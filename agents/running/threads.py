"""What is stored of a thread, put together to LangGraph's checkpoint tuples. Pure; used by the saver.

A checkpoint message carries only the channels that changed with it; the others are found at its ancestors. So a
step costs one message, however long the thread is, and a whole thread is read in one round trip.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    writes_sort_key,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from agents.running.frames import Value
from schemas import checkpoint_subjects

REGULAR_SLOT = "r"
"""Where the writes of a finished task are stored together; special writes have a slot each."""

Writes = Sequence[tuple[int, str, Any]]


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """One checkpoint as stored. ``changed`` are the channel values that came with it, still serialised."""

    checkpoint: dict[str, Any]
    metadata: CheckpointMetadata
    parent_id: str | None
    changed: dict[str, tuple[str, bytes]]

    @property
    def versions(self) -> ChannelVersions:
        """The version of every channel at this checkpoint."""
        return cast(ChannelVersions, self.checkpoint["channel_versions"])


@dataclass(frozen=True, slots=True)
class StoredWrite:
    """One write of a graph task that no checkpoint holds yet, its value still serialised."""

    task_path: str
    task_id: str
    index: int
    channel: str
    value: tuple[str, bytes]


def encode_checkpoint(
    serde: SerializerProtocol,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    parent_id: str | None,
    changed: Iterable[str],
) -> Value:
    """The stored form of a checkpoint with the values of its ``changed`` channels."""
    values = checkpoint["channel_values"]
    bare = {key: value for key, value in checkpoint.items() if key != "channel_values"}
    blobs = {channel: serde.dumps_typed(values[channel]) for channel in changed if channel in values}
    return Value(*serde.dumps_typed([bare, metadata, parent_id, blobs]))


def encode_stored(serde: SerializerProtocol, stored: StoredCheckpoint) -> Value:
    """The stored form of a checkpoint that was read before."""
    return Value(*serde.dumps_typed([stored.checkpoint, stored.metadata, stored.parent_id, stored.changed]))


def decode_checkpoint(serde: SerializerProtocol, value: Value) -> StoredCheckpoint:
    """What ``encode_checkpoint`` made."""
    checkpoint, metadata, parent_id, changed = serde.loads_typed((value.kind, value.body))
    return StoredCheckpoint(checkpoint, metadata, parent_id, {c: (kind, data) for c, (kind, data) in changed.items()})


def encode_writes(serde: SerializerProtocol, writes: Writes, task_path: str) -> Value:
    """The stored form of some writes of one task."""
    return Value(*serde.dumps_typed([task_path, [(n, channel, *serde.dumps_typed(v)) for n, channel, v in writes]]))


def numbered(writes: Sequence[tuple[str, Any]]) -> list[tuple[int, str, Any]]:
    """Writes with the index that identifies each within its task: special channels have fixed, negative ones."""
    return [(WRITES_IDX_MAP.get(channel, n), channel, value) for n, (channel, value) in enumerate(writes)]


class Namespace:
    """Everything stored of one namespace of one thread."""

    def __init__(self, thread_id: str, name: str, serde: SerializerProtocol) -> None:
        self.thread_id = thread_id
        self.name = name
        self._serde = serde
        self._checkpoints: dict[str, StoredCheckpoint] = {}
        self._writes: dict[str, dict[tuple[str, int], StoredWrite]] = {}

    def add(self, address: checkpoint_subjects.CheckpointAddress, value: Value) -> None:
        """Take in one stored value."""
        if address.task_id is None:
            self._checkpoints[address.checkpoint_id] = decode_checkpoint(self._serde, value)
            return
        task_path, writes = self._serde.loads_typed((value.kind, value.body))
        known = self._writes.setdefault(address.checkpoint_id, {})
        for index, channel, kind, data in writes:
            write = StoredWrite(task_path, address.task_id, index, channel, (kind, data))
            # A regular write stays as it was first stored; only special ones change.
            if address.slot == REGULAR_SLOT or index < 0 or (address.task_id, index) not in known:
                known[address.task_id, index] = write

    def ids(self) -> list[str]:
        """Checkpoint ids, newest first: LangGraph makes them ascending."""
        return sorted(self._checkpoints, reverse=True)

    def get(self, checkpoint_id: str) -> StoredCheckpoint | None:
        """The checkpoint as stored."""
        return self._checkpoints.get(checkpoint_id)

    def stored_indices(self, checkpoint_id: str, task_id: str) -> set[int]:
        """Which writes of the task are stored already."""
        return {index for task, index in self._writes.get(checkpoint_id, ()) if task == task_id}

    def tuple_of(self, checkpoint_id: str) -> CheckpointTuple | None:
        """The checkpoint with all channel values and the pending writes in LangGraph's order."""
        stored = self._checkpoints.get(checkpoint_id)
        if stored is None:
            return None
        blobs = self._all_channels(stored)
        values = {channel: self._serde.loads_typed(blob) for channel, blob in blobs.items()}
        return CheckpointTuple(
            config=self._config(checkpoint_id),
            checkpoint=cast(Checkpoint, {**stored.checkpoint, "channel_values": values}),
            metadata=stored.metadata,
            parent_config=self._config(stored.parent_id) if stored.parent_id else None,
            pending_writes=self._pending_writes(checkpoint_id),
        )

    def self_contained(self, checkpoint_id: str) -> StoredCheckpoint:
        """The checkpoint with every channel in it, so that its ancestors may go."""
        stored = self._checkpoints[checkpoint_id]
        return StoredCheckpoint(stored.checkpoint, stored.metadata, stored.parent_id, self._all_channels(stored))

    def ancestry(self, checkpoint_id: str) -> list[str]:
        """The checkpoint and its stored ancestors, nearest first."""
        line: list[str] = []
        current: str | None = checkpoint_id
        while current is not None and current in self._checkpoints and current not in line:
            line.append(current)
            current = self._checkpoints[current].parent_id
        return line

    def _all_channels(self, stored: StoredCheckpoint) -> dict[str, tuple[str, bytes]]:
        """The value of each channel at the nearest ancestor that has it in this checkpoint's version."""
        missing = dict(stored.versions)
        found: dict[str, tuple[str, bytes]] = {}
        for ancestor_id in self.ancestry(str(stored.checkpoint["id"])):
            ancestor = self._checkpoints[ancestor_id]
            for channel in [c for c in missing if ancestor.versions.get(c) == missing[c] and c in ancestor.changed]:
                found[channel] = ancestor.changed[channel]
                del missing[channel]
        return found

    def _pending_writes(self, checkpoint_id: str) -> list[tuple[str, str, Any]]:
        writes = self._writes.get(checkpoint_id, {}).values()
        ordered = sorted(writes, key=lambda w: writes_sort_key(w.task_path, w.task_id, w.index))
        return [(w.task_id, w.channel, self._serde.loads_typed(w.value)) for w in ordered]

    def _config(self, checkpoint_id: str) -> RunnableConfig:
        place = {"thread_id": self.thread_id, "checkpoint_ns": self.name, "checkpoint_id": checkpoint_id}
        return {"configurable": place}


def namespaces_of(values: Mapping[str, Value], serde: SerializerProtocol) -> dict[str, Namespace]:
    """The namespaces of one thread by name, from its stored values by subject."""
    found: dict[str, Namespace] = {}
    for subject, value in values.items():
        address = checkpoint_subjects.address(subject)
        if address is None:
            continue
        if address.namespace not in found:
            found[address.namespace] = Namespace(address.thread_id, address.namespace, serde)
        found[address.namespace].add(address, value)
    return found
