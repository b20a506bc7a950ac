"""A rule that somebody made changes who is chosen, says so, and can be taken back."""

import asyncio

from evolution.rules.keeping import Rules
from schemas.base import new_id
from schemas.routing_rule import RoutingRule, RuleEffect
from tests.stack.agents import ASKED_AT_ONCE, agent_on_the_bus

SKILL = {
    "id": "moss",
    "description": "Identify moss species from a written field note of leaves and capsules.",
    "examples": ["Which moss species is this field note about: leaves and capsules?"],
    "inputs": ["text"],
    "outputs": ["text"],
}
QUESTION = {"text": "Which moss species is this field note about: leaves in two rows, capsules on long stalks?"}


async def silent(nc, message, invocation):
    """Explain asks nobody to work."""


def first(explained):
    return next((c["agent_id"] for report in explained["matches"] for c in report["candidates"]), None)


async def until_all_workers(door, reached):
    """Asked several times at once, as any worker may answer."""
    async with asyncio.timeout(60):
        while True:
            asked = [door.post("/v1/explain", json=QUESTION) for _ in range(ASKED_AT_ONCE)]
            explained = [answer.json() for answer in await asyncio.gather(*asked)]
            if all(map(reached, explained)):
                return explained[0]
            await asyncio.sleep(0.05)


async def test_an_excluded_agent_is_not_chosen_until_the_rule_is_taken_back(door, bus):
    rules, rule_id = Rules(bus.jetstream(timeout=10)), f"r-{new_id()[-12:]}"
    async with agent_on_the_bus(bus, door, silent, skills=[SKILL]) as agent:
        rule = RoutingRule(rule_id=rule_id, effect=RuleEffect.EXCLUDE, agents=(agent,), statement="fails too often")
        await until_all_workers(door, lambda explained: first(explained) == agent)
        await rules.add("default", rule)
        try:
            ruled = await until_all_workers(
                door, lambda explained: not explained.get("plan") or first(explained) != agent
            )
            if ruled.get("plan"):
                reasons = {e["agent_id"]: e["reason"] for report in ruled["matches"] for e in report["excluded"]}
                assert reasons[agent] == f"routing rule {rule_id} excludes it: fails too often"
            else:
                assert rule_id in ruled["failure"]["message"]
        finally:
            await rules.remove("default", rule_id)
        await until_all_workers(door, lambda explained: first(explained) == agent)
