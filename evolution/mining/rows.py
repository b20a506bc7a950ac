"""Tasks as mining reads them: by column, from stored rows or from records. Called by ``sources``."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from evolution.mining.columns import Steps, steps_of
from evolution.store.moments import microseconds
from evolution.validity import task_vector
from schemas.experience import ExperienceRecord
from schemas.invocation import INPUT_REQUIRED

logger = logging.getLogger(__name__)

PLAIN = ("seq", "at_us", "task_id", "success", "latency_ms", "cost", "team", "modalities", "failure_code")

Head = tuple[str | None, Any]
"""Who encoded a task, and its steps as JSON has them."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some tasks: the columns PLAIN by name, and of each task its steps, its vector (float32) and who encoded it."""

    values: Mapping[str, Sequence[Any]]
    steps: Sequence[Steps]
    vectors: Sequence[bytes | None]
    versions: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.steps)


def rows_of(records: Sequence[ExperienceRecord], first_seq: int = 0) -> Rows:
    """Records as rows, numbered from ``first_seq`` + 1."""
    vectors = [task_vector(record) for record in records]
    values: dict[str, list[Any]] = {
        "seq": [first_seq + number for number in range(1, len(records) + 1)],
        "at_us": [microseconds(record.at) for record in records],
        "team": [json.dumps(record.chosen) for record in records],
        "modalities": [json.dumps(record.modalities) for record in records],
    }
    same = ("task_id", "success", "latency_ms", "cost", "failure_code")
    values |= {name: [getattr(record, name) for record in records] for name in same}
    return Rows(
        values,
        [steps_of(record) for record in records],
        [None if vector is None else vector.tobytes() for vector in vectors],
        [record.vector_version for record in records],
    )


def rows_from(plain: list[Any], vectors: Sequence[bytes | None], heads: Sequence[Head]) -> Rows:
    """Rows of the columns PLAIN; ``heads`` are of each task who encoded it, and its steps as JSON has them."""
    return Rows(
        dict(zip(PLAIN, [*plain[:3], list(map(bool, plain[3])), *plain[4:]], strict=True)),
        [_counted(steps) for _, steps in heads],
        vectors,
        [version for version, _ in heads],
    )


def head_of(body: str) -> Head:
    """Of a stored record. A spoiled one says nothing, and must not stop the others' turn."""
    try:
        values = orjson.loads(body)
        return values.get("vector_version"), values.get("steps")
    except (ValueError, AttributeError):
        logger.warning("a stored record does not read; of its task only the columns are mined")
        return None, None


def _counted(steps: Any) -> Steps:  # noqa: ANN401 - what a stored record says
    """As ``schemas.task.counted``, of steps as JSON has them: a million are not made into messages for that."""
    try:
        done = {s["node"] for s in steps or () if s["ok"]}
        told = (s for s in steps or () if s.get("error_code") != INPUT_REQUIRED or s["node"] in done)
        return [(s["agent_id"], s["latency_ms"], s["cost"], s["ok"]) for s in told]
    except (TypeError, KeyError, AttributeError):
        logger.warning("the steps of a stored record do not read; of its task only the columns are mined")
        return []
