"""Writes experience to a file for notebooks: Parquet, CSV, Arrow or JSON lines. Called by `aos experience export`.

Rows are flat: one column for each thing worth a group-by, the task vector as a list of float32, and the whole record
as JSON in the column ``record``, so that nothing is lost, and then what was said of the task. The file appears only
once it is whole.
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
from evolution.export_feedback import COLUMNS, UNKNOWN, columns_of, said_of
from evolution.ports import ExperienceQuery, ExperienceStore
from evolution.progress import Progress, unseen
from evolution.whole_file import whole_file
from schemas.experience import ExperienceRecord, Feedback

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
        *COLUMNS,
    ]
)


class ExportFormat(StrEnum):
    """What kind of file is written."""

    PARQUET = "parquet"
    CSV = "csv"
    ARROW = "arrow"
    JSONL = "jsonl"


Said = Sequence[Sequence[Feedback]] | None
"""What was said of each record's task; None when that was not asked for."""


class _Sink(Protocol):
    def write(self, records: Sequence[ExperienceRecord], said: Said) -> None: ...

    def close(self) -> None: ...


async def export(
    store: ExperienceStore,
    query: ExperienceQuery,
    path: Path,
    kind: ExportFormat,
    *,
    batch_rows: int = BATCH_ROWS,
    feedback: bool = True,
    progress: Progress = unseen,
) -> int:
    """Write every record of the query (``limit`` aside), oldest first, and answer how many.

    With ``feedback`` each task is also asked for what was said of it (not for JSON lines, which are the records alone).
    Memory stays that of one batch. Raises ExportFailed when the file cannot be written, BrokenPipeError when it is a
    pipe that nobody reads any more, ExperienceStoreUnavailable.
    """
    try:
        with whole_file(path) as partial:
            asked = feedback and kind is not ExportFormat.JSONL
            return await _write(store, query, partial, kind, batch_rows, asked, progress)
    except BrokenPipeError:
        raise  # whoever read it has enough
    except OSError as error:
        raise ExportFailed(f"cannot write {path}: {os.strerror(error.errno) if error.errno else error}") from error


async def _write(
    store: ExperienceStore,
    query: ExperienceQuery,
    path: Path,
    kind: ExportFormat,
    rows: int,
    feedback: bool,
    progress: Progress,
) -> int:
    sink = await asyncio.to_thread(_SINKS[kind], path)
    count, total = 0, await store.count(query.tenant, query.since, query.until) if query.everything else 0
    try:
        async for records in store.scan(query, rows):
            said = await said_of(store, records) if feedback else None
            await asyncio.to_thread(sink.write, records, said)
            count += len(records)
            progress(count, total)
    finally:
        await asyncio.to_thread(sink.close)
    return count


def to_batch(records: Sequence[ExperienceRecord], said: Said = None) -> pa.RecordBatch:
    """Records as one Arrow batch of SCHEMA."""
    return pa.RecordBatch.from_pylist(_rows(records, said), schema=SCHEMA)


def _rows(records: Sequence[ExperienceRecord], said: Said) -> list[dict[str, Any]]:
    feedback = [UNKNOWN] * len(records) if said is None else map(columns_of, said)
    return [_flat(record) | columns for record, columns in zip(records, feedback, strict=True)]


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

    def write(self, records: Sequence[ExperienceRecord], said: Said) -> None:
        self._writer.write_batch(to_batch(records, said))

    def close(self) -> None:
        self._writer.close()


class _CsvSink:
    """CSV knows no lists: agents and modalities are joined by spaces, the vector is little-endian float32 in base64."""

    def __init__(self, path: Path) -> None:
        fields = [pa.field(f.name, pa.string()) if pa.types.is_list(f.type) else f for f in SCHEMA]
        self._schema = pa.schema(fields)
        self._writer = pyarrow.csv.CSVWriter(str(path), self._schema)

    def write(self, records: Sequence[ExperienceRecord], said: Said) -> None:
        rows = []
        for record, row in zip(records, _rows(records, said), strict=True):
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

    def write(self, records: Sequence[ExperienceRecord], said: Said) -> None:
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
