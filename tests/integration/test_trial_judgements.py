"""An experiment counts what people said of its tasks, whenever they say it: over the real store, across restarts."""
# ruff: noqa: F811 - two of the names imported from test_trial_memory are fixtures

import json
from datetime import datetime, timedelta
from functools import partial

import pytest

from evolution.experiments.tallies import SUCCESS
from evolution.policies import trial_count
from evolution.policies.trial_memory import TrialFolder
from evolution.store.sqlite_store import SqliteExperienceStore
from schemas.assignment import CONTROL, TREATMENT, arm_of
from schemas.base import now
from schemas.experience import Feedback
from tests.integration.test_policy_loop import traffic
from tests.integration.test_trial_memory import looked, memory, state  # noqa: F401


@pytest.fixture
async def store(tmp_path):
    opened = SqliteExperienceStore(tmp_path / "experience.db")
    yield opened
    await opened.close()


def ago(minutes: float) -> datetime:
    return now() - timedelta(minutes=minutes)


def said(number: int, *, minutes_ago: float = 1.0, **opinion: object) -> Feedback:
    values = opinion or {"thumbs_up": False}
    return Feedback.model_validate({"task_id": f"t{number}", "at": now() - timedelta(minutes=minutes_ago), **values})


def tasks_of(arm: str, count: int) -> list[int]:
    """Numbers of tasks of the traffic that belong to that arm."""
    return [number for number in range(count) if arm_of("trial", f"t{number}", 0.5) == arm]


def told(found) -> tuple:
    """What both arms came to, how many of each were judged, and the interval."""
    (stage,) = found.stages
    arms = [(stage.count(arm), stage.judged(arm), round(stage.moments(arm, SUCCESS).mean, 9)) for arm in found.tasks]
    success = found.verdict.success
    return (*arms, *(round(value, 9) for value in (success.value, success.low, success.high)), found.verdict.action)


async def test_what_is_said_hours_later_corrects_the_tally_also_after_a_restart(store, state, memory, tmp_path):
    await store.record(traffic(600, minutes_ago=300, good=1.0, usual=1.0))
    before = await looked(store, state, memory)
    treated = tasks_of(TREATMENT, 600)
    assert told(before)[:2] == ((len(treated), 0, 1.0), (600 - len(treated), 0, 1.0))
    bad = treated[:60]
    await store.add_feedback([said(number) for number in bad])
    await store.close()

    again = SqliteExperienceStore(tmp_path / "experience.db")
    try:
        found = await looked(again, state, TrialFolder(tmp_path / "trials"))
        (stage,) = found.stages
        assert (stage.judged(TREATMENT), stage.judged(CONTROL)) == (60, 0)
        assert stage.moments(TREATMENT, SUCCESS).mean == pytest.approx(1 - 60 / len(treated))
        assert found.tasks == before.tasks
        assert found.verdict.success.high < 0
        assert found.verdict.reason.startswith("success falls by at least")
        assert told(found) == told(await looked(again, state))
    finally:
        await again.close()


async def test_of_several_remarks_the_latest_judges_and_words_alone_do_not(store, state, memory):
    await store.record(traffic(600, minutes_ago=300, good=1.0, usual=1.0))
    number = tasks_of(CONTROL, 600)[0]
    remark = said(number, score=0.25, minutes_ago=30)
    await store.add_feedback([remark, remark, said(number, thumbs_up=True, minutes_ago=40)])
    (stage,) = (await looked(store, state, memory)).stages
    count = stage.count(CONTROL)
    assert stage.judged(CONTROL) == 1
    assert stage.moments(CONTROL, SUCCESS).mean == pytest.approx(1 - 0.75 / count)
    await store.add_feedback([remark, said(number, comment="the date is wrong", minutes_ago=20)])
    (stage,) = (await looked(store, state, memory)).stages
    assert stage.moments(CONTROL, SUCCESS).mean == pytest.approx(1 - 0.75 / count)
    await store.add_feedback([said(number, thumbs_up=False, minutes_ago=10)])
    (stage,) = (await looked(store, state, memory)).stages
    assert stage.judged(CONTROL) == 1
    assert stage.moments(CONTROL, SUCCESS).mean == pytest.approx(1 - 1 / count)


@pytest.mark.parametrize("minutes_ago", [300, 20], ids=["settled", "of the last hour"])
async def test_what_is_said_before_the_record_comes_counts_once_it_is_there(store, state, memory, minutes_ago):
    await store.record(traffic(100, minutes_ago=400))
    await store.add_feedback([said(number, score=0.5) for number in range(100, 130)])
    assert told(await looked(store, state, memory))[:2] == told(await looked(store, state))[:2]
    await store.record(traffic(30, minutes_ago=minutes_ago, start=100))
    # What ended before the look that is remembered is found when everything is counted: a day later, or here.
    whole = await looked(store, state)
    (stage,) = whole.stages
    assert stage.judged(TREATMENT) + stage.judged(CONTROL) == 30
    if minutes_ago < 60:
        assert told(await looked(store, state, memory)) == told(whole)


async def test_looks_that_remember_say_what_a_look_at_everything_says(store, state, memory, monkeypatch, tmp_path):
    monkeypatch.setattr(trial_count, "MOST_OPEN", 100)
    for lot, minutes in enumerate((600, 400, 200, 90, 30)):
        await store.record(traffic(130, minutes_ago=minutes, start=130 * lot, seed=lot))
        await store.add_feedback([said(number) for number in range(max(0, 130 * lot - 40), 130 * lot, 3)])
        monkeypatch.setattr(trial_count, "now", partial(ago, minutes - 20))
        await looked(store, state, memory)
    remembering, whole = await looked(store, state, memory), await looked(store, state)
    assert told(remembering) == told(whole)
    assert sum(stage.judged(arm) for stage in whole.stages for arm in (TREATMENT, CONTROL)) > 40
    # Of those before the newest hundred, settled tasks keep their value until everything is counted again.
    (kept,) = json.loads((tmp_path / "trials" / "default.json").read_text())["open"]
    assert len(kept) == 100
    await store.add_feedback([said(0, score=0.31)])
    assert told(await looked(store, state, memory)) == told(remembering)
    assert told(await looked(store, state)) != told(whole)
