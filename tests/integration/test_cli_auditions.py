"""`aos agents auditions` and what `aos experience forget` does to them, as people type them, against a real bus."""

import json

import pytest

from evolution.store.sqlite_store import SqliteExperienceStore
from gateway.auditions.keeping import Auditions
from schemas.audition import AUDITION_OF, Audition
from tests.integration.test_cli_policies import aos  # noqa: F401 - a fixture
from tests.unit.evolution.test_rerunning import done


@pytest.fixture
async def auditions(js):
    """One that is over: the newcomer did t0 and failed at t1."""
    records = [
        done(100 + number, "newcomer", success=number == 0, labels={AUDITION_OF: f"t{number}"}) for number in range(2)
    ]
    kept = Auditions(js)
    audition = Audition(tenant="default", agent_id="newcomer", wanted=2, done=True, records=tuple(records))
    await kept.write(audition, 0)
    return kept


async def test_who_was_auditioned_is_shown_and_may_be_asked_again(aos, auditions):  # noqa: F811
    code, out, _ = await aos("agents", "auditions")
    assert code == 0
    assert "2 of 2" in out
    code, out, _ = await aos("agents", "auditions", "--json")
    [shown] = json.loads(out)["auditions"]
    assert (shown["agent_id"], shown["asked"], shown["succeeded"], shown["done"]) == ("newcomer", 2, 1, True)
    assert [answer["task_id"] for answer in shown["answers"]] == ["t0", "t1"]
    code, out, _ = await aos("agents", "auditions", "--again", "newcomer", "--json")
    assert (code, json.loads(out)) == (0, {"auditions": []})
    assert await auditions.all() == []


async def test_an_agent_that_was_never_auditioned_is_said(aos, auditions):  # noqa: F811
    code, _, said = await aos("agents", "auditions", "--again", "nobody")
    assert code == 4
    assert "'nobody' was never auditioned" in said


async def test_without_any_it_is_said_what_brings_them(aos, js):  # noqa: F811
    code, out, _ = await aos("agents", "auditions")
    assert code == 0
    assert "AOS_LEARNING__AUDITIONS" in out
    assert "side_effects:none" in out


async def test_who_forgets_a_task_forgets_what_newcomers_answered_to_it(aos, auditions, tmp_path):  # noqa: F811
    store = SqliteExperienceStore(tmp_path / "data" / "experience" / "experience.db")
    await store.record([done(1, "main")])
    await store.close()
    code, out, _ = await aos("experience", "forget", "--task", "t1", "--json")
    assert (code, json.loads(out)["auditions"]) == (0, 1)
    [held] = await auditions.all()
    assert [record.labels[AUDITION_OF] for record in held.audition.records] == ["t0"]
