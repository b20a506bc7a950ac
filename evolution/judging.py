"""What people say of results, as the outcomes that count. Called by experiments, guards and off-policy evaluation.

Where somebody judged a task, that judgement, 0 to 1, counts instead of the task's own success, as in learning; of
several the latest. Words alone judge nothing.
"""

from collections.abc import Callable, Collection, Sequence

from evolution.ports import ExperienceStore
from schemas.experience import ExperienceRecord, Feedback


async def judgements(store: ExperienceStore, tenant: str, task_ids: Collection[str]) -> dict[str, float]:
    """By task id, of those that were judged so far. Raises ExperienceStoreUnavailable."""
    if not task_ids:
        return {}
    found = await store.feedback_by_task(tenant, task_ids)
    return {task_id: value for task_id, said in found.items() if (value := latest(said)) is not None}


def latest(said: Sequence[Feedback]) -> float | None:
    """The last judgement of what was said of one task, oldest first; None without any."""
    last = last_judging(said)
    return last.judgement if last else None


def last_judging(said: Sequence[Feedback]) -> Feedback | None:
    """The remark that holds it."""
    return next((one for one in reversed(said) if one.judgement is not None), None)


async def rewards(store: ExperienceStore, records: Sequence[ExperienceRecord]) -> Callable[[ExperienceRecord], float]:
    """What each of these records earned, 0 to 1, as judged so far. Raises ExperienceStoreUnavailable."""
    tasks: dict[str, list[str]] = {}
    for record in records:
        tasks.setdefault(record.tenant, []).append(record.task_id)
    judged = {tenant: await judgements(store, tenant, of_it) for tenant, of_it in tasks.items()}
    return lambda record: judged.get(record.tenant, {}).get(record.task_id, float(record.success))
