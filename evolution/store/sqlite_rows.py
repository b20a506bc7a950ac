"""Records and feedback as rows of the embedded store, and queries as SQL. Called by the SQLite store only."""

import base64
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from evolution.errors import ExperienceRefused
from evolution.ports import ExperienceQuery
from evolution.privacy.guard import OPEN, Guard
from evolution.store.moments import microseconds
from evolution.validity import check_feedback, check_record
from schemas.experience import ExperienceRecord, Feedback

logger = logging.getLogger(__name__)

INSERT_RECORD = """INSERT INTO experience (tenant, record_id, task_id, at_us, state, success, latency_ms, cost, policy,
    propensity, exploratory, chosen, modalities, failure_code, record, vector)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, record_id) DO NOTHING"""
INSERT_CHOSEN = "INSERT OR IGNORE INTO chosen_agent (tenant, agent_id, at_us, seq) VALUES (?, ?, ?, ?)"
INSERT_FEEDBACK = """INSERT INTO feedback (tenant, feedback_id, task_id, at_us, score, thumbs_up, feedback)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, feedback_id) DO NOTHING"""

TENANTS = """WITH RECURSIVE found (tenant) AS (
    SELECT min(tenant) FROM experience
    UNION ALL SELECT (SELECT min(tenant) FROM experience e WHERE e.tenant > found.tenant) FROM found
    WHERE found.tenant IS NOT NULL) SELECT tenant FROM found WHERE tenant IS NOT NULL"""
"""Leaps through the index from tenant to tenant."""
LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM experience"

COLUMNS = "e.record, e.vector, e.at_us, e.seq"
"""What ``read`` reads."""
KEYS = "e.at_us, e.seq, e.tenant, e.record_id"
"""What tells one row from all others."""

_CHOSEN = "? IN (SELECT value FROM json_each(e.chosen))"
_OF_AGENT = "chosen_agent c JOIN experience e ON (e.tenant, e.at_us, e.seq) = (c.tenant, c.at_us, c.seq)"

Row = tuple[Any, ...]
Select = tuple[str, Row]
"""A statement and its values."""


def record_row(record: ExperienceRecord, guard: Guard = OPEN) -> Row:
    """The values of INSERT_RECORD. Raises ExperienceRefused when the record could not be read back, KeysUnusable."""
    return sealed_row(record, guard)[1]


def sealed_row(record: ExperienceRecord, guard: Guard) -> tuple[ExperienceRecord, Row]:
    """The same, with the record as it is stored."""
    vector = check_record(record)
    try:
        sealed = guard.sealed(record)
        body = sealed.model_dump_json(exclude={"vector"})
        body.encode()
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise ExperienceRefused(f"record {record.record_id} cannot be written as JSON: {error}") from error
    return sealed, (
        record.tenant,
        record.record_id,
        record.task_id,
        microseconds(record.at),
        record.state.value,
        int(record.success),
        record.latency_ms,
        record.cost,
        record.policy,
        record.propensity,
        int(record.exploratory),
        json.dumps(record.chosen),
        json.dumps(record.modalities),
        record.failure_code,
        body,
        None if vector is None else vector.astype("<f4").tobytes(),
    )


def feedback_row(feedback: Feedback, guard: Guard = OPEN) -> Row:
    """The values of INSERT_FEEDBACK. Raises ExperienceRefused when it could not be read back, KeysUnusable."""
    check_feedback(feedback)
    try:
        body = guard.sealed_feedback(feedback).model_dump_json()
        body.encode()
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise ExperienceRefused(f"feedback {feedback.feedback_id} cannot be written as JSON: {error}") from error
    thumbs = None if feedback.thumbs_up is None else int(feedback.thumbs_up)
    at_us = microseconds(feedback.at)
    return (feedback.tenant, feedback.feedback_id, feedback.task_id, at_us, feedback.score, thumbs, body)


def feedback_of(tenant: str, task_ids: Sequence[str]) -> Select:
    """What was said of those tasks, oldest first of each, as the index has it; SQLite takes no more than 999 values."""
    # Only question marks are joined here; every value travels as a parameter.
    marks = ", ".join("?" * len(task_ids))
    sql = f"SELECT feedback FROM feedback WHERE tenant = ? AND task_id IN ({marks}) ORDER BY task_id, at_us, seq"  # noqa: S608
    return sql, (tenant, *task_ids)


@dataclass(frozen=True, slots=True)
class Read:
    """One row as it was read; ``record`` is None when another release wrote something that this one cannot read."""

    record: ExperienceRecord | None
    at_us: int
    seq: int


def read(row: Row, guard: Guard = OPEN) -> Read:
    """One unreadable row must not hide all the others: it is logged and left out."""
    body, vector, at_us, seq = row
    try:
        record = ExperienceRecord.from_peer(body)
    except ValidationError as error:
        logger.warning("stored record number %d does not read as one and is left out: %s", seq, error)
        return Read(None, at_us, seq)
    if vector is not None:
        record = record.model_copy(update={"vector": base64.b64encode(vector).decode()})
    return Read(guard.opened(record), at_us, seq)


def count(query: ExperienceQuery) -> Select:
    """How many records there are of the query's tenant and time."""
    asked = _restrictions(query, "e", "e.at_us")
    where = " AND ".join(test for test, _ in asked) or "1"
    return f"SELECT count(*) FROM experience e WHERE {where}", tuple(value for _, value in asked)  # noqa: S608


def newest(query: ExperienceQuery) -> Select:
    """The query's records, newest first."""
    return _select(query, (), (), _order(query, "DESC"), query.limit)


def newest_until(query: ExperienceQuery, seq: int, limit: int) -> Select:
    """The query's records stored up to that sequence number, newest first; ``until`` does not apply."""
    test = f"{_key(query)}.seq <= ?"
    return _select(replace(query, until=None), (test,), (seq,), _order(query, "DESC"), limit)


def oldest_after(query: ExperienceQuery, after: tuple[int, int], limit: int) -> Select:
    """The query's records whose (at_us, seq) lie behind ``after``, oldest first."""
    test = f"({_at(query)}, {_key(query)}.seq) > (?, ?)"
    return _select(query, (test,), after, _order(query, "ASC"), limit)


def beginning(query: ExperienceQuery) -> Select:
    """The number after which all was stored that happened since ``query.since``; without that, the last one so far."""
    if query.since is None:
        return LAST_SEQ, ()
    tenant = () if query.tenant is None else (query.tenant,)
    where = "tenant = ? AND at_us >= ?" if tenant else "at_us >= ?"
    # The plus: by its index of moments, for by number SQLite would go through all that happened before.
    first = f"SELECT min(+seq) - 1 FROM experience WHERE {where}"  # noqa: S608
    return f"SELECT coalesce(({first}), ({LAST_SEQ}))", (*tenant, microseconds(query.since))


def stored_after(query: ExperienceQuery, seq: int, limit: int, columns: str = COLUMNS) -> Select:
    """The query's records stored after that sequence number, in order of storing; ``until`` does not apply."""
    # By number, whatever is asked: an index would go through all of the tenant, or agent, for its few new rows.
    asked = _restrictions(replace(query, until=None), "+e", "+e.at_us")
    where = " AND ".join(["e.seq > ?", *(test for test, _ in asked)])
    sql = f"SELECT {columns} FROM experience e WHERE {where} ORDER BY e.seq LIMIT ?"  # noqa: S608
    return sql, (seq, *(value for _, value in asked), limit)


def stored_between(tenant: str, after: int, last: int) -> Select:
    """The tenant's records with a number above the one and up to the other, in order of storing."""
    # The plus keeps SQLite from walking all of the tenant's records for its few new ones.
    return f"SELECT {COLUMNS} FROM experience e WHERE e.seq > ? AND e.seq <= ? AND +e.tenant = ? ORDER BY e.seq", (  # noqa: S608
        after,
        last,
        tenant,
    )


def _key(query: ExperienceQuery) -> str:
    # A query for one agent walks the agent's own index, so that it reads no row of others; one for a task, the task's.
    return "e" if query.agent_id is None or query.task_id is not None else "c"


def _at(query: ExperienceQuery) -> str:
    # The plus keeps SQLite from walking the index of moments, past a million of them, for one task's few rows.
    return f"{'+' if query.task_id is not None else ''}{_key(query)}.at_us"


def _order(query: ExperienceQuery, direction: str) -> str:
    return f"{_at(query)} {direction}, {_key(query)}.seq {direction}"


def _select(query: ExperienceQuery, tests: Row, values: Row, order: str, limit: int) -> Select:
    key = _key(query)
    source = "experience e" if key == "e" else _OF_AGENT
    asked = _restrictions(query, key, _at(query))
    where = " AND ".join([*tests, *(test for test, _ in asked)]) or "1"
    # Only constants of this module are joined here; every value travels as a parameter.
    sql = f"SELECT {COLUMNS} FROM {source} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608
    return sql, (*values, *(value for _, value in asked), limit)


def _restrictions(query: ExperienceQuery, key: str, at: str) -> list[tuple[str, Any]]:
    """What the query asks of a row: tests, each with its value. ``key`` and ``at`` say by which index to look."""
    restrictions = [
        (f"{key}.tenant = ?", query.tenant),
        ("e.task_id = ?", query.task_id),
        ("c.agent_id = ?" if key == "c" else _CHOSEN, query.agent_id),
        (f"{at} >= ?", None if query.since is None else microseconds(query.since)),
        (f"{at} < ?", None if query.until is None else microseconds(query.until)),
        ("e.success = ?", None if query.success is None else int(query.success)),
        ("e.policy = ?", query.policy),
    ]
    return [(test, value) for test, value in restrictions if value is not None]
