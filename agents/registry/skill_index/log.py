"""The embedded index as a file: what every agent's points are, in the order they came. Called by the edge index.

The index itself lies in files of the engine, which an interrupted process leaves in an unknown state; this file is
what it is built from again, without encoding a text a second time. One line of JSON says by whose vectors; then each
replacement is one record: length, CRC-32, JSON, vectors. A record that was cut off or damaged ends the file there.
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from agents.ports.skill_index import SkillPoint
from schemas.parts import Modality

FORMAT = 1
_LENGTHS = struct.Struct("<III")
GARBAGE_SHARE, GARBAGE_LEAST = 2.0, 1_000
"""A log with so many times more records than agents, and so many more, is rewritten."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """One agent's points from here on."""

    tenant: str
    agent_id: str
    points: tuple[SkillPoint, ...]
    mark: str = ""


class SkillLog:
    """The file, open for appending. Not safe for concurrent use; reading another part meanwhile is."""

    def __init__(self, path: Path, encoder: str, dimension: int) -> None:
        self.path = path
        self._dimension = dimension
        self._header = json.dumps({"format": FORMAT, "encoder": encoder, "dimension": dimension}).encode() + b"\n"
        self.lost: str | None = None
        """Why what lay here, or its end, is not used; None when all of it is."""
        self.records = 0
        self._file = self._open()

    @property
    def end(self) -> int:
        """Where the next record will lie."""
        return self._file.tell()

    def append(self, one: Replacement) -> None:
        """Add a record. Not synced: whatever a power failure takes comes again from the registry."""
        self._file.write(_packed(one))
        self._file.flush()
        self.records += 1

    def is_mostly_past(self, agents: int) -> bool:
        """Whether it is worth a rewrite where so many agents have points now."""
        return self.records > GARBAGE_SHARE * agents + GARBAGE_LEAST

    def read(self, start: int = 0, end: int | None = None) -> Iterator[Replacement]:
        """The records between two offsets."""
        return read_records(self.path, self._dimension, start, end)

    def rewrite(self, records: Iterable[Replacement]) -> None:
        """Keep only these."""
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(self._header)
            file.writelines(_packed(one) for one in records)
        self._file.close()
        fresh.replace(self.path)
        self._file = self._open()

    def close(self) -> None:
        """Nothing may be called afterwards."""
        self._file.close()

    def _open(self) -> BinaryIO:
        if not self.path.exists():
            self.path.write_bytes(self._header)
        with self.path.open("rb") as file:
            header = file.readline(4096)
        if header != self._header:
            self.lost = f"it was made by {header[:200]!r}, and this is {self._header!r}"
            self.path.write_bytes(self._header)
        self.records, sound = _sound(self.path, len(self._header))
        if sound < self.path.stat().st_size:
            self.lost = f"{self.path.stat().st_size - sound} bytes after byte {sound} are damaged"
        file_ = self.path.open("r+b")
        file_.truncate(sound)
        file_.seek(0, 2)
        return file_


def read_records(path: Path, dimension: int, start: int = 0, end: int | None = None) -> Iterator[Replacement]:
    """The records of a sound file between two offsets; 0 is before the first."""
    with path.open("rb") as file:
        file.readline()
        file.seek(max(start, file.tell()))
        while end is None or file.tell() < end:
            one = _unpacked(file, dimension)
            if one is None:
                return
            yield one


def latest(read: Callable[[], Iterator[Replacement]]) -> Iterator[Replacement]:
    """The last word on each agent, without those that were removed. Reads twice, so that memory holds no vectors."""
    last = {(one.tenant, one.agent_id): place for place, one in enumerate(read())}
    for place, one in enumerate(read()):
        if one.points and last[one.tenant, one.agent_id] == place:
            yield one


def _sound(path: Path, start: int) -> tuple[int, int]:
    """How many whole records there are from ``start`` on, and where the last one ends."""
    size, records, end = path.stat().st_size, 0, start
    with path.open("rb") as file:
        file.seek(start)
        while head := _head(file, size):
            words, floats, crc = head
            if zlib.crc32(file.read(words + floats)) != crc:
                break
            records, end = records + 1, file.tell()
    return records, end


def _head(file: BinaryIO, size: int) -> tuple[int, int, int] | None:
    head = file.read(_LENGTHS.size)
    if len(head) < _LENGTHS.size:
        return None
    words, floats, crc = _LENGTHS.unpack(head)
    return (words, floats, crc) if file.tell() + words + floats <= size else None


def _packed(one: Replacement) -> bytes:
    about = {"tenant": one.tenant, "agent": one.agent_id, "mark": one.mark, "points": [*map(_about, one.points)]}
    words = json.dumps(about, ensure_ascii=False, separators=(",", ":")).encode()
    floats = b"".join(point.vector.astype("<f4", copy=False).tobytes() for point in one.points)
    return _LENGTHS.pack(len(words), len(floats), zlib.crc32(floats, zlib.crc32(words))) + words + floats


def _unpacked(file: BinaryIO, dimension: int) -> Replacement | None:
    head = file.read(_LENGTHS.size)
    if len(head) < _LENGTHS.size:
        return None
    words, floats, _ = _LENGTHS.unpack(head)
    about = json.loads(file.read(words))
    vectors = np.frombuffer(file.read(floats), dtype="<f4").reshape(-1, dimension)
    tenant, agent_id = about["tenant"], about["agent"]
    points = (
        SkillPoint(tenant, agent_id, vector=vector, **_read(kept))
        for kept, vector in zip(about["points"], vectors, strict=True)
    )
    return Replacement(tenant, agent_id, tuple(points), about["mark"])


def _about(point: SkillPoint) -> list[Any]:
    sets: Sequence[frozenset[str]] = (point.inputs, point.tags, point.needs)
    return [point.skill_id, point.example, *(sorted(values) for values in sets), point.cost, point.words]


def _read(kept: list[Any]) -> dict[str, Any]:
    skill_id, example, inputs, tags, needs, cost, words = kept
    return {
        "skill_id": skill_id,
        "example": example,
        "inputs": frozenset(map(Modality, inputs)),
        "tags": frozenset(tags),
        "needs": frozenset(map(Modality, needs)),
        "cost": cost,
        "words": words,
    }
