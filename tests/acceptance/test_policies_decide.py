"""Policies that decide themselves on the real stack: a better one is promoted, a bad one stopped, a lost one reset.

Everything is said at the command line and on the bus; the processes are those that a deployment runs.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from evolution.policies.bucket import BUILT_IN, PolicyBucket
from gateway.bus.identity import identity_of
from gateway.experience_origin import recorded_from
from gateway.settings import Settings
from schemas.assignment import TREATMENT, arm_of
from schemas.policy import AgentStanding, PolicySnapshot, dumps
from schemas.policy_state import PolicyState, PriorComparison
from tests.stack.agents import ASKED_AT_ONCE, agent_on_the_bus, reply, unique
from tests.stack.live_stack import LiveStack

pytestmark = pytest.mark.timeout(400)

ACTOR = "aos-evolution"
PATIENCE_S = 150.0
AT_ONCE = 8
VERSE, CORE = "Count the vowels in verse {} of the poem about the sea", "Date glacier ice core {} by its snow layers"
MIXED = (VERSE, VERSE, VERSE, CORE)
CLAIMS = {
    "vowels": "Count the vowels in the verses of poems.",
    "broken": "Date glacier ice cores by counting their snow layers.",
    "able": "Examine samples of very old ice.",
}
PROVEN, FAILING = AgentStanding(successes=99, failures=1), AgentStanding(successes=1, failures=99)


async def works(nc: Client, message, invocation) -> None:
    await message.respond(reply(invocation))


async def breaks(nc: Client, message, invocation) -> None:
    body = {"step_id": invocation["step_id"], "error": {"message": "out of order"}}
    await message.respond(json.dumps(body).encode())


@dataclass
class Office:
    """A tenant of its own, with agents that work and agents that fail; who fails is stood in for twice at most."""

    stack: LiveStack
    tenant: str
    door: httpx.AsyncClient
    policies: PolicyBucket
    agents: dict[str, str]
    folder: Path
    numbers: Iterator[int]

    async def aos(self, *arguments: str) -> str:
        code, said = await self.stack.aos(*arguments, AOS_TENANT=self.tenant)
        assert code == 0, said
        return said

    async def put(self, name: str, weights: dict[str, float], **standings: AgentStanding) -> None:
        """A version made elsewhere, stored as people do it."""
        known = {agent: standing for kind, standing in standings.items() for agent in self.ids(kind)}
        file = self.folder / f"{name}.policy"
        file.write_bytes(dumps(PolicySnapshot(policy=name, encoder="e", events=0, weights=weights, standings=known)))
        await self.aos("policy", "put", str(file))

    def ids(self, kind: str) -> list[str]:
        return [agent for agent, claims in self.agents.items() if claims == kind]

    async def state(self) -> PolicyState:
        return (await self.policies.state(self.tenant)).state

    async def do(self, words: str) -> dict[str, Any]:
        answer = await self.door.post("/v1/tasks?wait=60", json={"text": words.format(next(self.numbers))})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def do_many(self, *kinds: str) -> list[dict[str, Any]]:
        """Eight tasks at once, of these kinds in turn."""
        some = kinds or MIXED
        return await asyncio.gather(*(self.do(some[place % len(some)]) for place in range(AT_ONCE)))

    async def work_until(self, reached: Callable[[PolicyState], bool], *kinds: str) -> None:
        """One task after another, until the evolution role has changed the state so."""
        async with asyncio.timeout(PATIENCE_S):
            while not reached(await self.state()):
                await self.do_many(*kinds)

    async def until_noted(self) -> PriorComparison:
        """The comparison that led to a reset: it is kept once the prior is in force again."""
        async with asyncio.timeout(PATIENCE_S):
            while (found := await self.policies.comparison(self.tenant)) is None or not found.reset:
                await asyncio.sleep(0.05)
        return found

    async def until_followed(self, policy: str) -> None:
        """Wait until every worker routes by that policy: asked several times at once, as any of them may answer."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                asked = [self.door.post("/v1/explain", json={"text": VERSE}) for _ in range(ASKED_AT_ONCE)]
                explained = [answer.json() for answer in await asyncio.gather(*asked)]
                if {report["policy"] for one in explained for report in one["matches"]} == {policy}:
                    return


@pytest.fixture
async def office(
    stack: LiveStack, bus: Client, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Office]:
    tenant = unique("tenant")
    async with AsyncExitStack() as left:
        door = await left.enter_async_context(stack.door(tenant))
        agents = {}
        for claims in request.param:
            skill = {"id": "work", "description": CLAIMS[claims], "inputs": ["text"], "outputs": ["text"]}
            answer = breaks if claims == "broken" else works
            made = agent_on_the_bus(bus, door, answer, tenant, name=claims, skills=[skill])
            agents[await left.enter_async_context(made)] = claims
        policies = PolicyBucket(bus.jetstream(timeout=10))
        yield Office(stack, tenant, door, policies, agents, tmp_path, count())
        # What is in force would be compared with the prior for as long as the shared stack runs.
        await policies.write(await policies.state(tenant), PolicyState(tenant=tenant))


FLEET = ("vowels", "broken", "broken", "broken", "able")


@pytest.mark.parametrize("office", [FLEET], indirect=True, ids=["fleet"])
async def test_a_better_policy_is_promoted_and_then_a_bad_one_stopped_by_themselves(office: Office):
    weights = {"nearness": 0.5, "reputation": 1.0}
    await office.put("better", weights, vowels=PROVEN, able=PROVEN, broken=FAILING)
    assert (await office.do(CORE))["state"] == "failed", "the three nearest are out of order"
    await office.aos("experiment", "start", "better", "--share", "0.5", "--reason", "ice")

    await office.work_until(lambda state: state.active == "better")
    state = await office.state()
    assert (state.experiment, state.actor) == (None, ACTOR)
    assert state.reason.startswith("experiment exp-better: success rises by at least")
    code, said = await office.stack.aos("experiment", "status", AOS_TENANT=office.tenant)
    assert code == 4
    assert f"exp-better was ended by {ACTOR}" in said
    assert "better in force: experiment exp-better: success rises" in said
    await office.until_followed("better")
    done = await office.do_many()
    assert [(record["state"], record["policy"]) for record in done] == [("succeeded", "better")] * AT_ONCE

    await office.put("worse", {"nearness": 0.5, "reputation": -1.0}, vowels=FAILING, able=PROVEN, broken=FAILING)
    await office.aos("experiment", "start", "worse", "--share", "0.5")
    await office.work_until(lambda state: state.experiment is None)
    state = await office.state()
    assert (state.active, state.actor) == ("better", ACTOR)
    assert state.reason.startswith("experiment exp-worse: success falls by at least")
    await office.until_followed("better")
    done = await office.do_many()
    assert [(record["state"], record["policy"]) for record in done] == [("succeeded", "better")] * AT_ONCE
    listed = json.loads(await office.aos("policy", "list", "--json"))
    assert (listed["comparison"]["policy"], listed["comparison"]["reset"]) == ("better", False)
    assert "beside cosine-1" in listed["comparison"]["says"]


@pytest.mark.parametrize("office", [("vowels",)], indirect=True, ids=["fleet"])
async def test_a_canary_without_harm_is_widened_and_every_worker_splits_tasks_as_the_hash_says(office: Office):
    await office.put("twin", {"nearness": 1.0})
    await office.aos("experiment", "start", "twin", "--share", "0.34")
    await office.work_until(lambda state: state.experiment is None or state.experiment.share != 0.34, VERSE)
    state = await office.state()
    assert state.experiment is not None, state.reason
    assert (state.experiment.share, state.actor) == (0.5, ACTOR)
    assert "tasks without harm" in state.reason

    def is_due(record: dict[str, Any]) -> bool:
        """Whether the record names the policy of the task's arm."""
        arm = arm_of(state.experiment.salt, record["task_id"], 0.5)
        return record.get("policy", BUILT_IN) == ("twin" if arm == TREATMENT else BUILT_IN)

    due = 0
    async with asyncio.timeout(PATIENCE_S):  # a worker may hear of the new share a moment later
        while due < 5:
            due = due + 1 if all(map(is_due, await office.do_many(VERSE))) else 0
    status = json.loads(await office.aos("experiment", "status", "--json"))
    assert [stage["share"] for stage in status["stages"]] == [0.34, 0.5]
    assert status["stages"][0]["treatment"]["tasks"] >= 100
    await office.aos("experiment", "stop")
    await office.until_followed(BUILT_IN)


@pytest.mark.parametrize("office", [("vowels", *["broken"] * 4)], indirect=True, ids=["fleet"])
async def test_a_policy_that_does_worse_than_having_learned_nothing_is_reset_and_says_so(office: Office, bus: Client):
    # It puts first whoever is farther and fails more, if only just: so it also tries the others, and can be judged.
    await office.put("contrary", {"nearness": -0.02, "reputation": -0.02}, vowels=PROVEN, broken=FAILING)
    await office.aos("policy", "explore", "1.0")
    await office.aos("policy", "promote", "contrary", "--reviewed", "--reason", "by hand")
    await office.work_until(lambda state: state.active is None, VERSE)
    state = await office.state()
    assert (state.previous, state.actor) == (("contrary", BUILT_IN), ACTOR)
    assert state.reason.startswith("reset to the prior: contrary beside cosine-1: success -")
    await office.until_followed(BUILT_IN)
    assert (await office.do(VERSE))["state"] == "succeeded"

    said = await office.until_noted()
    assert (said.policy, said.prior, said.reset) == ("contrary", BUILT_IN, True)
    assert said.gain is not None
    assert said.gain < 0
    for command in (("policy", "list"), ("policy", "show", "contrary")):
        told = await office.aos(*command)
        assert f"on {said.records} recent tasks: contrary {said.says}; cosine-1 was put in force again" in told
    # The evolution role told whose experience that was, so that guards elsewhere do not take it for their own.
    settings = Settings(data_dir=office.stack.folder / "data")
    assert recorded_from(settings) == await identity_of(bus.jetstream(timeout=10))
