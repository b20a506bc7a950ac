"""Writes experience to a file for notebooks: Parquet, CSV, Arrow or JSON lines. Called by `aos experience export`.

Rows are flat: one column for each thing worth a group-by, the task vector as a list of float32, and the whole record
as JSON in the last column, so that nothing is lost. The file appears only once it is whole.
"""

import asyncio
import base64
import os
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from evolution.errors import ExportFailed
from evolution.ports import ExperienceQuery, ExperienceStore
from schemas.experience import ExperienceRecord

BATCH_ROWS = 2000

SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("task_id", pa.string()),
        ("tenant", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("state", pa.string()),
        ("success", pa.bool_()),
        ("failure_code", pa.string()),
        ("latency_ms", pa.float64()),
        ("queued_ms", pa.float64()),
        ("perceive_ms", pa.float64()),
        ("match_ms", pa.float64()),
        ("plan_ms", pa.float64()),
        ("run_ms", pa.float64()),
        ("cost", pa.float64()),
        ("policy", pa.string()),
        ("propensity", pa.float64()),
        ("exploratory", pa.bool_()),
        ("chosen", pa.list_(pa.string())),
        ("candidates", pa.list_(pa.string())),
        ("probabilities", pa.list_(pa.float64())),
        ("modalities", pa.list_(pa.string())),
        ("instruction", pa.string()),
        ("vector", pa.list_(pa.float32())),
        ("record", pa.string()),
    ]
)


class ExportFormat(StrEnum):
    """What kind of file is written."""

    PARQUET = "parquet"
    CSV = "csv"
    ARROW = "arrow"
    JSONL = "jsonl"


class _Sink(Protocol):
    def write(self, records: Sequence[ExperienceRecord]) -> None: ...

    def close(self) -> None: ...


async def export(
    store: ExperienceStore,
    query: ExperienceQuery,
    path: Path,
    kind: ExportFormat,
    *,
    batch_rows: int = BATCH_ROWS,
) -> int:
    """Write every record of the query (``limit`` aside), oldest first, and answer how many.

    Memory stays that of one batch. Raises ExportFailed when the file cannot be written, ExperienceStoreUnavailable.
    """
    # A link keeps pointing where it did, and a device or a pipe is written to, never replaced.
    target = await asyncio.to_thread(path.resolve)
    through = target.exists() and not target.is_file()
    partial = target if through else target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        count = await _write(store, query, partial, kind, batch_rows)
        if not through:
            await asyncio.to_thread(partial.replace, target)
    except OSError as error:
        raise ExportFailed(f"cannot write {path}: {os.strerror(error.errno) if error.errno else error}") from error
    finally:
        if not through:
            await asyncio.to_thread(partial.unlink, missing_ok=True)
    return count


async def _write(store: ExperienceStore, query: ExperienceQuery, path: Path, kind: ExportFormat, rows: int) -> int:
    sink = await asyncio.to_thread(_SINKS[kind], path)
    count = 0
    try:
        async for records in store.scan(query, rows):
            await asyncio.to_thread(sink.write, records)
            count += len(records)
    finally:
        await asyncio.to_thread(sink.close)
    return count


def to_batch(records: Sequence[ExperienceRecord]) -> pa.RecordBatch:
    """Records as one Arrow batch of SCHEMA."""
    return pa.RecordBatch.from_pylist([_flat(record) for record in records], schema=SCHEMA)


def _flat(record: ExperienceRecord) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in _SAME_NAME}
    row |= {name: getattr(record.times, name) for name in _TIMES}
    row["state"] = record.state.value
    row["chosen"] = list(record.chosen)
    row["candidates"] = [candidate.agent_id for candidate in record.candidates]
    row["probabilities"] = [candidate.probability for candidate in record.candidates]
    row["modalities"] = [modality.value for modality in record.modalities]
    row["vector"] = None if record.vector is None else np.frombuffer(base64.b64decode(record.vector), "<f4")
    row["record"] = record.model_dump_json(exclude={"vector"})
    return row


_TIMES = ("queued_ms", "perceive_ms", "match_ms", "plan_ms", "run_ms")
_SAME_NAME = (
    *("record_id", "task_id", "tenant", "at", "success", "failure_code", "latency_ms", "cost"),
    *("policy", "propensity", "exploratory", "instruction"),
)


class _ArrowSink:
    """Parquet and Arrow files: pyarrow's own writers."""

    def __init__(self, open_writer: Callable[[Path], Any], path: Path) -> None:
        self._writer = open_writer(path)

    def write(self, records: Sequence[ExperienceRecord]) -> None:
        self._writer.write_batch(to_batch(records))

    def close(self) -> None:
        self._writer.close()


class _CsvSink:
    """CSV knows no lists: agents and modalities are joined by spaces, the vector is little-endian float32 in base64."""

    def __init__(self, path: Path) -> None:
        fields = [pa.field(f.name, pa.string()) if pa.types.is_list(f.type) else f for f in SCHEMA]
        self._schema = pa.schema(fields)
        self._writer = pyarrow.csv.CSVWriter(str(path), self._schema)

    def write(self, records: Sequence[ExperienceRecord]) -> None:
        rows = []
        for record in records:
            row = _flat(record)
            for name in ("chosen", "candidates", "probabilities", "modalities"):
                row[name] = " ".join(map(str, row[name]))
            rows.append({**row, "vector": record.vector})
        self._writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


class _LinesSink:
    """One record as JSON on each line: what the bus carried."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, records: Sequence[ExperienceRecord]) -> None:
        self._file.writelines(record.model_dump_json().encode() + b"\n" for record in records)

    def close(self) -> None:
        self._file.close()


_SINKS: dict[ExportFormat, Callable[[Path], _Sink]] = {
    ExportFormat.PARQUET: lambda path: _ArrowSink(
        lambda p: pyarrow.parquet.ParquetWriter(str(p), SCHEMA, compression="zstd"), path
    ),
    ExportFormat.ARROW: lambda path: _ArrowSink(lambda p: pyarrow.ipc.new_file(str(p), SCHEMA), path),
    ExportFormat.CSV: _CsvSink,
    ExportFormat.JSONL: _LinesSink,
}
