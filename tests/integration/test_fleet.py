"""The fleet on a real bus: it sees cards come, change and go, hears who lives, and outlasts the server."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from agents.errors import AgentUnreachable
from agents.matching.matcher import SkillMatcher
from agents.matching.ranking import CosineRanker
from agents.ports.registry import Registry
from agents.ports.skill_index import IndexFilter, SkillPoint
from agents.registry.fleet import LiveFleet
from agents.registry.kv_registry import KvRegistry
from agents.registry.skill_index.edge import EdgeSkillIndex
from agents.registry.skill_text import mark_of, points_of, texts_of
from gateway.bus.connection import connect
from gateway.embedded.nats_server import NatsServer
from schemas import subjects
from schemas.card import AgentCard, Endpoint, Heartbeat, Liveness, NatsEndpoint, PythonEndpoint, Skill
from schemas.parts import Modality
from schemas.task import RoutingHints
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import Vector

DIMENSION = 16
PYTHON = PythonEndpoint(target="sample.agent:run")


def a_card(
    agent_id: str, description: str = "Answers questions.", endpoint: Endpoint = PYTHON, **more: object
) -> AgentCard:
    skill = Skill(id="answer", description=description, inputs=(Modality.TEXT,), outputs=(Modality.TEXT,))
    values = {"version": "1.0.0", "description": description, "skills": (skill,), "endpoint": endpoint, **more}
    return AgentCard(id=agent_id, **values)  # type: ignore[arg-type]


def vector_of(text: str) -> Vector:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


class CountingEncoder:
    """Deterministic vectors; remembers what it was asked; may be out of order for a while."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failures_left = 0

    async def __call__(self, texts: Sequence[str]) -> Vector:
        if self.failures_left > 0:
            self.failures_left -= 1
            raise EncoderUnavailable("weights are missing")
        self.asked += texts
        return np.stack([vector_of(text) for text in texts])


class CountingIndex:
    """The embedded index, counting replacements."""

    def __init__(self, inner: EdgeSkillIndex) -> None:
        self.inner = inner
        self.replaced: list[str] = []
        self.search = inner.search
        self.marks = inner.marks
        self.note_health = inner.note_health
        self.count = inner.count
        self.close = inner.close

    async def replace(self, tenant: str, agent_id: str, points: Sequence[SkillPoint], mark: str = "") -> None:
        self.replaced.append(agent_id)
        await self.inner.replace(tenant, agent_id, points, mark)


async def always_able(card: AgentCard) -> bool | None:
    return True


@pytest.fixture
def encoder() -> CountingEncoder:
    return CountingEncoder()


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[CountingIndex]:
    opened = await EdgeSkillIndex.open(tmp_path / "index", dimension=DIMENSION)
    yield CountingIndex(opened)
    await opened.close()


@pytest.fixture
def registry(js: JetStreamContext) -> Registry:
    return KvRegistry(js)


Start = Callable[..., Awaitable[LiveFleet]]


@pytest.fixture
async def start(
    nc: Client, js: JetStreamContext, registry: Registry, index: CountingIndex, encoder: CountingEncoder
) -> AsyncIterator[Start]:
    started: list[LiveFleet] = []

    async def begin(probe: Callable[[AgentCard], Awaitable[bool | None]] = always_able, **more: float) -> LiveFleet:
        settings = {"probe_every_s": 0.25, "ttl_s": 15.0, **more}
        fleet = LiveFleet(registry, index, encoder, js, probe, **settings)  # type: ignore[arg-type]
        await fleet.start()
        started.append(fleet)
        return fleet

    yield begin
    for fleet in started:
        await fleet.stop()


@asynccontextmanager
async def until(what: str, seconds: float = 60.0) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        pytest.fail(f"waited {seconds} s in vain until {what}")


async def becomes(condition: Callable[[], bool], what: str) -> None:
    async with until(what):
        while not condition():
            await asyncio.sleep(0.01)


async def ready(fleet: LiveFleet) -> None:
    async with until("the fleet is ready"):
        await fleet.ready.wait()


async def test_a_fleet_is_ready_when_all_present_cards_can_be_found(
    start: Start, registry: Registry, index: CountingIndex
):
    for number in range(20):
        await registry.register(a_card(f"a{number}", f"Skill number {number}."))
    fleet = await start()
    await ready(fleet)
    assert set(fleet.cards("default")) == {f"a{n}" for n in range(20)}
    assert await index.count() == 20
    hits = await index.search(vector_of("a7\nSkill number 7."), IndexFilter("default"), 1)
    assert hits[0].agent_id == "a7"


async def test_a_fleet_without_agents_is_ready_at_once(start: Start):
    fleet = await start()
    await ready(fleet)
    assert fleet.cards("default") == {}
    assert fleet.liveness("default", "nobody") is Liveness.DEAD
    assert fleet.load("default", "nobody") == 0.0


async def test_cards_come_change_and_go_while_the_fleet_looks_on(
    start: Start, registry: Registry, index: CountingIndex
):
    fleet = await start()
    await ready(fleet)
    await registry.register(a_card("a"))
    await becomes(lambda: "a" in fleet.cards("default"), "the new agent is there")
    before = fleet.version("default")
    await registry.register(a_card("a", "Does something else now."))
    await becomes(lambda: fleet.cards("default")["a"].description.startswith("Does"), "the change is seen")
    assert fleet.version("default") > before
    hits = await index.search(vector_of("a\nDoes something else now."), IndexFilter("default"), 1)
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-5)
    [by_old_words] = await index.search(vector_of("a\nAnswers questions."), IndexFilter("default"), 1)
    assert by_old_words.similarity < 0.9
    await registry.remove("default", "a")
    await becomes(lambda: not fleet.cards("default"), "the agent is gone")
    await becomes_empty(index)
    assert fleet.liveness("default", "a") is Liveness.DEAD


async def becomes_empty(index: CountingIndex) -> None:
    async with until("the index is empty"):
        while await index.count():
            await asyncio.sleep(0.01)


async def test_a_change_that_touches_no_skill_neither_encodes_nor_indexes_again(
    start: Start, registry: Registry, index: CountingIndex, encoder: CountingEncoder
):
    await registry.register(a_card("a"))
    fleet = await start()
    await ready(fleet)
    assert (len(encoder.asked), len(index.replaced)) == (1, 1)
    await registry.register(a_card("a", concurrency=9))
    await becomes(lambda: fleet.cards("default")["a"].concurrency == 9, "the change is seen")
    assert (len(encoder.asked), len(index.replaced)) == (1, 1)
    await registry.register(a_card("a", tags=("gpu",)))
    await becomes(lambda: len(index.replaced) == 2, "new tags are indexed")
    assert len(encoder.asked) == 1


async def test_what_an_earlier_process_indexed_is_not_encoded_again_and_what_is_gone_leaves(
    start: Start, registry: Registry, index: CountingIndex, encoder: CountingEncoder
):
    same, other = a_card("same"), a_card("changed", "Is about to change.")
    for card in (same, other, a_card("gone")):
        vectors = {text: vector_of(text) for text in texts_of(card)}
        await index.inner.replace("default", card.id, points_of(card, vectors), mark_of(card))
    await registry.register(same)
    await registry.register(a_card("changed", "Has changed since."))
    fleet = await start()
    await ready(fleet)
    assert set(fleet.cards("default")) == {"same", "changed"}
    await becomes(lambda: "gone" in index.replaced, "the removed agent is taken out")
    assert sorted(index.replaced) == ["changed", "gone"]
    assert encoder.asked == ["changed\nHas changed since."]
    async with until("only the present two are indexed"):
        while await index.count() != 2:
            await asyncio.sleep(0.01)


async def test_the_index_is_told_who_is_dead_and_who_came_back(
    start: Start, registry: Registry, index: CountingIndex, nc: Client
):
    await registry.register(a_card("a", endpoint=NatsEndpoint()))
    fleet = await start(ttl_s=0.5)
    await ready(fleet)
    alive = IndexFilter("default", alive_only=True)
    everything = vector_of("a\nAnswers questions.")
    async with until("the silent agent is left out"):
        while await index.search(everything, alive, 1):
            await asyncio.sleep(0.01)
    assert len(await index.search(everything, IndexFilter("default"), 1)) == 1
    async with until("the agent is found again"):
        while not await index.search(everything, alive, 1):
            await beat(nc, "a")
            await asyncio.sleep(0.05)


async def test_a_snapshot_of_cards_does_not_change_under_its_reader(start: Start, registry: Registry):
    await registry.register(a_card("a"))
    fleet = await start()
    await ready(fleet)
    seen = fleet.cards("default")
    await registry.register(a_card("b"))
    await becomes(lambda: len(fleet.cards("default")) == 2, "the second agent is there")
    assert set(seen) == {"a"}


async def test_tenants_have_fleets_of_their_own(start: Start, registry: Registry):
    await registry.register(a_card("a", tenant="acme"))
    await registry.register(a_card("a", "Another one of the same name."))
    fleet = await start()
    await ready(fleet)
    assert fleet.cards("acme")["a"].tenant == "acme"
    assert fleet.cards("default")["a"].tenant == "default"
    assert fleet.cards("other") == {}


async def test_a_tenants_matches_are_remembered_whatever_another_tenants_agents_do(
    start: Start, registry: Registry, index: CountingIndex, encoder: CountingEncoder, nc: Client
):
    await registry.register(a_card("hers", tenant="acme"))
    for agent_id in ("his", "fleeting"):
        await registry.register(a_card(agent_id, endpoint=NatsEndpoint()))
    fleet = await start(ttl_s=5.0)
    await ready(fleet)
    await becomes(lambda: fleet.liveness("acme", "hers") is Liveness.ALIVE, "her agent is probed")
    matcher = SkillMatcher(index, fleet, CosineRanker(), abstain_threshold=-1.0)
    asked = ("acme", "Answer me.", vector_of("Answer me."), frozenset({Modality.TEXT}), RoutingHints())
    first, before = await matcher.match(*asked), fleet.version("default")
    await beat(nc, "his")
    await becomes(lambda: fleet.liveness("default", "his") is Liveness.ALIVE, "his agent is heard")
    await becomes(lambda: fleet.liveness("default", "his") is Liveness.DEAD, "his agent falls silent")
    await registry.register(a_card("his", "Does something else now.", endpoint=NatsEndpoint()))
    await registry.remove("default", "fleeting")
    await becomes(lambda: set(fleet.cards("default")) == {"his"}, "his changes are seen")
    await becomes(lambda: fleet.version("default") > before, "the version of his fleet tells of it")
    assert await matcher.match(*asked) is first
    await registry.register(a_card("hers", "Answers better.", tenant="acme"))
    await becomes(lambda: fleet.cards("acme")["hers"].description == "Answers better.", "her change is seen")
    assert await matcher.match(*asked) is not first


async def test_of_a_tenant_whose_agents_are_all_gone_nothing_is_kept(start: Start, registry: Registry):
    fleet = await start()
    await ready(fleet)
    never = fleet.version("acme")
    await registry.register(a_card("a", tenant="acme"))
    await becomes(lambda: bool(fleet.cards("acme")), "the agent is there")
    present = fleet.version("acme")
    await registry.remove("acme", "a")
    await becomes(lambda: not fleet.cards("acme"), "it is gone")
    assert never < present < fleet.version("acme")
    assert "acme" not in fleet._cards


async def test_an_encoder_that_fails_for_a_while_only_delays(
    start: Start, registry: Registry, encoder: CountingEncoder
):
    encoder.failures_left = 1
    await registry.register(a_card("a"))
    fleet = await start()
    await ready(fleet)
    assert set(fleet.cards("default")) == {"a"}


async def test_a_heartbeat_makes_an_agent_alive_and_tells_its_load(start: Start, registry: Registry, nc: Client):
    await registry.register(a_card("a", endpoint=NatsEndpoint()))
    fleet = await start()
    await ready(fleet)
    assert fleet.liveness("default", "a") is Liveness.UNKNOWN
    before = fleet.version("default")
    await beat(nc, "a", load=0.5)
    await becomes(lambda: fleet.liveness("default", "a") is Liveness.ALIVE, "the heartbeat is heard")
    assert fleet.load("default", "a") == 0.5
    assert fleet.version("default") > before


async def beat(nc: Client, agent_id: str, load: float = 0.0, subject: str | None = None) -> None:
    heartbeat = Heartbeat(agent_id=agent_id, load=load)
    await nc.publish(subject or subjects.heartbeat("default", agent_id), heartbeat.model_dump_json().encode())


async def test_an_agent_that_falls_silent_is_dead_after_the_ttl_and_comes_back(
    start: Start, registry: Registry, nc: Client
):
    await registry.register(a_card("a", endpoint=NatsEndpoint()))
    fleet = await start(ttl_s=0.5)
    await ready(fleet)
    await beat(nc, "a")
    await becomes(lambda: fleet.liveness("default", "a") is Liveness.ALIVE, "the heartbeat is heard")
    alive = fleet.version("default")
    await becomes(lambda: fleet.liveness("default", "a") is Liveness.DEAD, "the agent is dead")
    await becomes(lambda: fleet.version("default") > alive, "the version tells of it")
    await beat(nc, "a")
    await becomes(lambda: fleet.liveness("default", "a") is Liveness.ALIVE, "it is back")


async def test_one_agent_cannot_speak_for_another_and_noise_is_ignored(start: Start, registry: Registry, nc: Client):
    for agent_id in ("victim", "liar"):
        await registry.register(a_card(agent_id, endpoint=NatsEndpoint()))
    fleet = await start()
    await ready(fleet)
    await beat(nc, "victim", subject=subjects.heartbeat("default", "liar"))
    await nc.publish(subjects.heartbeat("default", "victim"), b"\xff not json")
    await nc.publish(subjects.heartbeat("default", "victim"), b'{"agent_id": "victim", "load": -1}')
    await beat(nc, "stranger")
    await beat(nc, "liar")
    await becomes(lambda: fleet.liveness("default", "liar") is Liveness.ALIVE, "the last heartbeat is heard")
    assert fleet.liveness("default", "victim") is Liveness.UNKNOWN
    assert fleet.liveness("default", "stranger") is Liveness.DEAD


async def test_signs_of_life_are_mirrored_for_doors_and_other_workers(
    start: Start, registry: Registry, nc: Client, js: JetStreamContext
):
    await registry.register(a_card("beats", endpoint=NatsEndpoint()))
    await registry.register(a_card("probed"))
    fleet = await start()
    await ready(fleet)
    await beat(nc, "beats", load=0.25)
    await becomes(lambda: fleet.liveness("default", "probed") is Liveness.ALIVE, "the probe succeeds")
    bucket = await js.key_value(subjects.BUCKET_HEALTH)
    async with until("both are in the bucket"):
        while len(await keys_of(bucket)) < 2:
            await asyncio.sleep(0.01)
    entry = await bucket.get("default.beats")
    assert Heartbeat.model_validate_json(entry.value).load == 0.25


async def keys_of(bucket: object) -> list[str]:
    watcher = await bucket.watchall()  # type: ignore[attr-defined]
    keys = []
    async for entry in watcher:
        if entry is None:
            break
        keys.append(entry.key)
    await watcher.stop()
    return keys


async def test_workers_share_what_their_probes_find(start: Start, registry: Registry, nc: Client, js: JetStreamContext):
    await registry.register(a_card("a"))
    probes: list[str] = []

    async def counted(card: AgentCard) -> bool | None:
        probes.append(card.id)
        return True

    fleets = [await start(counted, probe_every_s=1.0) for _ in range(4)]
    for fleet in fleets:
        await ready(fleet)
    for fleet in fleets:
        await becomes(lambda fleet=fleet: fleet.liveness("default", "a") is Liveness.ALIVE, "everyone knows")
    await asyncio.sleep(3.0)
    # Four workers probing alone would have asked some sixteen times.
    assert len(probes) <= 11


async def test_a_probe_that_fails_lets_the_agent_die_and_harms_nobody_else(start: Start, registry: Registry):
    for agent_id in ("fine", "refuses", "breaks", "hangs", "false"):
        await registry.register(a_card(agent_id))

    async def probe(card: AgentCard) -> bool | None:
        if card.id == "refuses":
            raise AgentUnreachable("connection refused")
        if card.id == "breaks":
            raise KeyError("a bug in a connector")
        if card.id == "hangs":
            await asyncio.Event().wait()
        return card.id == "fine"

    fleet = await start(probe, ttl_s=1.0)
    await ready(fleet)
    for agent_id in ("refuses", "breaks", "hangs", "false"):
        await becomes(lambda a=agent_id: fleet.liveness("default", a) is Liveness.DEAD, f"{agent_id} is dead")
    await becomes(lambda: fleet.liveness("default", "fine") is Liveness.ALIVE, "fine is alive")


async def test_agents_that_announce_themselves_are_not_probed(start: Start, registry: Registry):
    await registry.register(a_card("beats", endpoint=NatsEndpoint()))
    await registry.register(a_card("probed"))
    probed: list[str] = []

    async def probe(card: AgentCard) -> bool | None:
        probed.append(card.id)
        return True

    fleet = await start(probe)
    await ready(fleet)
    await becomes(lambda: len(probed) >= 1, "a probe went out")
    assert set(probed) == {"probed"}


async def test_the_fleet_goes_on_after_the_server_is_killed_and_restarted(
    start: Start, registry: Registry, nats_server: NatsServer, nc: Client
):
    await registry.register(a_card("before", endpoint=NatsEndpoint()))
    fleet = await start()
    await ready(fleet)
    nats_server.kill()
    assert set(fleet.cards("default")) == {"before"}
    await nats_server.start()
    other = await connect(nats_server.url, "other")
    await KvRegistry(other.jetstream(timeout=10)).register(a_card("after", endpoint=NatsEndpoint()))
    await becomes(lambda: "after" in fleet.cards("default"), "the new agent is seen")
    async with until("heartbeats are heard again"):
        while fleet.liveness("default", "after") is not Liveness.ALIVE:
            await beat(other, "after")
            await asyncio.sleep(0.05)
    await other.close()


async def test_a_fleet_of_hundreds_is_indexed_in_batches(
    start: Start, registry: Registry, index: CountingIndex, encoder: CountingEncoder
):
    await asyncio.gather(*(registry.register(a_card(f"a{n}", f"Skill number {n}.")) for n in range(600)))
    fleet = await start(probe_every_s=5.0)
    await ready(fleet)
    assert len(fleet.cards("default")) == await index.count() == len(encoder.asked) == 600


async def test_stopping_leaves_no_task_behind(start: Start, registry: Registry):
    await registry.register(a_card("a"))
    fleet = await start()
    await ready(fleet)
    await fleet.stop()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("fleet")]
    assert set(fleet.cards("default")) == {"a"}


async def test_whoever_catches_up_knows_what_was_registered_before(start: Start, registry: Registry):
    fleet = await start()
    await ready(fleet)
    for number in range(20):
        await registry.register(a_card(f"agent-{number}"))
        await fleet.catch_up()
        assert f"agent-{number}" in fleet.cards("default")
    await registry.remove("default", "agent-3")
    await fleet.catch_up()
    assert "agent-3" not in fleet.cards("default")


async def test_a_change_that_never_comes_is_awaited_once(start: Start, registry: Registry, js: JetStreamContext):
    """A removal of what this fleet never saw is told to nobody."""
    await registry.register(a_card("ghost"))
    await registry.remove("default", "ghost")
    fleet = await start()
    await ready(fleet)
    await fleet.catch_up(within_s=0.2)
    async with until("the second look returns at once"):
        await fleet.catch_up(within_s=3_600.0)
