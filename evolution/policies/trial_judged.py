"""What people said of an experiment's tasks: what the look before knew, and what was said since. For ``Count``."""

from collections.abc import Collection, Mapping, Set

from evolution.judging import judgements
from evolution.policies.trial_memory import Counted
from evolution.ports import ExperienceStore


class Judged:
    """Of one look. The store is asked of tasks that are new, and of those that something was said of since.

    What is said before a task's record comes is found when the task is new. Whatever is said while the look goes on is
    found by the next one: its ``cursor`` is older than every question.
    """

    def __init__(
        self, store: ExperienceStore, tenant: str, cursor: str, asked: Set[str], known: Mapping[str, float]
    ) -> None:
        self._store = store
        self._tenant = tenant
        self.cursor = cursor
        self._asked = asked
        self._known = known

    @classmethod
    async def since(cls, store: ExperienceStore, tenant: str, counted: Counted | None) -> "Judged":
        """With what was known when that was counted. Raises ExperienceStoreUnavailable."""
        spoken = await store.spoken_of(tenant, counted.heard if counted else None)
        if counted is None or spoken.task_ids is None:
            return cls(store, tenant, spoken.cursor, frozenset(), {})
        asked = counted.tasks() - spoken.task_ids
        return cls(store, tenant, spoken.cursor, asked, counted.judged)

    async def of(self, task_ids: Collection[str]) -> dict[str, float]:
        """By task id, of those that were judged so far. Raises ExperienceStoreUnavailable."""
        new = [task_id for task_id in task_ids if task_id not in self._asked]
        known = {
            task_id: self._known[task_id] for task_id in task_ids if task_id in self._asked and task_id in self._known
        }
        return known | await judgements(self._store, self._tenant, new)
