"""What one record costs: the embedded store as it is, beside the same rows in DuckDB and in Parquet files.

Run: python -m benchmarks.experience_store [FOLDER]. Numbers: docs/decisions/0003-embedded-experience-store.md.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet

from evolution.export import SCHEMA, to_batch
from evolution.ports import ExperienceQuery
from evolution.store.sqlite_store import SqliteExperienceStore
from schemas.experience import ExperienceRecord
from tests.unit.evolution.experience_records import a_record

RATE_PER_S = 250
ROUNDS_S = 5
Write = Callable[[Sequence[ExperienceRecord]], Awaitable[object]]


async def main(folder: Path) -> None:
    """Print one table."""
    records = [a_record(minutes=number / 60) for number in range(6000)]
    size = statistics.mean(len(record.model_dump_json()) for record in records[:50])
    print(f"records of {size:.0f} bytes as JSON, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| store | batch | records/s | commit p50 ms | p95 ms | CPU us/record |\n|---|---|---|---|---|---|")
    for batch, count in ((1, 500), (100, 6000), (500, 6000)):
        store = SqliteExperienceStore(folder / f"sqlite-{batch}.db")
        await store.count()
        await in_batches("SQLite store (WAL, FULL)", store.record, records[:count], batch)
        await store.close()
        duck = Duck(folder / f"duck-{batch}.db")
        await in_batches("DuckDB from Arrow", duck.write, records[:count], batch)
        duck.close()
        await in_batches("Parquet per batch, fsync", Parquet(folder / f"parquet-{batch}").write, records[:count], batch)
    await at_a_rate(folder, records)


async def in_batches(name: str, write: Write, records: Sequence[ExperienceRecord], batch: int) -> None:
    """One caller that waits for each commit."""
    waits: list[float] = []
    started, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(records), batch):
        before = time.perf_counter()
        await write(records[start : start + batch])
        waits.append(1000 * (time.perf_counter() - before))
    rate = len(records) / (time.perf_counter() - started)
    cpu_us = 1e6 * (time.process_time() - cpu) / len(records)
    print(f"| {name} | {batch} | {rate:,.0f} | {_share(waits, 0.5)} | {_share(waits, 0.95)} | {cpu_us:.0f} |")


async def at_a_rate(folder: Path, records: Sequence[ExperienceRecord]) -> None:
    """Single records as they come, each waiting for its own durability."""
    store = SqliteExperienceStore(folder / "rate.db")
    await store.count()
    waits: list[float] = []

    async def one(record: ExperienceRecord) -> None:
        before = time.perf_counter()
        await store.record([record])
        waits.append(1000 * (time.perf_counter() - before))

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(RATE_PER_S * ROUNDS_S):
            await asyncio.sleep(max(0.0, started + number / RATE_PER_S - time.perf_counter()))
            group.create_task(one(records[number]))
    shares = ", ".join(f"p{100 * share:.0f} {_share(waits, share)} ms" for share in (0.5, 0.95, 0.99))
    print(f"\nsingle records at {RATE_PER_S}/s: {shares}")
    before = time.perf_counter()
    found = await store.find(ExperienceQuery(tenant="default", limit=1000))
    print(f"find, newest {len(found)}: {1000 * (time.perf_counter() - before):.0f} ms")
    await store.close()


class Duck:
    """The same rows in DuckDB, inserted from an Arrow batch."""

    def __init__(self, path: Path) -> None:
        self._connection = duckdb.connect(str(path))
        table = pa.Table.from_batches([], schema=SCHEMA)
        self._connection.register("shape", table)
        self._connection.execute("CREATE TABLE experience AS SELECT * FROM shape")
        self._connection.execute("CREATE UNIQUE INDEX once ON experience (tenant, record_id)")

    async def write(self, records: Sequence[ExperienceRecord]) -> None:
        """One transaction."""
        await asyncio.to_thread(self._write, records)

    def _write(self, records: Sequence[ExperienceRecord]) -> None:
        self._connection.register("arrived", pa.Table.from_batches([to_batch(records)]))
        self._connection.execute("INSERT INTO experience SELECT * FROM arrived ON CONFLICT DO NOTHING")

    def close(self) -> None:
        """Release the file's lock."""
        self._connection.close()


class Parquet:
    """A file for each batch."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._count = 0

    async def write(self, records: Sequence[ExperienceRecord]) -> None:
        """Durable when it returns."""
        await asyncio.to_thread(self._write, records)

    def _write(self, records: Sequence[ExperienceRecord]) -> None:
        self._count += 1
        with (self._folder / f"{self._count}.parquet").open("wb") as file:
            pyarrow.parquet.write_table(pa.Table.from_batches([to_batch(records)]), file)
            file.flush()
            os.fsync(file.fileno())


def _share(waits: Sequence[float], share: float) -> str:
    return f"{sorted(waits)[min(len(waits) - 1, int(len(waits) * share))]:.1f}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            asyncio.run(main(Path(temporary)))
