"""Records and feedback as InfluxDB points, and back. Called by the InfluxDB store only.

A point's identity is its measurement, tags and timestamp; writing it again overwrites it. Tags here are few-valued
(state, success, policy, failure code and one of 64 slots), because every distinct set of tags is a series for ever.
So that two records of one microsecond stay two points without the record id as a tag, a hash of the id picks the slot
and the nanoseconds below the microsecond: same record, same point; other record, other point (but for one chance in
64,000 within one microsecond). The whole record travels as JSON in string fields of at most 60 kB (the limit is 64).
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from influxdb_client import Point, WritePrecision
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from evolution.errors import ExperienceRefused
from evolution.privacy.guard import OPEN, Guard
from evolution.store.moments import microseconds
from evolution.validity import check_feedback, check_record
from schemas.experience import ExperienceRecord, Feedback

RECORDS = "experience"
FEEDBACK = "feedback"
SLOTS = 64
CHUNK_CHARACTERS = 15_000
"""At most 60,000 bytes of UTF-8."""


def record_point(record: ExperienceRecord, stored_us: int, guard: Guard = OPEN) -> Point:
    """The point of a record. Raises ExperienceRefused when it could not be read back."""
    check_record(record)
    point = _point(RECORDS, record.record_id, record.at)
    point.tag("state", record.state.value).tag("success", _flag(record.success)).tag("policy", record.policy)
    point.tag("exploratory", _flag(record.exploratory)).tag("failure_code", record.failure_code or "")
    point.field("record_id", record.record_id).field("task_id", record.task_id).field("stored_us", stored_us)
    point.field("latency_ms", float(record.latency_ms)).field("cost", float(record.cost))
    point.field("propensity", float(record.propensity)).field("chosen", joined(record.chosen))
    return _with_body(point, guard.sealed(record))


def feedback_point(feedback: Feedback, stored_us: int, guard: Guard = OPEN) -> Point:
    """The point of one feedback. Raises ExperienceRefused when it could not be read back."""
    check_feedback(feedback)
    point = _point(FEEDBACK, feedback.feedback_id, feedback.at)
    point.field("feedback_id", feedback.feedback_id).field("task_id", feedback.task_id).field("stored_us", stored_us)
    if feedback.score is not None:
        point.field("score", float(feedback.score))
    if feedback.thumbs_up is not None:
        point.field("thumbs_up", feedback.thumbs_up)
    return _with_body(point, guard.sealed_feedback(feedback))


def removal_point(stored_us: int) -> Point:
    """Says that feedback was removed then, and not of whom: feedback without a task."""
    point = Point(FEEDBACK).tag("slot", "0").field("stored_us", stored_us)
    return point.time(stored_us * 1000, WritePrecision.NS)


def point_ns(item_id: str, at: datetime) -> int:
    """The timestamp of an item's point, in nanoseconds."""
    return microseconds(at) * 1000 + _hash(item_id) % 1000


def slot(item_id: str) -> str:
    """The tag that tells an item's point from another one of the same nanosecond."""
    return str(_hash(item_id) // 1000 % SLOTS)


def joined(agents: tuple[str, ...]) -> str:
    """Agent ids in one string that is searched for ``|id|``."""
    return f"|{'|'.join(agents)}|"


def read_body(values: Mapping[str, Any]) -> str:
    """The JSON of a pivoted row: its chunks, joined."""
    return "".join(_chunks_of(values))


def read_record(values: Mapping[str, Any]) -> ExperienceRecord | None:
    """The record of a pivoted row, None when another release wrote something that this one cannot read."""
    try:
        return ExperienceRecord.from_peer(read_body(values))
    except ValidationError:
        return None


def _chunks_of(values: Mapping[str, Any]) -> Iterator[str]:
    number = 0
    while (chunk := values.get(f"body_{number}")) is not None:
        yield str(chunk)
        number += 1


def _point(measurement: str, item_id: str, at: datetime) -> Point:
    point = Point(measurement).tag("slot", slot(item_id))
    return point.time(point_ns(item_id, at), WritePrecision.NS)


def _with_body(point: Point, item: ExperienceRecord | Feedback) -> Point:
    try:
        body = item.model_dump_json()
        body.encode()
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise ExperienceRefused(f"record cannot be written as JSON: {error}") from error
    for number, start in enumerate(range(0, len(body), CHUNK_CHARACTERS)):
        point.field(f"body_{number}", body[start : start + CHUNK_CHARACTERS])
    return point


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _hash(item_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(item_id.encode(), digest_size=6).digest())
