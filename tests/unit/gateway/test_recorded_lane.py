"""Recorded networks done again by the workers' own runner: as they went then, always."""

import pytest

from evolution.replay.rerunning import rerun
from evolution.replay.walking import Outcome, walked
from gateway.replay.recorded import RecordedLane
from schemas.network import Edge, Network, Node
from schemas.parts import Modality
from schemas.task import StepOutcome, TaskState
from tests.unit.evolution.experience_records import a_record
from tests.unit.evolution.test_rerunning import done

TEXT, IMAGE = (Modality.TEXT,), (Modality.IMAGE,)


def a_step(node, agent, *, ok=True, latency_ms=5.0, attempts=1) -> StepOutcome:
    return StepOutcome(
        step_id=f"t.{node}", node=node, agent_id=agent, skill_id="do", attempts=attempts, latency_ms=latency_ms,
        cost=0.1, ok=ok, error=None if ok else "it broke",
    )  # fmt: skip


def a_diamond(*steps, success=True, **changes):
    """`split` hands a picture to `left` and words to `right`; `join` reads both."""
    nodes = tuple(Node(id=name, agent_id=f"agent-{name}", skill_id="do") for name in ("split", "left", "right", "join"))
    edges = (
        Edge(source="task", target="split", modalities=TEXT),
        Edge(source="split", target="left", modalities=IMAGE),
        Edge(source="split", target="right", modalities=TEXT),
        Edge(source="left", target="join", modalities=TEXT),
        Edge(source="right", target="join", modalities=TEXT),
    )
    values = {"network": Network(nodes=nodes, edges=edges), "steps": steps, "success": success, **changes}
    state = TaskState.SUCCEEDED if success else TaskState.FAILED
    return a_record("t", chosen=tuple(node.agent_id for node in nodes)).model_copy(update={"state": state, **values})


WHOLE = (
    a_step("split", "agent-split"),
    a_step("left", "agent-left", latency_ms=30.0, attempts=3),
    a_step("right", "agent-right", latency_ms=10.0),
    a_step("join", "agent-join"),
)


async def test_a_network_of_several_agents_comes_to_what_it_came_to():
    record = a_diamond(*WHOLE)
    again = await RecordedLane().again(record)
    assert again == Outcome(success=True, latency_ms=40.0, cost=pytest.approx(0.4), answer="t", steps=again.steps)
    assert [(step.node, step.agent_id, step.attempts, step.ok, step.latency_ms) for step in again.steps] == [
        ("split", "agent-split", 1, True, 5.0),
        ("left", "agent-left", 3, True, 30.0),
        ("right", "agent-right", 1, True, 10.0),
        ("join", "agent-join", 1, True, 5.0),
    ]


async def test_a_step_that_failed_fails_again_and_nothing_after_it_is_done():
    broken = a_step("left", "agent-left", ok=False)
    record = a_diamond(WHOLE[0], WHOLE[2], broken, success=False)
    again = await RecordedLane().again(record)
    assert not again.success
    assert {(step.node, step.ok) for step in again.steps} == {("split", True), ("right", True), ("left", False)}
    assert "it broke" in next(step.error for step in again.steps if not step.ok)


async def test_a_neighbour_that_was_cut_off_is_cut_off_again():
    record = a_diamond(WHOLE[0], a_step("left", "agent-left", ok=False), success=False)
    again = await RecordedLane().again(record)
    assert {(step.node, step.ok) for step in again.steps} == {("split", True), ("left", False)}


async def test_who_stood_in_stands_in_again():
    stood_in = a_step("left", "spare", latency_ms=20.0)
    record = a_diamond(WHOLE[0], stood_in, WHOLE[2], WHOLE[3], a_step("left", "agent-left", ok=False))
    again = await RecordedLane().again(record)
    assert again.success
    assert again.latency_ms == walked(record).latency_ms == 35.0
    assert [step.agent_id for step in again.steps if step.node == "left"] == ["spare", "agent-left"]


async def test_a_task_that_failed_though_every_step_was_done_stays_failed():
    again = await RecordedLane().again(a_diamond(*WHOLE, success=False))
    assert (again.success, len(again.steps)) == (False, 4)


async def test_a_record_without_network_runs_its_steps_in_order_and_no_words_are_no_obstacle():
    again = await RecordedLane().again(a_diamond(*WHOLE, network=None, instruction=" "))
    assert (again.success, again.latency_ms, [step.node for step in again.steps]) == (
        True, 50.0, ["split", "left", "right", "join"],
    )  # fmt: skip


async def test_a_window_run_again_is_what_its_steps_tell_and_the_same_every_time():
    records = [done(n, "main" if n % 3 else "spare", success=n % 4 > 0, words=f"task {n % 5}") for n in range(20)]
    records += [a_diamond(*WHOLE), a_diamond(*WHOLE[:2], success=False, record_id="u")]
    lane = RecordedLane()
    found = await rerun(records, None, lane.again)
    assert (found.changed, found.unknown) == (0, 0)
    assert (found.after.success, found.after.latency_ms) == (found.before.success, found.before.latency_ms)
    assert not [step for one in found.reruns for step in one.steps if step.differs]
    assert await rerun(records[::-1], None, RecordedLane().again) == found
