"""What was removed from a bucket long ago leaves it for good, so that a bucket is never full of what is not there."""

import itertools

import pytest

from agents.errors import AgentNotFound, BusUnavailable
from agents.registry.kv_registry import KvRegistry
from gateway import removed_keys
from gateway.removed_keys import KEPT_S, RemovedKeys
from schemas.card import AgentCard, NatsEndpoint, Skill
from schemas.parts import Modality
from schemas.subjects import BUCKET_AGENTS, BUCKET_PATTERNS, BUCKET_PLANS

AT_ONCE = {BUCKET_AGENTS: 0.0}


def card(agent_id: str, version: str = "1.0.0") -> AgentCard:
    skill = Skill(id="work", description="does the work", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,))
    return AgentCard(
        id=agent_id, version=version, description="does the work", skills=(skill,), endpoint=NatsEndpoint()
    )


async def come_and_go(registry: KvRegistry, agent_id: str) -> None:
    await registry.register(card(agent_id))
    await registry.remove("default", agent_id)


async def come_and_go_for_ever(registry: KvRegistry) -> None:
    for number in itertools.count():
        await come_and_go(registry, f"pod-{number}")


async def messages(js, bucket: str = BUCKET_AGENTS) -> int:
    return (await js.stream_info(f"KV_{bucket}")).state.messages


async def test_agents_that_came_and_went_leave_nothing_behind(nc, js):
    registry = KvRegistry(js)
    await registry.register(card("stays"))
    for number in range(100):
        await come_and_go(registry, f"pod-{number}")
    assert await RemovedKeys(nc, js, AT_ONCE).sweep() == 100
    assert await messages(js) == 1
    assert [one.card.id for one in await registry.list_cards("default")] == ["stays"]
    with pytest.raises(AgentNotFound):
        await registry.history("default", "pod-7")
    assert (await registry.register(card("pod-7"))).card.id == "pod-7"


async def test_an_agent_that_came_back_stays_and_so_do_all_versions_of_it_since(nc, js):
    registry = KvRegistry(js)
    await come_and_go(registry, "returns")
    for version in ("2.0.0", "3.0.0"):
        await registry.register(card("returns", version))
    await RemovedKeys(nc, js, AT_ONCE).sweep()
    assert [one.card.version for one in await registry.history("default", "returns")] == ["2.0.0", "3.0.0"]


async def test_one_removed_again_after_it_came_back_is_gone_as_a_whole(nc, js):
    registry = KvRegistry(js)
    await come_and_go(registry, "restless")
    await come_and_go(registry, "restless")
    assert await RemovedKeys(nc, js, AT_ONCE).sweep() == 1
    assert await messages(js) == 0


async def test_the_history_of_what_was_removed_just_now_can_be_asked_for(nc, js):
    registry = KvRegistry(js)
    await come_and_go(registry, "gone")
    for bucket in (BUCKET_PLANS, BUCKET_PATTERNS):
        keys = await js.key_value(bucket)
        await keys.put("default.one", b"{}")
        await keys.purge("default.one")
    assert await RemovedKeys(nc, js).sweep() == 0
    assert [one.removed for one in await registry.history("default", "gone")] == [False, True]


async def test_a_registry_full_of_agents_that_are_gone_takes_new_ones_again(nc, js, monkeypatch):
    registry = KvRegistry(js)
    config = (await js.stream_info(f"KV_{BUCKET_AGENTS}")).config
    await js.update_stream(config.evolve(max_bytes=(await js.stream_info(f"KV_{BUCKET_AGENTS}")).state.bytes + 8_192))
    with pytest.raises(BusUnavailable, match="maximum bytes"):
        await come_and_go_for_ever(registry)
    monkeypatch.setattr(removed_keys, "CROWDED_S", 0.0)
    assert await RemovedKeys(nc, js, KEPT_S).sweep() > 0
    assert (await registry.register(card("newcomer"))).card.id == "newcomer"
