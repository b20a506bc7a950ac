"""A rule that somebody made changes who is chosen, says so, and can be taken back."""

import asyncio

from evolution.rules.keeping import Rules
from schemas.routing_rule import RoutingRule, RuleEffect

QUESTION = {"text": "What is 15% of 240?"}
RULE = RoutingRule(
    rule_id="r-acceptance", effect=RuleEffect.EXCLUDE, agents=("calculator",), statement="fails too often"
)


def chosen(explained):
    return [candidate["agent_id"] for report in explained["matches"] for candidate in report["candidates"]][:1]


async def explained_until(door, question, reached):
    async with asyncio.timeout(30):
        while True:
            explained = (await door.post("/v1/explain", json=question)).json()
            if reached(explained):
                return explained
            await asyncio.sleep(0.05)


async def test_an_excluded_agent_is_not_chosen_until_the_rule_is_taken_back(door, bus):
    rules = Rules(bus.jetstream(timeout=10))
    assert chosen((await door.post("/v1/explain", json=QUESTION)).json()) == ["calculator"]
    await rules.add("default", RULE)
    try:
        ruled = await explained_until(door, QUESTION, lambda e: e.get("failure") or chosen(e) != ["calculator"])
        if ruled.get("failure"):
            assert "r-acceptance" in ruled["failure"]["message"]
        else:
            reasons = {e["agent_id"]: e["reason"] for report in ruled["matches"] for e in report["excluded"]}
            assert reasons["calculator"] == "routing rule r-acceptance excludes it: fails too often"
    finally:
        await rules.remove("default", "r-acceptance")
    # Every worker has heard of it: either may answer.
    for _ in range(8):
        await explained_until(door, QUESTION, lambda e: chosen(e) == ["calculator"])
