"""What mining needs of records, a column each: a million of them are a hundred megabytes. Read by all of ``mine``.

Made from records (``columns_of``), or from the Arrow tables that ``sources`` reads and ``digest`` keeps.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evolution.store.moments import microseconds
from schemas.experience import ExperienceRecord
from schemas.task import counted

NOISE = -1

_CODED = pa.dictionary(pa.int32(), pa.string())
STEPS = pa.list_(
    pa.struct([("agent", _CODED), ("latency_ms", pa.float64()), ("cost", pa.float64()), ("ok", pa.bool_())])
)
SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("at_us", pa.int64()),
        ("task_id", pa.string()),
        ("success", pa.bool_()),
        ("latency_ms", pa.float64()),
        ("cost", pa.float64()),
        ("team", _CODED),
        ("modalities", _CODED),
        ("failure_code", _CODED),
        ("kind", pa.int32()),
        ("steps", STEPS),
    ]
)
"""``seq`` tells rows apart; ``team`` and ``modalities`` are JSON lists; ``kind`` is NOISE for none."""

Steps = Sequence[tuple[str, float, float, bool]]
"""Agent, latency in ms and cost of each step of one task, and whether it was done."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of few distinct values: ``codes`` (n,) int32 into ``values``, -1 for none."""

    codes: NDArray[np.int32]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """n tasks, oldest first, and their s steps. ``step_task`` (s,) says whose each step is, ascending."""

    task_ids: pa.ChunkedArray
    at_us: NDArray[np.int64]
    success: NDArray[np.bool_]
    latency_ms: NDArray[np.float64]
    cost: NDArray[np.float64]
    team: Coded
    modalities: Coded
    failure_code: Coded
    kind: NDArray[np.int32]
    step_task: NDArray[np.int64]
    step_agent: Coded
    step_latency_ms: NDArray[np.float64]
    step_cost: NDArray[np.float64]
    step_ok: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.at_us)

    def moment(self, index: int) -> datetime:
        """When that task ended."""
        return datetime.fromtimestamp(int(self.at_us[index]) / 1e6, UTC)

    def tasks(self, indices: Iterable[int]) -> tuple[str, ...]:
        """The ids of tasks, by their place."""
        return tuple(self.task_ids[int(index)].as_py() for index in indices)


def from_table(table: pa.Table) -> Columns:
    """Columns of a table of SCHEMA in any order. A ``seq`` that is there twice counts once."""
    table = _oldest_first(_distinct(table.combine_chunks()))
    steps = table["steps"].combine_chunks()
    inside = steps.flatten()
    return Columns(
        task_ids=table["task_id"],
        at_us=table["at_us"].to_numpy(),
        success=table["success"].to_numpy(),
        latency_ms=table["latency_ms"].to_numpy(),
        cost=table["cost"].to_numpy(),
        team=_coded(table["team"]),
        modalities=_coded(table["modalities"]),
        failure_code=_coded(table["failure_code"]),
        kind=table["kind"].to_numpy(),
        step_task=pc.list_parent_indices(steps).to_numpy(zero_copy_only=False),
        step_agent=_coded(inside.field("agent")),
        step_latency_ms=inside.field("latency_ms").to_numpy(zero_copy_only=False),
        step_cost=inside.field("cost").to_numpy(zero_copy_only=False),
        step_ok=inside.field("ok").to_numpy(zero_copy_only=False),
    )


def table_of(values: Mapping[str, Sequence[object]], kind: NDArray[np.int32], steps: Sequence[Steps]) -> pa.Table:
    """A table of SCHEMA: its plain columns by name, the kinds (n,), and each task's steps."""
    plain = {name: pa.array(values[name], SCHEMA.field(name).type) for name in values}
    columns = [*(plain[field.name] for field in SCHEMA if field.name in plain), pa.array(kind, pa.int32())]
    return pa.Table.from_arrays([*columns, _step_lists(steps)], schema=SCHEMA)


def columns_of(records: Sequence[ExperienceRecord], kinds: Mapping[str, int]) -> Columns:
    """Columns of records; ``kinds`` maps task id to kind."""
    values: dict[str, list[object]] = {
        "seq": list(range(len(records))),
        "at_us": [microseconds(record.at) for record in records],
        "task_id": [record.task_id for record in records],
        "success": [record.success for record in records],
        "latency_ms": [record.latency_ms for record in records],
        "cost": [record.cost for record in records],
        "team": [json.dumps(record.chosen) for record in records],
        "modalities": [json.dumps(record.modalities) for record in records],
        "failure_code": [record.failure_code for record in records],
    }
    kind = np.array([kinds.get(record.task_id, NOISE) for record in records], dtype=np.int32)
    return from_table(table_of(values, kind, [steps_of(record) for record in records]))


def steps_of(record: ExperienceRecord) -> Steps:
    """The record's steps as mining reads them: those that say something of their agents."""
    return [(step.agent_id, step.latency_ms, step.cost, step.ok) for step in counted(record.steps)]


def _step_lists(steps: Sequence[Steps]) -> pa.ListArray:
    offsets = np.zeros(len(steps) + 1, dtype=np.int32)
    np.cumsum([len(of_task) for of_task in steps], out=offsets[1:])
    flat = [step for of_task in steps for step in of_task]
    agents, latencies, costs, done = zip(*flat, strict=True) if flat else ((), (), (), ())
    inside = pa.StructArray.from_arrays(
        [
            *(pa.array(agents, _CODED), pa.array(latencies, pa.float64())),
            *(pa.array(costs, pa.float64()), pa.array(done, pa.bool_())),
        ],
        fields=list(STEPS.value_type),
    )
    return pa.ListArray.from_arrays(pa.array(offsets), inside, type=STEPS)


def _coded(column: pa.ChunkedArray | pa.Array) -> Coded:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # an empty column has no chunk to combine
        return Coded(np.zeros(0, dtype=np.int32), ())
    codes = pc.fill_null(array.indices, NOISE).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    # In order of the words, so that codes do not depend on which row came first.
    order = np.argsort(array.dictionary.to_pylist(), kind="stable")
    rank = np.empty(len(order) + 1, dtype=np.int32)
    rank[order], rank[-1] = np.arange(len(order)), NOISE
    return Coded(rank[codes], tuple(array.dictionary[int(place)].as_py() for place in order))


def _oldest_first(table: pa.Table) -> pa.Table:
    at_us = table["at_us"].to_numpy()
    # Most tables are in order: they were read in the order of storing.
    if bool((at_us[1:] > at_us[:-1]).all()):
        return table
    return table.take(pc.sort_indices(table, [("at_us", "ascending"), ("task_id", "ascending")]))


def _distinct(table: pa.Table) -> pa.Table:
    seq = table["seq"].to_numpy()
    if bool((seq[1:] > seq[:-1]).all()):
        return table
    seqs, first = np.unique(seq, return_index=True)
    return table if len(seqs) == len(table) else table.take(np.sort(first))
