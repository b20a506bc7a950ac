"""The Flux that the InfluxDB store asks. Every value travels as a bound parameter, never inside the text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evolution.ports import ExperienceQuery
from evolution.store.influx_points import FEEDBACK, RECORDS
from evolution.store.moments import microseconds

FOREVER_NS = 2**63 - 2
"""The last timestamp that InfluxDB knows."""

_BODY = r"r._field =~ /^body_\d+$/"
_PIVOT = '  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")\n  |> group()\n'


@dataclass(frozen=True, slots=True)
class Flux:
    """A query's text and its parameters."""

    text: str
    parameters: dict[str, Any]


def newest(bucket: str, query: ExperienceQuery) -> Flux:
    """The query's records, newest first."""
    return _records(bucket, query, order='  |> sort(columns: ["_time"], desc: true)\n', limit=query.limit)


def oldest_from(bucket: str, query: ExperienceQuery, start_ns: int, limit: int) -> Flux:
    """The query's records from that nanosecond on, oldest first."""
    return _records(bucket, query, start_ns=start_ns, order='  |> sort(columns: ["_time"])\n', limit=limit)


def stored_from(bucket: str, query: ExperienceQuery, start_ns: int, stored_us: int, limit: int) -> Flux:
    """The query's records of a window that were stored at ``stored_us`` or later, in order of storing."""
    return _records(
        bucket,
        query,
        start_ns=start_ns,
        extra_field='r._field == "stored_us"',
        extra_filter="  |> filter(fn: (r) => r.stored_us >= stored)\n",
        extra={"stored": stored_us},
        order='  |> sort(columns: ["stored_us", "_time"])\n',
        limit=limit,
    )


def existing(bucket: str, measurement: str, field: str, ids: list[str], start_ns: int, stop_ns: int) -> Flux:
    """Which of these ids are stored, within a window that holds all of their timestamps."""
    text = (
        _source(measurement)
        # Two filters: `contains` on the number fields of the measurement would be a type error.
        + f'  |> filter(fn: (r) => r._field == "{field}")\n'
        + "  |> filter(fn: (r) => contains(value: r._value, set: ids))\n"
        + '  |> group()\n  |> keep(columns: ["_value"])'
    )
    return Flux(text, {"bucket": bucket, "start": start_ns, "stop": stop_ns, "ids": ids})


def moments_of(bucket: str, measurement: str, task_ids: Sequence[str]) -> Flux:
    """When the points of those tasks lie: rows of ``_time`` alone, so that little is read that is not asked for."""
    test, tasks = _one_of("_value", task_ids)
    text = (
        _source(measurement)
        + '  |> filter(fn: (r) => r._field == "task_id")\n'
        + f"  |> filter(fn: (r) => {test})\n"
        + '  |> group()\n  |> keep(columns: ["_time"])'
    )
    return Flux(text, {"bucket": bucket, "start": 0, "stop": FOREVER_NS, **tasks})


def places_of_task(bucket: str, measurement: str, id_field: str, task_id: str) -> Flux:
    """When the task's items of a measurement lie, and what they are called: rows of ``_time`` and the id."""
    text = (
        _source(measurement)
        + f'  |> filter(fn: (r) => r._field == "task_id" or r._field == "{id_field}")\n'
        + _PIVOT
        + "  |> filter(fn: (r) => r.task_id == task)\n"
        + f'  |> keep(columns: ["_time", "{id_field}"])'
    )
    return Flux(text, {"bucket": bucket, "start": 0, "stop": FOREVER_NS, "task": task_id})


def all_feedback(bucket: str, start_ns: int, limit: int) -> Flux:
    """What was said of any task from that nanosecond on, oldest first."""
    text = (
        _source(FEEDBACK)
        + f"  |> filter(fn: (r) => {_BODY})\n"
        + _PIVOT
        + '  |> sort(columns: ["_time"])\n  |> limit(n: rows)'
    )
    return Flux(text, {"bucket": bucket, "start": start_ns, "stop": FOREVER_NS, "rows": limit})


def facts(bucket: str, start_ns: int, stop_ns: int) -> Flux:
    """What is counted of the records of a window: a row each, without their bodies."""
    wanted = " or ".join(f'r._field == "{name}"' for name in ("chosen", "latency_ms", "cost"))
    text = _source(RECORDS) + f"  |> filter(fn: (r) => {wanted})\n" + _PIVOT
    text += '  |> keep(columns: ["_time", "success", "chosen", "latency_ms", "cost"])'
    return Flux(text, {"bucket": bucket, "start": start_ns, "stop": stop_ns})


def hours(bucket: str, measurement: str, start_ns: int) -> Flux:
    """The hourly counts from that nanosecond on: a row for each hour and agent."""
    return Flux(_source(measurement) + _PIVOT, {"bucket": bucket, "start": start_ns, "stop": FOREVER_NS})


def feedback_of(bucket: str, task_ids: Sequence[str], since: datetime, until: datetime) -> Flux:
    """What was said of those tasks within that time, oldest first."""
    test, tasks = _one_of("task_id", task_ids)
    text = (
        _source(FEEDBACK)
        + f'  |> filter(fn: (r) => r._field == "task_id" or {_BODY})\n'
        + _PIVOT
        # A point without a task, which is none of ours, would be an error in `contains`.
        + f"  |> filter(fn: (r) => exists r.task_id and {test})\n"
        + '  |> sort(columns: ["_time"])'
    )
    start, stop = (microseconds(moment) * 1000 for moment in (since, until))
    return Flux(text, {"bucket": bucket, "start": start, "stop": stop, **tasks})


def said_since(bucket: str, stored_us: int) -> Flux:
    """When the feedback lies that was stored then or later: rows of ``_time`` alone. Reads one number of each point."""
    text = (
        _source(FEEDBACK)
        + '  |> filter(fn: (r) => r._field == "stored_us")\n'
        + "  |> filter(fn: (r) => r._value >= stored)\n"
        + '  |> group()\n  |> keep(columns: ["_time"])'
    )
    return Flux(text, {"bucket": bucket, "start": 0, "stop": FOREVER_NS, "stored": stored_us})


def tasks_said_since(bucket: str, stored_us: int, since: datetime, until: datetime) -> Flux:
    """Of which tasks it is, within that time: a row for each, without a task where feedback was removed."""
    text = (
        _source(FEEDBACK)
        + '  |> filter(fn: (r) => r._field == "task_id" or r._field == "stored_us")\n'
        + _PIVOT
        + "  |> filter(fn: (r) => exists r.stored_us and r.stored_us >= stored)\n"
        + '  |> keep(columns: ["task_id", "stored_us"])'
    )
    start, stop = (microseconds(moment) * 1000 for moment in (since, until))
    return Flux(text, {"bucket": bucket, "start": start, "stop": stop, "stored": stored_us})


def count(bucket: str, since: datetime | None = None, until: datetime | None = None) -> Flux:
    """How many records there are of that time."""
    text = _source(RECORDS) + '  |> filter(fn: (r) => r._field == "record_id")\n  |> group()\n  |> count()'
    start_ns = 0 if since is None else microseconds(since) * 1000
    stop_ns = FOREVER_NS if until is None else microseconds(until) * 1000
    return Flux(text, {"bucket": bucket, "start": start_ns, "stop": stop_ns})


def _records(
    bucket: str,
    query: ExperienceQuery,
    *,
    order: str,
    limit: int,
    start_ns: int = 0,
    extra_field: str = "",
    extra_filter: str = "",
    extra: dict[str, Any] | None = None,
) -> Flux:
    parameters: dict[str, Any] = {"bucket": bucket, "start": start_ns, "stop": FOREVER_NS, "rows": limit}
    parameters |= extra or {}
    if query.since is not None:
        parameters["start"] = max(start_ns, microseconds(query.since) * 1000)
    if query.until is not None:
        parameters["stop"] = microseconds(query.until) * 1000
    text = _source(RECORDS)
    if query.success is not None:
        parameters["success"] = "true" if query.success else "false"
        text += "  |> filter(fn: (r) => r.success == success)\n"
    if query.policy is not None:
        parameters["policy"] = query.policy
        text += "  |> filter(fn: (r) => r.policy == policy)\n"
    also = {"chosen": query.agent_id, "task_id": query.task_id}
    wanted = [f'r._field == "{name}"' for name, value in also.items() if value is not None]
    fields = " or ".join(filter(None, [_BODY, *wanted, extra_field]))
    text += f"  |> filter(fn: (r) => {fields})\n" + _PIVOT
    if query.agent_id is not None:
        parameters["agent"] = f"|{query.agent_id}|"
        text = 'import "strings"\n' + text
        text += "  |> filter(fn: (r) => strings.containsStr(v: r.chosen, substr: agent))\n"
    if query.task_id is not None:
        parameters["task"] = query.task_id
        text += "  |> filter(fn: (r) => r.task_id == task)\n"
    return Flux(f"{text}{extra_filter}{order}  |> limit(n: rows)", parameters)


def _one_of(column: str, task_ids: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """A test and its parameters. The server looks for one value where the data lies; `contains` gets every row."""
    if len(task_ids) == 1:
        return f"r.{column} == task", {"task": task_ids[0]}
    return f"contains(value: r.{column}, set: tasks)", {"tasks": list(task_ids)}


def _source(measurement: str) -> str:
    return (
        "from(bucket: bucket)\n"
        "  |> range(start: time(v: start), stop: time(v: stop))\n"
        f'  |> filter(fn: (r) => r._measurement == "{measurement}")\n'
    )
