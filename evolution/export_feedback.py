"""What was said of tasks, as columns beside their records. Called by ``export``, batch by batch.

Feedback may come long before or after its record and more than once; stores keep each once and join by task id.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa

from evolution.ports import ExperienceStore
from schemas.experience import ExperienceRecord, Feedback

COLUMNS = (
    pa.field("feedback_count", pa.int32()),
    pa.field("feedback_score", pa.float64()),
    pa.field("feedback_thumbs_up", pa.bool_()),
    pa.field("feedback", pa.string()),
)
"""How often something was said; the latest score (0 to 1) and thumb that anybody gave; all of it as a JSON list, oldest
first. Null where nothing was said, and everywhere when feedback was not asked for.
"""

UNKNOWN: dict[str, Any] = dict.fromkeys(column.name for column in COLUMNS)


async def said_of(store: ExperienceStore, records: Sequence[ExperienceRecord]) -> list[list[Feedback]]:
    """What was said of each record's task, oldest first. Raises ExperienceStoreUnavailable."""
    tasks: dict[str, list[str]] = {}
    for record in records:
        tasks.setdefault(record.tenant, []).append(record.task_id)
    found = await asyncio.gather(*(store.feedback_by_task(tenant, of_it) for tenant, of_it in tasks.items()))
    said = dict(zip(tasks, found, strict=True))
    return [said[record.tenant][record.task_id] for record in records]


def columns_of(said: Sequence[Feedback]) -> dict[str, Any]:
    """One record's values of COLUMNS."""
    if not said:
        return UNKNOWN | {"feedback_count": 0}
    scores = [one.score for one in said if one.score is not None]
    thumbs = [one.thumbs_up for one in said if one.thumbs_up is not None]
    return {
        "feedback_count": len(said),
        "feedback_score": scores[-1] if scores else None,
        "feedback_thumbs_up": thumbs[-1] if thumbs else None,
        "feedback": orjson.dumps([one.model_dump(mode="json") for one in said]).decode(),
    }
