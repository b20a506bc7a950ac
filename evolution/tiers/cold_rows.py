"""Rows of the embedded store as a Parquet file, and back. Pure; called by the other modules of ``tiers``."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from evolution.errors import ColdFileDamaged

COLUMNS = (
    *("seq", "tenant", "record_id", "task_id", "at_us", "state", "success", "latency_ms", "cost", "policy"),
    *("propensity", "exploratory", "chosen", "modalities", "failure_code", "record", "vector"),
)
"""As in the table ``experience``."""

SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        *((name, pa.string()) for name in ("tenant", "record_id", "task_id")),
        ("at_us", pa.int64()),
        ("state", pa.string()),
        ("success", pa.int8()),
        ("latency_ms", pa.float64()),
        ("cost", pa.float64()),
        ("policy", pa.string()),
        ("propensity", pa.float64()),
        ("exploratory", pa.int8()),
        *((name, pa.string()) for name in ("chosen", "modalities", "failure_code", "record")),
        ("vector", pa.binary()),
    ]
)

Row = tuple[Any, ...]


def to_parquet(rows: Sequence[Row]) -> bytes:
    """A whole file of rows in the order of COLUMNS."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
    table = pa.table([pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], SCHEMA)
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def from_parquet(content: bytes, columns: Sequence[str] = COLUMNS, places: Sequence[int] | None = None) -> list[Row]:
    """Rows of those columns, all or those at ``places``. Raises ColdFileDamaged for no whole Parquet file of them."""
    try:
        table = pyarrow.parquet.read_table(pa.BufferReader(content), columns=list(columns))
        if places is not None:
            table = table.take(pa.array(places, pa.int64()))
        return list(zip(*(table[name].to_pylist() for name in columns), strict=True))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ColdFileDamaged(f"not a whole Parquet file of experience: {error}") from error
