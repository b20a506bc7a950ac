"""What happened can be told afterwards, step by step, from what the running gateway kept."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.stack.agents import register, remove, until_planned
from tests.stack.live_stack import INPUTS


async def test_a_finished_task_is_listed_shown_and_told_moment_by_moment(stack, door):
    body = {"text": "What is 15% of 240?"}
    task_id = (await door.post("/v1/tasks?wait=40", json=body)).json()["task_id"]
    await stack.experience_of(task_id)

    code, listed = await stack.aos("replay", "list", "--json")
    assert code == 0, listed
    assert task_id in listed

    code, shown = await stack.aos("replay", "show", task_id)
    assert code == 0, shown
    assert "calculator" in shown

    code, told = await stack.aos("replay", "timeline", task_id, "--json")
    assert code == 0, told
    moments = json.loads(told)
    kinds = [moment["what"] for moment in moments]
    assert kinds[-1] == "succeeded"
    workers = [place for place, moment in enumerate(moments) if "calculator" in moment["who"] + moment["detail"]]
    assert kinds.index("planned") < max(workers)


@pytest.fixture
async def calm_pair(stack, door) -> AsyncIterator[tuple[str, str]]:
    """Doubles of two sample agents that say that they have no effects."""
    pair = ("calm_ocr", "calm_summary")
    for name in pair:
        card = stack.sample_card(name.removeprefix("calm_"))
        await register(door, card | {"id": name, "tags": [*card.get("tags", ()), "side_effects:none"]})
    yield pair
    for name in pair:
        await remove(door, name)


async def test_a_task_of_two_agents_and_a_picture_is_done_again_from_the_record_and_by_live_agents(
    stack, door, calm_pair
):
    routing = {"pin": list(calm_pair)}
    words = "Read this scanned invoice and summarise it"
    await until_planned(door, {"text": words, "routing": {"pin": [calm_pair[1]]}})
    scan = (INPUTS / "invoice_scan.png").read_bytes()
    answer = await door.post(
        "/v1/tasks?wait=50",
        data={"text": words, "routing": json.dumps(routing)},
        files={"file": ("invoice_scan.png", scan, "image/png")},
    )
    told = answer.json()
    assert told["state"] == "succeeded", told
    assert told["submission"] is None
    await stack.experience_of(told["task_id"])

    for agents in ("recorded", "live"):
        command = ("replay", "run", "--policy", "logged", "--agents", agents, "--window", "1h", "--json")
        code, said = await stack.aos(*command, AOS_AGENTS_DIR=str(stack.folder / "cards"))
        assert code == 0, said
        [again] = [one for one in json.loads(said[said.index("{") :])["reruns"] if one["task_id"] == told["task_id"]]
        assert again["after"]["success"], again["steps"]
        assert [step["after"]["agent_id"] for step in again["steps"]] == list(calm_pair)
        assert not any(step["differs"] for step in again["steps"])
        assert again["same_answer"] is {"recorded": None, "live": True}[agents]
