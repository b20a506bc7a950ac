"""One task's journey, told step by step as in the design: a scanned invoice becomes a chart, over a worker's death.

The journey happens once, on the real stack with the real sample agents; each test reads one step of it.
"""

import asyncio
import os
import signal
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import yaml

from schemas import checkpoint_subjects, subjects
from schemas.base import id_from_key
from schemas.experience import ExperienceRecord
from schemas.task import TaskEvent, TaskEventKind, TaskSubmitted
from tests.stack.live_stack import INPUTS, SAMPLES, LiveStack
from tests.stack.sse import ServerEvent, read_events

pytestmark = pytest.mark.timeout(180)

KEY = "invoice-2026-11"
REQUEST = "Read this scanned invoice, then make a table of the items and amounts, then draw a bar chart of the amounts"


@dataclass
class Journey:
    """What was seen along the way."""

    accepted: httpx.Response
    repeated: httpx.Response
    queued: TaskSubmitted
    queued_id: str
    killed_worker: str
    checkpoints_at_the_kill: int
    record: dict[str, Any] = field(default_factory=dict)
    events: list[TaskEvent] = field(default_factory=list)
    story: list[ServerEvent] = field(default_factory=list)
    rest_of_story: list[ServerEvent] = field(default_factory=list)
    chart: bytes = b""
    experience: ExperienceRecord | None = None
    left_in_queue: bool = True
    checkpoints_at_the_end: int = -1

    def told(self, kind: TaskEventKind) -> list[TaskEvent]:
        return [event for event in self.events if event.kind is kind]


@pytest.fixture(scope="module")
def journey(running_stack: LiveStack) -> Journey:
    return asyncio.run(asyncio.wait_for(travel(running_stack), 150))


async def travel(stack: LiveStack) -> Journey:
    """Submit, kill the worker between two steps, wait for the end, look everywhere."""
    await stack.heal()
    task_id = id_from_key("default", KEY)
    async with stack.door() as door, stack.bus() as nc, stack.listening() as heard:
        js = nc.jetstream()
        accepted, repeated = await submit(door), await submit(door)
        stream_seq = (await door.get(f"/v1/tasks/{task_id}")).json()["stream_seq"]
        stored = await js.get_msg(subjects.STREAM_TASKS, seq=stream_seq)

        first = await heard.until(task_id, TaskEventKind.STEP_FINISHED)
        # The second step begins only after the first one's checkpoint is stored: the moment between two steps.
        second = await heard.until(
            task_id, TaskEventKind.STEP_STARTED, lambda event: event.data["node"] != first.data["node"]
        )
        os.kill(int(second.worker_id.rsplit("-", 2)[1]), signal.SIGKILL)
        seen = Journey(
            accepted=accepted,
            repeated=repeated,
            queued=TaskSubmitted.model_validate_json(stored.data),
            queued_id=stored.headers[subjects.HEADER_MESSAGE_ID],
            killed_worker=second.worker_id,
            checkpoints_at_the_kill=await checkpoints(js, task_id),
        )
        await heard.until(task_id, TaskEventKind.SUCCEEDED)
        seen.record = (await door.get(f"/v1/tasks/{task_id}")).json()
        seen.events = list(heard.events[task_id])
        seen.story = await read_events(door, task_id)
        seen.rest_of_story = await read_events(door, task_id, last_event_id=seen.story[3].id)
        seen.chart = (await door.get(f"/v1/tasks/{task_id}/outputs/0")).content
        seen.experience = await stack.experience_of(task_id)
        seen.checkpoints_at_the_end = await checkpoints(js, task_id)
        seen.left_in_queue = stream_seq in await sequences_in_queue(js)
    return seen


async def submit(door: httpx.AsyncClient) -> httpx.Response:
    scan = (INPUTS / "invoice_scan.png").read_bytes()
    return await door.post(
        "/v1/tasks",
        data={"text": REQUEST, "labels": '{"journey": "acceptance"}'},
        files={"file": ("invoice_scan.png", scan, "image/png")},
        headers={"Idempotency-Key": KEY},
    )


async def checkpoints(js, task_id: str) -> int:
    thread = checkpoint_subjects.of_thread(subjects.record_key("default", task_id))
    return len((await js.stream_info(subjects.STREAM_CHECKPOINTS, thread)).state.subjects or {})


async def sequences_in_queue(js) -> range:
    state = (await js.stream_info(subjects.STREAM_TASKS)).state
    return range(state.first_seq, state.last_seq + 1) if state.messages else range(0)


def skill_of(agent_id: str, skill_id: str) -> dict[str, Any]:
    card = yaml.safe_load((SAMPLES / f"{agent_id}.yaml").read_text())
    return next(skill for skill in card["skills"] if skill["id"] == skill_id)


def test_1_a_door_accepts_the_task_and_the_same_key_again_is_the_same_task(journey: Journey):
    assert journey.accepted.status_code == 202
    assert journey.accepted.json()["task_id"] == journey.repeated.json()["task_id"] == id_from_key("default", KEY)
    assert "Idempotency-Replayed" not in journey.accepted.headers
    assert journey.repeated.headers["Idempotency-Replayed"] == "true"
    assert len(journey.told(TaskEventKind.ACCEPTED)) == 1


def test_2_acceptance_is_a_stored_message_that_carries_its_large_attachment_by_reference(journey: Journey):
    assert journey.queued_id == journey.queued.task_id
    words, scan = journey.queued.parts
    assert words.text == REQUEST
    assert scan.data is None
    assert scan.ref.size_bytes == (INPUTS / "invoice_scan.png").stat().st_size


def test_3_the_worker_that_took_it_died_and_another_one_finished(journey: Journey):
    assert [event.worker_id for event in journey.told(TaskEventKind.STARTED)] == [journey.killed_worker]
    (resumed,) = journey.told(TaskEventKind.RESUMED)
    assert resumed.worker_id != journey.killed_worker
    assert resumed.data["deliveries"] == 2
    assert journey.record["worker_id"] == resumed.worker_id
    assert not journey.left_in_queue


def test_4_perceive_typed_the_picture_by_its_content_and_measured_it(journey: Journey):
    text, scan = journey.record["percept"]["parts"]
    assert (text["modality"], scan["modality"], scan["media_type"]) == ("text", "image", "image/png")
    assert scan["facts"]["width_px"] > 500
    assert scan["digest"] == journey.queued.parts[1].ref.digest
    assert journey.record["percept"]["encoder"]["dimension"] == 384


def test_5_match_scored_candidates_and_said_why(journey: Journey):
    candidates = {candidate["agent_id"]: candidate for candidate in journey.record["candidates"]}
    assert {"ocr", "table_from_text", "chart"} <= set(candidates)
    for candidate in candidates.values():
        assert candidate["reasons"]
        assert -1 <= candidate["scores"]["dense"] <= 1


def test_6_plan_wired_a_network_whose_every_edge_fits_the_cards(journey: Journey):
    network = journey.record["plan"]["network"]
    nodes = {node["id"]: node for node in network["nodes"]}
    assert [nodes[n]["agent_id"] for (n,) in journey.record["plan"]["order"]] == ["ocr", "table_from_text", "chart"]
    assert journey.record["plan"]["critical_path"] == [node for (node,) in journey.record["plan"]["order"]]
    for edge in network["edges"]:
        into = skill_of(nodes[edge["target"]]["agent_id"], nodes[edge["target"]]["skill_id"])
        assert set(edge["modalities"]) <= set(into["inputs"])
        if edge["source"] != "task":
            out = skill_of(nodes[edge["source"]]["agent_id"], nodes[edge["source"]]["skill_id"])
            assert set(edge["modalities"]) <= set(out["outputs"])


def test_7_run_went_on_after_the_last_checkpoint_and_did_no_step_twice(journey: Journey):
    finished = [event.data["agent_id"] for event in journey.told(TaskEventKind.STEP_FINISHED)]
    assert finished == ["ocr", "table_from_text", "chart"]
    assert [step["ok"] for step in journey.record["result"]["steps"]] == [True, True, True]
    assert journey.checkpoints_at_the_kill > 0
    assert journey.checkpoints_at_the_end == 0


def test_8_settle_gave_the_result_and_told_the_story_which_resumes_where_the_client_left(journey: Journey):
    assert journey.record["state"] == "succeeded"
    assert journey.chart.startswith(b"\x89PNG")
    kinds = [event.kind for event in journey.story]
    assert "accepted" in kinds[:2], "the door and the worker speak at the same time"
    assert kinds[-1] == "succeeded"
    assert kinds.count("succeeded") == 1
    assert sorted(kinds) == sorted(event.kind.value for event in journey.events)
    assert journey.rest_of_story == journey.story[4:]


def test_9_learn_kept_one_record_with_who_was_eligible_who_was_chosen_and_with_what_probability(journey: Journey):
    experience = journey.experience
    assert experience.success
    assert experience.chosen == ("ocr", "table_from_text", "chart")
    assert {candidate.agent_id for candidate in experience.candidates} >= set(experience.chosen)
    assert sum(candidate.probability for candidate in experience.candidates) > 0
    assert 0 < experience.propensity <= 1
    assert experience.labels == {"journey": "acceptance"}
    assert experience.vector
    assert experience.latency_ms > 0
    assert experience.cost == pytest.approx(sum(step.cost for step in experience.steps))
