"""Agents over HTTP: registered, listed with their liveness, versioned; questions that workers answer."""

import asyncio
from datetime import timedelta

import pytest

from schemas import subjects
from schemas.base import now
from schemas.candidate import Candidate, MatchReport
from schemas.card import AgentCard, Heartbeat, Skill
from schemas.explain import ExplainRequest, Explanation, SearchFilter, SearchReply, SearchRequest
from tests.integration.http_door import in_process, open_app

CARD = {
    "id": "echo",
    "version": "1.0.0",
    "description": "says everything again",
    "skills": [{"id": "echo", "description": "repeats a text", "inputs": ["text"], "outputs": ["text"]}],
    "endpoint": {"kind": "nats"},
}


@pytest.fixture
async def client(nc, js, tmp_path):
    async with in_process(await open_app(nc, js, tmp_path)) as client:
        yield client


async def test_an_agent_is_registered_read_listed_and_removed(client):
    created = await client.post("/v1/agents", json=CARD)
    assert (created.status_code, created.headers["location"]) == (201, "/v1/agents/echo")
    assert (await client.get("/v1/agents/echo")).json() == created.json()
    listed = (await client.get("/v1/agents")).json()["agents"]
    assert [agent["card"]["id"] for agent in listed] == ["echo"]
    assert (await client.delete("/v1/agents/echo")).status_code == 204
    assert (await client.get("/v1/agents")).json() == {"agents": [], "cursor": None}


async def test_every_change_is_a_version(client):
    first = await client.post("/v1/agents", json=CARD)
    again = await client.post("/v1/agents", json=CARD)
    changed = await client.post("/v1/agents", json=CARD | {"version": "1.1.0"})
    await client.delete("/v1/agents/echo")
    assert [first.status_code, again.status_code, changed.status_code] == [201, 200, 200]
    assert first.json()["revision"] == again.json()["revision"] < changed.json()["revision"]
    revisions = (await client.get("/v1/agents/echo/history")).json()["revisions"]
    assert [(each["card"]["version"], each["removed"]) for each in revisions] == [
        ("1.0.0", False),
        ("1.1.0", False),
        ("1.1.0", True),
    ]


async def test_a_new_agent_is_unknown_until_it_is_heard(client, js):
    assert (await client.post("/v1/agents", json=CARD)).json()["liveness"] == "unknown"
    health = await js.key_value(subjects.BUCKET_HEALTH)
    await health.put("default.echo", Heartbeat(agent_id="echo", load=0.5).model_dump_json().encode())
    seen = (await client.get("/v1/agents/echo")).json()
    assert (seen["liveness"], seen["load"]) == ("alive", 0.5)
    assert seen["last_seen"] is not None


async def test_a_list_costs_the_bus_the_same_however_many_were_never_heard(client, nc):
    async def questions() -> int:
        before = nc.stats["out_msgs"]
        assert {each["liveness"] for each in (await client.get("/v1/agents")).json()["agents"]} == {"unknown"}
        return nc.stats["out_msgs"] - before

    await client.post("/v1/agents", json=CARD)
    of_one = await questions()
    for number in range(20):
        await client.post("/v1/agents", json=CARD | {"id": f"echo-{number}"})
    assert await questions() == of_one


async def test_agents_are_listed_page_by_page_without_those_that_were_removed(client, js):
    for number in range(7):
        await client.post("/v1/agents", json=CARD | {"id": f"echo-{number}"})
    for number in (1, 5, 6):
        await client.delete(f"/v1/agents/echo-{number}")
    health = await js.key_value(subjects.BUCKET_HEALTH)
    await health.put("default.echo-4", Heartbeat(agent_id="echo-4").model_dump_json().encode())
    seen, cursor = [], None
    for _ in range(9):
        page = (await client.get("/v1/agents", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [[(agent["card"]["id"], agent["liveness"]) for agent in page["agents"]]]
        cursor = page["cursor"]
        if cursor is None:
            break
    others = [[("echo-0", "unknown"), ("echo-2", "unknown")], [("echo-3", "unknown"), ("echo-4", "alive")]]
    assert seen in (others, [*others, []])


async def test_a_heartbeat_makes_an_agent_alive_though_no_worker_runs(client, nc):
    for agent in ("echo", "mute"):
        await client.post("/v1/agents", json=CARD | {"id": agent})
    await nc.publish(
        subjects.heartbeat("default", "echo"), Heartbeat(agent_id="echo", load=0.5).model_dump_json().encode()
    )
    await nc.publish(subjects.heartbeat("default", "mute"), Heartbeat(agent_id="echo").model_dump_json().encode())
    await nc.flush()
    async with asyncio.timeout(30):
        while (seen := (await client.get("/v1/agents/echo")).json())["liveness"] != "alive":
            await asyncio.sleep(0.01)
    assert seen["load"] == 0.5
    assert (await client.get("/v1/agents/mute")).json()["liveness"] == "unknown"


@pytest.mark.parametrize("limit", [0, 201, "many"])
async def test_a_page_of_another_size_is_refused(client, limit):
    assert (await client.get("/v1/agents", params={"limit": limit})).status_code == 422


async def test_who_was_registered_long_ago_and_never_heard_is_dead(client, monkeypatch):
    await client.post("/v1/agents", json=CARD)
    later = now() + timedelta(seconds=60)
    monkeypatch.setattr("gateway.agent_desk.now", lambda: later)
    assert (await client.get("/v1/agents/echo")).json()["liveness"] == "dead"
    assert [each["liveness"] for each in (await client.get("/v1/agents")).json()["agents"]] == ["dead"]


async def test_a_card_belongs_to_the_tenant_of_the_door(client):
    mine = {"X-AOS-Tenant": "mine"}
    assert (await client.post("/v1/agents", json=CARD, headers=mine)).json()["card"]["tenant"] == "mine"
    assert (await client.get("/v1/agents/echo")).status_code == 404
    foreign = await client.post("/v1/agents", json=CARD | {"tenant": "other"}, headers=mine)
    assert (foreign.status_code, foreign.json()["code"]) == (422, "tenant_mismatch")


async def test_a_wrong_card_is_refused_with_its_fields(client):
    card = CARD | {"version": "one", "skills": [CARD["skills"][0] | {"inputs": ["smell"]}], "colour": "red"}
    problem = (await client.post("/v1/agents", json=card)).json()
    assert (problem["status"], problem["code"]) == (422, "card_invalid")
    assert {"version", "colour", "skills[0].inputs[0]"} == {field["field"] for field in problem["fields"]}
    assert all(field["expected"] for field in problem["fields"])


async def test_a_card_may_be_sent_as_yaml(client):
    text = """
id: echo
version: 1.0.0
description: says everything again
skills:
  - {id: echo, description: repeats a text, inputs: [text], outputs: [text]}
endpoint: {kind: nats}
"""
    response = await client.post("/v1/agents", content=text, headers={"Content-Type": "application/yaml"})
    assert response.status_code == 201
    assert AgentCard.model_validate(response.json()["card"]).skill("echo") == Skill.model_validate(CARD["skills"][0])


@pytest.mark.parametrize("number", ["1:" * 30_000 + "1", "0x" + "f" * 9000, "9" * 9000, "1" * 9000 + ".5"])
async def test_a_number_of_thousands_of_digits_is_a_wrong_text(client, number):
    """YAML reads "1:1:1" as a number to the base of 60, which takes minutes to build."""
    response = await client.post("/v1/agents", content=f"id: {number}\nversion: 1.0.0\n")
    assert (response.status_code, response.json()["code"]) == (422, "card_invalid")
    assert "id" in {field["field"] for field in response.json()["fields"]}


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/history"), ("DELETE", "")])
async def test_an_unknown_agent_is_not_found(client, method, path):
    for agent_id in ("nobody", "a.b"):
        response = await client.request(method, f"/v1/agents/{agent_id}{path}")
        assert (response.status_code, response.json()["code"]) == (404, "agent_not_found")


async def test_searches_are_answered_by_a_worker(client, nc):
    report = MatchReport(candidates=(Candidate(agent_id="echo", skill_id="echo", score=0.9),))
    asked = []

    async def answer(message):
        asked.append(SearchRequest.model_validate_json(message.data))
        await message.respond(SearchReply(report=report).model_dump_json().encode())

    await nc.subscribe(subjects.SEARCH, queue=subjects.QUEUE_WORKERS, cb=answer)
    headers = {"X-AOS-Tenant": "mine"}
    where = {"tags": ["offline"], "without_tags": ["slow"], "reads": ["image", "text"], "max_cost": 0.0}
    asking = {"text": "repeat", "limit": 3, "diverse": True, "where": where}
    reply = await client.post("/v1/agents/search", json=asking, headers=headers)
    assert SearchReply.model_validate_json(reply.content).report == report
    wanted = SearchFilter.model_validate(where)
    assert asked == [SearchRequest(tenant="mine", text="repeat", limit=3, diverse=True, where=wanted)]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"tags": ["a", "b"], "without_tags": ["b"]}, "both required and excluded: b"),
        ({"max_cost": -1}, "greater than or equal to 0"),
        ({"reads": ["smell"]}, "'text'"),
        ({"tag": ["a"]}, "where.tag: unknown field"),
    ],
)
async def test_a_search_that_nobody_could_meet_is_refused_with_the_reason(client, where, said):
    response = await client.post("/v1/agents/search", json={"text": "repeat", "where": where})
    assert (response.status_code, response.json()["code"]) == (422, "schema_invalid")
    assert said in response.text


@pytest.mark.parametrize("text", ["", "   ", "\n\u2003"])
async def test_a_search_for_nothing_is_refused_before_a_worker_is_asked(client, text):
    response = await client.post("/v1/agents/search", json={"text": text})
    assert (response.status_code, response.json()["fields"][0]["field"]) == (422, "text")


async def test_a_dry_run_is_answered_by_a_worker_and_queues_nothing(client, nc, js):
    async def answer(message):
        task = ExplainRequest.model_validate_json(message.data).task
        await message.respond(Explanation(drawing=task.parts[0].text).model_dump_json().encode())

    await nc.subscribe(subjects.EXPLAIN, queue=subjects.QUEUE_WORKERS, cb=answer)
    assert (await client.post("/v1/explain", json={"text": "who?"})).json()["drawing"] == "who?"
    assert (await client.post("/v1/explain", data={"text": "who?"}, files={"file": ("a", b"b")})).status_code == 200
    assert (await js.stream_info(subjects.STREAM_TASKS)).state.messages == 0


@pytest.mark.parametrize("path", ["/v1/agents/search", "/v1/explain"])
async def test_without_a_worker_questions_are_503_with_the_next_step(client, path):
    response = await client.post(path, json={"text": "who?"})
    assert (response.status_code, response.json()["code"]) == (503, "no_worker")
    assert "aos serve --role agents" in response.json()["next_step"]


async def test_a_worker_that_answers_nonsense_is_said_so(client, nc):
    async def answer(message):
        await message.respond(b"what?")

    await nc.subscribe(subjects.SEARCH, cb=answer)
    response = await client.post("/v1/agents/search", json={"text": "who?"})
    assert (response.status_code, response.json()["code"]) == (503, "worker_failed")
