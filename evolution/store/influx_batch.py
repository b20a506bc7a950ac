"""What concurrent callers want written, as line protocol in pieces. Called by the InfluxDB store only."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evolution.errors import ExperienceRefused
from evolution.privacy.guard import OPEN, Guard
from evolution.store import influx_points
from evolution.store.moments import microseconds
from schemas.base import now
from schemas.experience import ExperienceRecord, Feedback

MAX_REQUEST_CHARACTERS = 1024 * 1024

Item = ExperienceRecord | Feedback
Key = tuple[str, str, str]
"""Measurement, tenant, and id of the record or feedback."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One item, ready to be written."""

    measurement: str
    tenant: str
    item_id: str
    at_ns: int
    line: str

    @property
    def key(self) -> Key:
        """What makes it the same item."""
        return self.measurement, self.tenant, self.item_id


def prepare(groups: list[Sequence[Item]], guard: Guard = OPEN) -> list[dict[Key, Prepared] | ExperienceRefused]:
    """Each caller's items by key, or the refusal of that caller's items."""
    # Distinct, so that tail can go on after any of them.
    stored_us = itertools.count(microseconds(now()))
    return [_prepare_one(items, stored_us, guard) for items in groups]


def _prepare_one(
    items: Sequence[Item], stored_us: Iterator[int], guard: Guard
) -> dict[Key, Prepared] | ExperienceRefused:
    prepared: dict[Key, Prepared] = {}
    try:
        for item in items:
            point = _prepared(item, next(stored_us), guard)
            prepared.setdefault(point.key, point)
    except ExperienceRefused as refusal:
        return refusal
    return prepared


def _prepared(item: Item, stored_us: int, guard: Guard) -> Prepared:
    if isinstance(item, Feedback):
        measurement, item_id, point = (
            influx_points.FEEDBACK,
            item.feedback_id,
            influx_points.feedback_point(item, stored_us, guard),
        )
    else:
        measurement, item_id = influx_points.RECORDS, item.record_id
        point = influx_points.record_point(item, stored_us, guard)
    at_ns = influx_points.point_ns(item_id, item.at)
    return Prepared(measurement, item.tenant, item_id, at_ns, point.to_line_protocol())


def requests(points: list[Prepared]) -> Iterator[str]:
    """Line protocol in pieces that a server takes at once."""
    lines: list[str] = []
    size = 0
    for point in points:
        if lines and size + len(point.line) > MAX_REQUEST_CHARACTERS:
            yield "\n".join(lines)
            lines, size = [], 0
        lines.append(point.line)
        size += len(point.line)
    if lines:
        yield "\n".join(lines)
