"""Tasks done again against recorded answers: deterministic, and honest about what nobody recorded."""

import pytest

from evolution.replay.policies import always, as_logged
from evolution.replay.rerunning import rerun
from evolution.replay.walking import network_of, step_changes, walked
from schemas.network import TASK
from schemas.parts import Modality
from tests.unit.evolution.decisions_made import a_decision
from tests.unit.evolution.experience_records import a_record, encoded


def done(number, agent, *, success=True, words="the same task", **changes):
    """A task that one of `main` and `spare` did in one step."""
    steps = [
        {
            "step_id": f"t{number}.n0",
            "node": "n0",
            "agent_id": agent,
            "skill_id": "do",
            "attempts": 1,
            "latency_ms": 10.0 if agent == "main" else 30.0,
            "cost": 0.1 if agent == "main" else 0.5,
            "ok": success,
        }
    ]
    values = {"steps": steps, "instruction": words, "modalities": ("text",)} | changes
    return a_decision(number, chosen=agent, success=success, **values)


async def as_told(record):
    """The record as its steps tell it, not run again."""
    return walked(record)


async def test_the_logged_choices_again_give_the_logged_results():
    records = [done(i, "main", success=i % 3 > 0, words=f"task {i}") for i in range(9)]
    found = await rerun(records, as_logged, as_told)
    assert (found.changed, found.unknown) == (0, 0)
    assert found.before == found.after
    assert found.after.success == pytest.approx(6 / 9)


async def test_another_agents_recorded_answer_to_the_same_words_is_used():
    records = [done(1, "main", success=False), done(2, "spare", success=True, words="the  same\ntask")]
    found = await rerun(records, always("spare"), as_told)
    [changed] = [one for one in found.reruns if one.before_agent != one.after_agent]
    assert (changed.task_id, changed.after.answer, changed.after.success) == ("t1", "r2", True)
    assert (found.before.success, found.after.success, found.unknown) == (0.5, 1.0, 0)
    assert (found.before.latency_ms, found.after.latency_ms) == (20.0, 30.0)
    assert found.after.cost == pytest.approx(0.5)


async def test_what_nobody_recorded_is_unknown_and_bounds_the_success_of_all():
    records = [done(i, "main", words=f"task {i}") for i in range(3)] + [done(9, "spare", words="another")]
    found = await rerun(records, always("spare"), as_told)
    assert (found.changed, found.unknown) == (3, 3)
    assert (found.low, found.high) == (0.25, 1.0)
    assert found.before.tasks == found.after.tasks == 1


async def test_answers_to_tasks_that_are_alike_count_only_when_asked_for_and_of_the_same_encoder():
    near, far = encoded([1.0, 0.05]), encoded([0.0, 1.0])
    records = [
        done(1, "main", words="one", vector=encoded([1.0, 0.0]), vector_version="a"),
        done(2, "spare", words="two", vector=near, vector_version="a"),
        done(3, "spare", words="three", vector=far, vector_version="a"),
        done(4, "spare", words="four", vector=encoded([1.0, 0.0]), vector_version="b"),
    ]
    assert (await rerun(records, always("spare"), as_told)).unknown == 1
    found = await rerun(records, always("spare"), as_told, alike=0.95)
    assert found.unknown == 0
    assert {one.after.answer for one in found.reruns if one.task_id == "t1"} == {"r2"}
    assert (await rerun(records, always("spare"), as_told, alike=0.9999)).unknown == 1
    of_others = [records[0], done(5, "spare", words="five", vector=near, vector_version="c")]
    assert (await rerun(of_others, always("spare"), as_told, alike=0.5)).unknown == 1


def test_steps_without_a_recorded_network_were_done_one_after_another():
    record = done(1, "main")
    steps = [record.steps[0].model_copy(update={"node": node, "step_id": f"t1.{node}"}) for node in ("a", "b", "c")]
    chain = network_of(record.model_copy(update={"steps": tuple(steps), "network": None}))
    assert [(edge.source, edge.target) for edge in chain.edges] == [(TASK, "a"), ("a", "b"), ("b", "c")]
    assert [node.agent_id for node in chain.nodes] == ["main"] * 3


async def test_tasks_with_attachments_are_never_taken_for_one_another():
    modalities = (Modality.TEXT, Modality.IMAGE)
    records = [done(1, "main", modalities=modalities), done(2, "spare", modalities=modalities)]
    assert (await rerun(records, always("spare"), as_told)).unknown == 1


def test_a_network_is_walked_group_by_group_until_a_step_fails():
    whole = a_record("t", chosen=("ocr", "summary"))
    assert (walked(whole).latency_ms, walked(whole).success) == (7.0, True)
    first, second = whole.steps
    broken = whole.model_copy(update={"steps": (first.model_copy(update={"ok": False}), second)})
    assert (walked(broken).latency_ms, walked(broken).success) == (3.5, False)
    assert walked(broken).cost == pytest.approx(0.1)


def test_a_substitute_that_did_the_step_saves_the_task_and_both_tries_count():
    whole = a_record("t", chosen=("ocr", "summary"))
    first, second = whole.steps
    stood_in = first.model_copy(update={"agent_id": "spare", "step_id": "t.n0.spare"})
    failed = first.model_copy(update={"ok": False, "error": "no"})
    saved = walked(whole.model_copy(update={"steps": (stood_in, second, failed)}))
    assert (saved.success, saved.latency_ms) == (True, 10.5)
    assert saved.cost == pytest.approx(0.3)
    [changed] = [step for step in step_changes(walked(whole), saved) if step.differs]
    assert (changed.node, changed.before.agent_id, changed.after.agent_id) == ("n0", "ocr", "spare")


async def test_a_team_whose_first_agent_would_change_is_unknown():
    found = await rerun([a_record("t", chosen=("ocr", "summary"))], always("summary"), as_told)
    assert (found.changed, found.unknown) == (1, 1)


async def test_the_same_records_in_any_order_give_the_same_report():
    records = [done(i, "main" if i % 2 else "spare", success=i % 3 > 0, words=f"task {i % 4}") for i in range(20)]
    assert await rerun(records, always("main"), as_told) == await rerun(records[::-1], always("main"), as_told)


async def test_of_nothing_the_report_says_nothing():
    found = await rerun([], as_logged, as_told)
    assert (found.before.tasks, found.low, found.high) == (0, 0.0, 0.0)
