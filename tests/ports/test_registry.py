"""One behavioural suite over every adapter of ports.Registry; for the bucket it also looks behind the port."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from agents.errors import AgentNotFound, BusUnavailable, CardInvalid
from agents.ports.registry import Registry
from agents.registry.kv_registry import KvRegistry
from agents.registry.memory_registry import MemoryRegistry
from gateway.bus.connection import connect
from gateway.bus.ensuring import ensure
from gateway.bus.streams import Quotas
from gateway.embedded.nats_server import NatsServer
from schemas import subjects
from schemas.card import AgentCard, CardRevision, NatsEndpoint, Skill
from schemas.parts import Modality


def a_card(agent_id: str = "ocr", tenant: str = "default", version: str = "1.0.0", examples: int = 0) -> AgentCard:
    return AgentCard(
        id=agent_id,
        version=version,
        description="Reads the text in pictures.",
        skills=(
            Skill(
                id="read",
                description="Extract text from a picture.",
                inputs=(Modality.IMAGE,),
                outputs=(Modality.TEXT,),
                examples=tuple("x" * 30_000 for _ in range(examples)),
            ),
        ),
        endpoint=NatsEndpoint(),
        tenant=tenant,
    )


@pytest.fixture(params=["memory", "kv"])
async def registry(request: pytest.FixtureRequest, nats_server: NatsServer) -> AsyncIterator[Registry]:
    if request.param == "memory":
        yield MemoryRegistry()
        return
    client = await connect(nats_server.url, "registry-test")
    js = client.jetstream(timeout=10)
    await ensure(js, Quotas().scaled(0.05))
    yield KvRegistry(js)
    await client.close()


async def next_of(watch: AsyncIterator[CardRevision]) -> CardRevision:
    return await asyncio.wait_for(anext(watch), 10)


async def test_a_registered_card_can_be_read_back(registry: Registry):
    stored = await registry.register(a_card())
    assert await registry.get("default", "ocr") == stored
    assert stored.card == a_card()
    assert not stored.removed


async def test_an_identical_card_stores_no_new_version(registry: Registry):
    first = await registry.register(a_card())
    assert await registry.register(a_card()) == first
    assert len(await registry.history("default", "ocr")) == 1


async def test_every_change_is_a_version_and_the_history_keeps_them_oldest_first(registry: Registry):
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        await registry.register(a_card(version=version))
    history = await registry.history("default", "ocr")
    assert [r.card.version for r in history] == ["1.0.0", "1.1.0", "2.0.0"]
    assert [r.revision for r in history] == sorted(r.revision for r in history)
    assert (await registry.get("default", "ocr")).card.version == "2.0.0"


async def test_the_history_keeps_the_last_64_versions(registry: Registry):
    for number in range(70):
        await registry.register(a_card(version=f"1.0.{number}"))
    history = await registry.history("default", "ocr")
    assert [r.card.version for r in history] == [f"1.0.{number}" for number in range(6, 70)]


async def test_a_removed_agent_is_gone_but_its_history_stays(registry: Registry):
    await registry.register(a_card())
    await registry.remove("default", "ocr")
    with pytest.raises(AgentNotFound, match="ocr"):
        await registry.get("default", "ocr")
    assert await registry.list_cards() == []
    history = await registry.history("default", "ocr")
    assert [r.removed for r in history] == [False, True]
    assert history[-1].card == a_card()


async def test_a_removed_agent_may_come_back(registry: Registry):
    await registry.register(a_card())
    await registry.remove("default", "ocr")
    back = await registry.register(a_card())
    assert await registry.get("default", "ocr") == back
    assert [r.removed for r in await registry.history("default", "ocr")] == [False, True, False]


@pytest.mark.parametrize(("tenant", "agent_id"), [("default", "nobody"), ("no.token", "ocr"), ("*", ">"), ("", "")])
async def test_an_unknown_agent_is_said_to_be_unknown(registry: Registry, tenant: str, agent_id: str):
    await registry.register(a_card())
    for call in (registry.get, registry.history, registry.remove):
        with pytest.raises(AgentNotFound):
            await call(tenant, agent_id)


async def test_cards_are_listed_by_tenant_and_id_and_tenants_do_not_see_each_other(registry: Registry):
    for tenant, agent_id in (("b", "one"), ("a", "two"), ("a", "one")):
        await registry.register(a_card(agent_id, tenant))
    assert [(r.card.tenant, r.card.id) for r in await registry.list_cards()] == [
        ("a", "one"),
        ("a", "two"),
        ("b", "one"),
    ]
    assert [r.card.id for r in await registry.list_cards("a")] == ["one", "two"]
    assert await registry.list_cards("c") == []
    assert await registry.list_cards("a.b") == []


async def test_watching_tells_what_is_there_then_what_changes(registry: Registry):
    await registry.register(a_card("one"))
    await registry.register(a_card("gone"))
    await registry.remove("default", "gone")
    watch = registry.watch()
    assert (await next_of(watch)).card.id == "one"
    await registry.register(a_card("two"))
    assert (await next_of(watch)).card.id == "two"
    await registry.register(a_card("one", version="1.0.1"))
    assert (await next_of(watch)).card.version == "1.0.1"
    await registry.remove("default", "two")
    removal = await next_of(watch)
    assert (removal.card.id, removal.removed) == ("two", True)
    await watch.aclose()


async def test_every_watcher_is_told(registry: Registry):
    watches = [registry.watch() for _ in range(3)]
    await registry.register(a_card())
    told = [await next_of(watch) for watch in watches]
    assert {r.card.id for r in told} == {"ocr"}
    for watch in watches:
        await watch.aclose()


async def test_many_writers_at_once_lose_no_version(registry: Registry):
    stored = await asyncio.gather(*(registry.register(a_card(version=f"1.0.{n}")) for n in range(8)))
    history = await registry.history("default", "ocr")
    assert {r.card.version for r in history} == {f"1.0.{n}" for n in range(8)}
    assert {r.revision for r in stored} == {r.revision for r in history}


async def test_the_same_card_registered_by_many_at_once_is_one_version(registry: Registry):
    stored = await asyncio.gather(*(registry.register(a_card()) for _ in range(8)))
    assert len({r.revision for r in stored}) == 1
    assert len(await registry.history("default", "ocr")) == 1


# What only the bucket can show.


async def test_the_bucket_holds_the_card_as_plain_json_under_tenant_and_agent(js: JetStreamContext):
    await KvRegistry(js).register(a_card(tenant="acme"))
    entry = await (await js.key_value(subjects.BUCKET_AGENTS)).get("acme.ocr")
    assert AgentCard.model_validate_json(entry.value) == a_card(tenant="acme")


async def test_a_removal_is_a_delete_marker_that_any_client_understands(js: JetStreamContext):
    registry = KvRegistry(js)
    await registry.register(a_card())
    await registry.remove("default", "ocr")
    bucket = await js.key_value(subjects.BUCKET_AGENTS)
    assert [entry.operation for entry in await bucket.history("default.ocr")] == [None, "DEL"]


async def test_a_key_removed_by_another_tool_counts_as_removed(js: JetStreamContext):
    registry = KvRegistry(js)
    await registry.register(a_card())
    watch = registry.watch()
    assert not (await next_of(watch)).removed
    await (await js.key_value(subjects.BUCKET_AGENTS)).delete("default.ocr")
    removal = await next_of(watch)
    assert (removal.card, removal.removed) == (a_card(), True)
    assert [r.removed for r in await registry.history("default", "ocr")] == [False, True]
    await watch.aclose()


async def test_garbage_in_the_bucket_hides_no_card(js: JetStreamContext, caplog: pytest.LogCaptureFixture):
    await (await js.key_value(subjects.BUCKET_AGENTS)).put("default.broken", b"\x00 not a card")
    registry = KvRegistry(js)
    await registry.register(a_card())
    assert [r.card.id for r in await registry.list_cards()] == ["ocr"]
    with pytest.raises(AgentNotFound):
        await registry.get("default", "broken")
    assert "default.broken" in caplog.text
    await registry.register(a_card("broken"))
    assert (await registry.get("default", "broken")).card.id == "broken"


async def test_a_card_larger_than_a_message_is_refused_with_its_size(js: JetStreamContext):
    with pytest.raises(CardInvalid, match=r"\d{7} bytes"):
        await KvRegistry(js).register(a_card(examples=40))


async def test_watching_goes_on_after_the_server_restarts(nats_server: NatsServer, nc: Client, js: JetStreamContext):
    registry = KvRegistry(js)
    await registry.register(a_card("before"))
    await registry.register(a_card("dropped"))
    watch = registry.watch()
    assert {(await next_of(watch)).card.id for _ in range(2)} == {"before", "dropped"}
    nats_server.kill()
    await nats_server.start()
    other = await connect(nats_server.url, "other")
    elsewhere = KvRegistry(other.jetstream(timeout=10))
    await elsewhere.register(a_card("after"))
    await elsewhere.remove("default", "dropped")
    changes = {(r.card.id, r.removed) for r in [await next_of(watch) for _ in range(2)]}
    assert changes == {("after", False), ("dropped", True)}
    await elsewhere.register(a_card("live"))
    assert (await next_of(watch)).card.id == "live"
    await watch.aclose()
    await other.close()


async def test_a_key_that_vanished_while_nobody_looked_is_told_as_removed(
    nats_server: NatsServer, nc: Client, js: JetStreamContext
):
    registry = KvRegistry(js)
    await registry.register(a_card("one"))
    watch = registry.watch()
    assert (await next_of(watch)).card.id == "one"
    await js.purge_stream("KV_aos_agents")
    nats_server.kill()
    await nats_server.start()
    removal = await next_of(watch)
    assert (removal.card.id, removal.removed) == ("one", True)
    await watch.aclose()


async def test_without_a_bus_every_call_says_so(nats_server: NatsServer, nc: Client):
    registry = KvRegistry(nc.jetstream(timeout=0.3))
    nats_server.kill()
    with pytest.raises(BusUnavailable, match="registry"):
        await registry.register(a_card())
    with pytest.raises(BusUnavailable):
        await registry.list_cards()
    await nats_server.start()
    while not nc.is_connected:
        await asyncio.sleep(0.05)


async def test_a_watch_ends_with_an_error_when_its_client_is_closed(nats_server: NatsServer):
    client = await connect(nats_server.url, "closing")
    js = client.jetstream(timeout=1)
    await ensure(js, Quotas().scaled(0.05))
    watch = KvRegistry(js).watch()
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(BusUnavailable, match="closed"):
        await asyncio.wait_for(waiting, 10)
