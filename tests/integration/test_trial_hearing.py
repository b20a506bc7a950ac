"""An experiment asks only of tasks that people said something of since its last look, and says the same throughout."""
# ruff: noqa: F811 - two of the names imported from test_trial_memory are fixtures

import json

import numpy as np
import pytest

from evolution.policies.trial_memory import TrialFolder
from evolution.store.memory_store import MemoryExperienceStore
from evolution.store.sqlite_store import SqliteExperienceStore
from evolution.tiers.forgetting import forget
from schemas.assignment import TREATMENT
from tests.integration.test_policy_loop import traffic
from tests.integration.test_trial_judgements import said, tasks_of, told
from tests.integration.test_trial_memory import looked, memory, state  # noqa: F401


class AskedStore(SqliteExperienceStore):
    """Says of which tasks it was asked since it was asked last; ``meanwhile`` is said as soon as it has answered."""

    def __init__(self, path) -> None:
        super().__init__(path)
        self._of: list[str] = []
        self.meanwhile = []

    async def feedback_by_task(self, tenant, task_ids):
        self._of += task_ids
        found = await super().feedback_by_task(tenant, task_ids)
        meanwhile, self.meanwhile = self.meanwhile, []
        await self.add_feedback(meanwhile)
        return found

    def asked(self) -> list[str]:
        found, self._of = self._of, []
        return sorted(found)


@pytest.fixture
async def store(tmp_path):
    opened = AskedStore(tmp_path / "experience.db")
    yield opened
    await opened.close()


async def test_a_look_asks_of_new_tasks_and_of_those_that_something_was_said_of(store, state, memory):
    await store.record(traffic(200, minutes_ago=300))
    await store.record(traffic(30, minutes_ago=20, start=200))
    await store.add_feedback([said(7)])
    await looked(store, state, memory)
    assert len(store.asked()) == 230
    await looked(store, state, memory)
    assert store.asked() == []
    await store.record(traffic(2, minutes_ago=10, start=500))
    await store.add_feedback([said(7), said(210), said(210), said(501), said(9999)])
    found = await looked(store, state, memory)
    assert store.asked() == ["t210", "t500", "t501", "t7"]
    assert told(found) == told(await looked(store, state))


async def test_what_is_said_while_a_look_goes_on_counts_at_the_next(store, state, memory):
    await store.record(traffic(100, minutes_ago=300, good=1.0, usual=1.0))
    store.meanwhile = [said(3)]
    first = await looked(store, state, memory)
    assert told(first)[0][1] + told(first)[1][1] == 0
    store.asked()
    second = await looked(store, state, memory)
    assert store.asked() == ["t3"]
    assert told(second) == told(await looked(store, state)) != told(first)


async def test_what_was_removed_counts_no_longer(store, state, memory, cold, tmp_path):
    await store.record(traffic(300, minutes_ago=300, good=1.0, usual=1.0))
    treated = tasks_of(TREATMENT, 300)
    anns = [said(number, thumbs_up=False, actor="ann") for number in treated[:5]]
    await store.add_feedback([*anns, *(said(number) for number in treated[5:9])])
    assert told(await looked(store, state, memory))[0] == (len(treated), 9, round(1 - 9 / len(treated), 9))
    assert forget(tmp_path / "experience.db", cold, "default", subject="ann").feedback == 5
    found = await looked(store, state, memory)
    assert told(found)[0] == (len(treated), 4, round(1 - 4 / len(treated), 9))
    assert told(found) == told(await looked(store, state))
    # The forgotten task itself counts as it ended, until everything is counted again.
    forget(tmp_path / "experience.db", cold, "default", task=f"t{treated[5]}")
    assert told(await looked(store, state, memory))[0] == (len(treated), 3, round(1 - 3 / len(treated), 9))
    store.asked()
    await looked(store, state, memory)
    assert store.asked() == []


async def test_a_memory_of_an_older_release_or_of_another_store_asks_of_all_tasks(store, state, memory, tmp_path):
    await store.record(traffic(60, minutes_ago=300))
    await store.add_feedback([said(number) for number in range(20)])
    first = told(await looked(store, state, memory))
    file = tmp_path / "trials" / "default.json"
    kept = json.loads(file.read_text())
    assert len(kept["judged"]) == 20
    older = {name: value for name, value in kept.items() if name not in ("recent", "judged", "heard")}
    for content in (older, kept | {"heard": "memory.x.20", "judged": {}}):
        file.write_text(json.dumps(content))
        store.asked()
        assert told(await looked(store, state, memory)) == first
        assert len(store.asked()) == 60
    file.write_text(json.dumps(kept | {"judged": {"t1": "much"}}))
    assert told(await looked(store, state, memory)) == first


async def test_a_store_in_memory_that_began_anew_is_another_one(state, memory):
    for _ in range(2):
        store = MemoryExperienceStore()
        await store.record(traffic(60, minutes_ago=300))
        await store.add_feedback([said(number) for number in range(20)])
        assert told(await looked(store, state, memory)) == told(await looked(store, state))


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_said_whenever_looks_say_what_a_look_at_everything_says(state, tmp_path, cold, seed):
    rng, path, count = np.random.default_rng(seed), tmp_path / "experience.db", 200
    store = SqliteExperienceStore(path)
    await store.record(traffic(count, minutes_ago=300))
    for step in range(25):
        if rng.random() < 0.4:
            await store.record(traffic(more := int(rng.integers(1, 9)), minutes_ago=30, start=count, seed=step))
            count += more
        if rng.random() < 0.7:  # of any task, also of such that are still to come; some twice, in any order of time
            opinions = [{"thumbs_up": bool(rng.random() < 0.5)}, {"score": float(rng.random())}, {"comment": "so"}]
            remarks = [
                said(
                    int(number), minutes_ago=float(rng.uniform(1, 200)), actor=f"a{number % 7}", **opinions[number % 3]
                )
                for number in rng.integers(0, count + 5, int(rng.integers(1, 12)))
            ]
            await store.add_feedback([*remarks, *remarks[:2]])
        if rng.random() < 0.15:
            forget(path, cold, "default", subject=f"a{rng.integers(7)}")
        if rng.random() < 0.3:
            await store.close()
            store = SqliteExperienceStore(path)
        remembering = await looked(store, state, TrialFolder(tmp_path / "trials"))
        assert told(remembering) == told(await looked(store, state))
    assert sum(stage.judged(TREATMENT) for stage in remembering.stages) > 10
    await store.close()
