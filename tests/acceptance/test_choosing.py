"""Who is chosen: what explain says is what happens, newcomers count at once, the dead do not, nonsense gets nobody."""

import asyncio
import json

import pytest

from agents.registry.health import HEARTBEAT_TTL_S
from schemas import subjects
from tests.stack.agents import ASKED_AT_ONCE, card, reply, unique, until_planned

TASKS = ("What is 15% of 240?", "Judge the sentiment of this review: the kettle broke on the first day and I hate it")


@pytest.mark.parametrize("words", TASKS)
async def test_explain_says_what_then_happens(words, door):
    explained = (await door.post("/v1/explain", json={"text": words})).json()
    record = (await door.post("/v1/tasks?wait=40", json={"text": words})).json()
    assert record["state"] == "succeeded"
    assert explained["plan"]["network"] == record["plan"]["network"]
    assert explained["matches"][0]["candidates"] == record["candidates"]
    assert explained["percept"]["parts"] == record["percept"]["parts"]
    assert explained["drawing"]


async def test_nonsense_gets_an_explicit_abstention_that_names_the_nearest(door):
    words = "qqxz vbrrt ploomf jjkw zzyzx grrbl"
    explained = (await door.post("/v1/explain", json={"text": words})).json()
    record = (await door.post("/v1/tasks?wait=40", json={"text": words})).json()
    assert record["state"] == "failed"
    assert record["failure"]["code"] == explained["failure"]["code"] == "no_agent_fits"
    assert "threshold" in record["failure"]["message"]
    (report,) = explained["matches"]
    assert report["abstained"]
    assert report["candidates"][0]["reasons"]


async def test_an_agent_is_a_candidate_soon_after_its_registration_and_gone_soon_after_its_removal(door, bus):
    newcomer = unique("glacier")
    skill = {
        "id": "glacier_age",
        "description": "Date glacier ice cores by counting annual snow layers.",
        "examples": ["How old is this glacier ice core?"],
        "inputs": ["text"],
        "outputs": ["text"],
    }
    question = {"text": "How old is this glacier ice core, counted by its annual snow layers?"}
    assert (await door.post("/v1/explain", json=question)).json()["failure"]["code"] == "no_agent_fits"

    async def answer(message) -> None:
        await bus.publish(message.reply, reply(json.loads(message.data), "12,000 years"))

    await bus.subscribe(subjects.invoke("default", newcomer), cb=answer)
    await door.post("/v1/agents", json=card(newcomer, skills=[skill]))
    explained = await until_planned(door, question)
    assert explained["matches"][0]["candidates"][0]["agent_id"] == newcomer
    record = (await door.post("/v1/tasks?wait=40", json=question)).json()
    assert [part["text"] for part in record["result"]["outputs"]] == ["12,000 years"]

    await door.delete(f"/v1/agents/{newcomer}")
    async with asyncio.timeout(30):
        while newcomer in await candidates(door, question):
            await asyncio.sleep(0.05)


async def test_a_search_for_different_agents_leaves_out_doubles(door):
    words = "Date the cores of glacier ice by their snow layers."
    skill = {"id": "date", "description": words, "inputs": ["text"], "outputs": ["text"]}
    other = {**skill, "description": "Measure how thick the ice of a glacier is with ground radar."}
    doubles, different = [unique("double") for _ in range(3)], unique("radar")
    for agent in doubles:
        await door.post("/v1/agents", json=card(agent, skills=[skill]))
    await door.post("/v1/agents", json=card(different, skills=[other]))

    async def found(**more: object) -> list[str]:
        reply = (await door.post("/v1/agents/search", json={"text": words, "limit": 2, **more})).json()
        return [candidate["agent_id"] for candidate in reply["report"]["candidates"]]

    async with asyncio.timeout(40):
        while different not in await found(diverse=True):
            await asyncio.sleep(0.1)
        assert set(await found()) <= set(doubles)
        assert (await found(diverse=True))[0] in doubles
    for agent in (*doubles, different):
        await door.delete(f"/v1/agents/{agent}")


async def test_an_agent_that_fell_silent_is_no_candidate_and_says_so(door, bus):
    mortal = unique("mortal")
    skill = {
        "id": "tides",
        "description": "Predict the tides of harbours from the moon and the coast.",
        "inputs": ["text"],
        "outputs": ["text"],
    }
    question = {"text": "Predict the tides of this harbour from the moon"}
    await door.post("/v1/agents", json=card(mortal, skills=[skill]))
    await bus.publish(subjects.heartbeat("default", mortal), b'{"agent_id": "%s"}' % mortal.encode())
    await until_planned(door, question)
    assert mortal in await candidates(door, question)

    async with asyncio.timeout(HEARTBEAT_TTL_S + 40):
        while mortal in await candidates(door, question):
            await asyncio.sleep(0.25)
    view = (await door.get(f"/v1/agents/{mortal}")).json()
    assert view["liveness"] == "dead"
    body = question | {"routing": {"pin": [mortal]}}
    failure = (await door.post("/v1/explain", json=body)).json()["failure"]
    assert "dead" in failure["message"]
    await door.delete(f"/v1/agents/{mortal}")


async def candidates(door, question) -> set[str]:
    """Who any worker would consider: asked several times, as any of them may answer."""
    asked = [door.post("/v1/explain", json=question) for _ in range(ASKED_AT_ONCE)]
    explained = [answer.json() for answer in await asyncio.gather(*asked)]
    return {c["agent_id"] for one in explained for report in one["matches"] for c in report["candidates"]}
