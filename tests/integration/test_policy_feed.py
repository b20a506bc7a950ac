"""A worker's policies on a real bus: loaded whole, swapped at once, kept when a new one cannot be used, and current."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from agents.matching.live import loading
from agents.matching.live.features import Shown
from agents.matching.live.feed import PolicyFeed
from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.snapshots import Title, artefacts_of, snapshot_of
from agents.matching.rule_book import RuleBook
from agents.outcome_feed import OutcomeFeed
from schemas import subjects
from schemas.card import AgentCard, NatsEndpoint, Skill
from schemas.experience import ExperienceRecord
from schemas.parts import BlobRef, Modality
from schemas.policy import Lineage, dumps
from schemas.policy_state import PolicyExperiment, PolicyState
from schemas.task import TaskState
from tensor_layer.storage.blobs import ObstoreBlobs

DIMENSION = 8
ENCODER = "0.1.0-test"
WITHIN_S = 60.0
SHOWN = Shown(np.full(1, 0.5, np.float32), np.zeros(1, np.float32), np.zeros(1, np.float32))


def towards(place: int) -> np.ndarray:
    vector = np.zeros(DIMENSION, np.float32)
    vector[place] = 1.0
    return vector


def card(agent_id: str) -> AgentCard:
    text = (Modality.TEXT,)
    skill = Skill(id="s", description="Answers questions.", inputs=text, outputs=text)
    return AgentCard(
        id=agent_id, version="1.0.0", description="An agent that answers.", skills=(skill,), endpoint=NatsEndpoint()
    )


async def encode(texts) -> np.ndarray:
    return np.stack([towards(0) for _ in texts])


class Desk:
    """Publishes versions and states as the evolution role does."""

    def __init__(self, js, blobs: ObstoreBlobs) -> None:
        self.js, self.blobs = js, blobs

    async def publish(
        self, name: str, *agents: str, content: bytes | None = None, encoder: str = ENCODER, tenant="default"
    ) -> None:
        policy = LivePolicy.blank(DIMENSION)
        for number in range(10):
            for agent in agents or ("a",):
                policy.learn(Outcome(f"{name}-{number}", agent, towards(0), 1.0, 0.5))
        digests = {key: (await self.blobs.put_bytes(part)).digest for key, part in artefacts_of(policy).items()}
        snapshot = snapshot_of(policy, Title(name, None, encoder, Lineage()), digests)
        await self.put(subjects.policy_version_key(tenant, name), dumps(snapshot) if content is None else content)

    async def say(self, *, tenant: str = "default", **values: object) -> None:
        state = PolicyState.model_validate({"tenant": tenant, **values})
        await self.put(subjects.policy_state_key(tenant), state.model_dump_json().encode())

    async def put(self, key: str, value: bytes) -> None:
        await (await self.js.key_value(subjects.BUCKET_POLICY)).put(key, value)


class HeldBlobs:
    """An object store that answers only once it is let go."""

    def __init__(self, blobs: ObstoreBlobs) -> None:
        self._blobs = blobs
        self.asked, self.released = asyncio.Event(), asyncio.Event()

    async def get(self, ref: BlobRef) -> bytes:
        self.asked.set()
        await self.released.wait()
        return await self._blobs.get(ref)


def taught(task_id: str) -> ExperienceRecord:
    """Agent b succeeded."""
    return ExperienceRecord(
        record_id=task_id, task_id=task_id, tenant="default", state=TaskState.SUCCEEDED, success=True, chosen=("b",),
        vector=base64.b64encode(towards(3).tobytes()).decode(), latency_ms=5, cost=0,
    )  # fmt: skip


@pytest.fixture
def desk(js, tmp_path) -> Desk:
    return Desk(js, ObstoreBlobs.from_url((tmp_path / "blobs").as_uri()))


@pytest.fixture
async def feed(nc, js, desk) -> AsyncIterator[PolicyFeed]:
    feed = PolicyFeed(js, desk.blobs, lambda _tenant: {"a": card("a"), "b": card("b")}, encode, ENCODER)
    outcomes = OutcomeFeed(nc, (feed.learn,), hand_on_every_s=0.05)
    await feed.start()
    await outcomes.start()
    yield feed
    await outcomes.stop()
    await feed.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.05)


def in_force(feed: PolicyFeed) -> str | None:
    lot = feed.lot("default", None)
    return lot.policy if lot else None


async def failing(until_it_says: str, feed: PolicyFeed) -> None:
    await until(lambda: until_it_says in feed.problem("default"))


async def test_without_any_policy_nothing_is_drawn(feed):
    assert feed.lot("default", "t") is None
    assert feed.problem("default") == ""


async def test_a_policy_is_loaded_and_its_successor_takes_over_at_once(feed, desk):
    await desk.publish("one")
    await desk.say(active="one")
    await until(lambda: in_force(feed) == "one")
    ranker = feed.ranker("default", feed.lot("default", None))
    assert ranker.live.past.count == 10
    await desk.publish("two", "b")
    await desk.say(active="two")
    seen = set()
    await until(lambda: seen.add(in_force(feed)) or in_force(feed) == "two")
    assert seen <= {"one", "two"}
    await desk.say(active=None)
    await until(lambda: in_force(feed) is None)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda content: content[:-20], "damaged"),
        (lambda content: content.replace(b'"format": 1', b'"format": 9'), "format 9"),
        (lambda _content: b"{}", "no policy snapshot"),
    ],
)
async def test_a_policy_that_cannot_be_used_leaves_the_last_good_one_and_says_why(feed, desk, spoil, says):
    await desk.publish("good")
    await desk.say(active="good")
    await until(lambda: in_force(feed) == "good")
    snapshot = snapshot_of(LivePolicy.blank(DIMENSION), Title("bad", None, ENCODER, Lineage()), {})
    await desk.publish("bad", content=spoil(dumps(snapshot)))
    await desk.say(active="bad")
    await failing(says, feed)
    assert in_force(feed) == "good"


async def test_a_policy_of_agents_that_are_all_gone_is_not_used_and_that_is_said_once(feed, desk, caplog):
    await desk.publish("of-others", "gone")
    await desk.say(active="of-others")
    await failing("all gone", feed)
    assert in_force(feed) is None
    await desk.say(active="of-others", exploration=0.01)
    await until(lambda: feed.state("default").exploration == 0.01)
    assert caplog.text.count("policy of-others of tenant default is not used") == 1


async def test_agents_that_are_gone_are_overlooked_and_said(feed, desk, caplog):
    await desk.publish("of-some", "gone", "a")
    await desk.say(active="of-some")
    await until(lambda: in_force(feed) == "of-some")
    assert "knows 1 agents that are gone, they are overlooked: gone" in caplog.text
    assert feed.problem("default") == ""


async def test_a_policy_whose_past_another_encoder_placed_is_not_used(feed, desk):
    await desk.publish("good")
    await desk.say(active="good")
    await until(lambda: in_force(feed) == "good")
    await desk.publish("before-the-update", encoder="0.0.9")
    await desk.say(active="before-the-update")
    await failing("encoded by 0.0.9, and tasks here by 0.1.0-test", feed)
    assert in_force(feed) == "good"


async def test_outcomes_of_tasks_that_another_encoder_placed_do_not_count(feed, desk):
    await desk.publish("one")
    await desk.say(active="one")
    await until(lambda: in_force(feed) == "one")
    by_others = taught("theirs").model_copy(update={"vector_version": "0.0.9"})
    feed.learn([by_others, taught("ours").model_copy(update={"vector_version": ENCODER})])
    assert feed.ranker("default", feed.lot("default", None)).live.past.task_ids[10:] == ["ours"]


async def test_a_policy_that_is_missing_is_used_once_it_is_there(feed, desk):
    await desk.say(active="late")
    await failing("there is no policy late", feed)
    await desk.publish("late")
    await until(lambda: in_force(feed) == "late")
    assert feed.problem("default") == ""


async def test_outcomes_count_before_the_next_version(feed, desk, js):
    await desk.publish("one")
    await desk.say(active="one")
    await until(lambda: in_force(feed) == "one")
    before = feed.ranker("default", feed.lot("default", None)).live.judge(towards(3), ("b",), SHOWN).chances[0]
    edition = feed.lot("default", None).edition
    await js.publish(subjects.experience("default"), taught("t").model_dump_json().encode())
    await until(lambda: feed.lot("default", None).edition > edition)
    live = feed.ranker("default", feed.lot("default", None)).live
    assert live.judge(towards(3), ("b",), SHOWN).chances[0] > before


async def test_a_version_catches_up_with_what_was_heard_before_and_while_it_was_loaded(js, desk):
    held = HeldBlobs(desk.blobs)
    feed = PolicyFeed(js, held, lambda _tenant: {"a": card("a"), "b": card("b")}, encode, ENCODER)
    await feed.start()
    try:
        await desk.publish("one")
        await desk.say(active="one")
        await held.asked.wait()
        feed.learn([taught("before"), taught("one-3")])
        held.released.set()
        await until(lambda: in_force(feed) == "one")
        live = feed.ranker("default", feed.lot("default", None)).live
        assert live.past.task_ids == [*(f"one-{number}" for number in range(10)), "before"]
        held.asked.clear()
        held.released.clear()
        await desk.publish("two")
        await desk.say(active="two")
        await held.asked.wait()
        feed.learn([taught("meanwhile")])
        held.released.set()
        await until(lambda: in_force(feed) == "two")
        live = feed.ranker("default", feed.lot("default", None)).live
        assert live.past.task_ids[10:] == ["before", "one-3", "meanwhile"]
        assert live.events == 13
    finally:
        await feed.stop()


async def test_a_version_that_breaks_the_worker_stops_nobody_elses(feed, desk, monkeypatch):
    built = loading.policy_of

    def policy_of(snapshot, parts, dimension):
        if snapshot.policy == "broken":
            raise IndexError("index 32 is out of bounds")
        return built(snapshot, parts, dimension)

    monkeypatch.setattr(loading, "policy_of", policy_of)
    await desk.publish("broken")
    await desk.say(active="broken")
    await until(lambda: "out of bounds" in feed.problem("default"))
    await desk.publish("good", tenant="other")
    await desk.say(active="good", tenant="other")
    await until(lambda: feed.lot("other", None) is not None)
    assert feed.lot("default", None) is None


async def test_what_one_tenant_learns_outdates_nothing_of_another(feed, desk):
    for tenant in ("default", "other"):
        await desk.publish("one", tenant=tenant)
        await desk.say(active="one", tenant=tenant)
        await until(lambda tenant=tenant: feed.lot(tenant, None) is not None)
    before = feed.lot("default", None).edition, feed.lot("other", None).edition
    feed.learn([taught("t")])
    assert feed.lot("default", None).edition == before[0] + 1
    assert feed.lot("other", None).edition == before[1]


async def test_the_files_of_versions_are_read_by_those_who_load_them_alone(feed, js, desk):
    book = RuleBook(js)
    await book.start()
    bucket = f"KV_{subjects.BUCKET_POLICY}"
    async with asyncio.timeout(WITHIN_S):
        while len(followed := {one.config.filter_subject for one in await js.consumers_info(bucket)}) < 2:
            await asyncio.sleep(0.05)
    await book.stop()
    start = f"$KV.{subjects.BUCKET_POLICY}.*."
    assert followed == {start + subjects.POLICY_STATE, start + subjects.ROUTING_RULES}


async def test_what_is_learned_in_a_hurry_makes_remembered_plans_outdated_once(js, desk):
    feed = PolicyFeed(js, desk.blobs, lambda _tenant: {"a": card("a")}, encode, ENCODER, news_every_s=86_400)
    await feed.start()
    try:
        await desk.publish("one")
        await desk.say(active="one")
        await until(lambda: in_force(feed) == "one")
        edition = feed.lot("default", None).edition
        assert feed.lot("default", None).edition == edition
        for number in range(10):
            feed.learn([taught(f"t{number}")])
            assert feed.lot("default", None).edition == edition + 1
        assert feed.ranker("default", feed.lot("default", None)).live.events == 20
    finally:
        await feed.stop()


async def test_an_experiment_sends_its_share_of_tasks_to_the_candidate_always_the_same_ones(feed, desk):
    await desk.publish("control")
    await desk.publish("candidate")
    await desk.say(active="control", experiment=PolicyExperiment(name="x", candidate="candidate", share=0.3))
    tasks = [f"task-{number}" for number in range(400)]

    def arms() -> list[str | None]:
        lots = [feed.lot("default", task) for task in tasks]
        return [lot.policy if lot else None for lot in lots]

    await until(lambda: set(arms()) == {"control", "candidate"})
    assert 80 <= arms().count("candidate") <= 160
    assert arms() == arms()


async def test_no_more_tasks_may_explore_than_the_tenant_allows(feed, desk):
    await desk.publish("one")
    await desk.say(active="one", exploration=0.2)
    await until(lambda: in_force(feed) == "one")
    lots = [feed.lot("default", f"task-{number}") for number in range(1_000)]
    tickets = [lot.ticket for lot in lots if lot.ticket is not None]
    assert 140 <= len(tickets) <= 260
    assert max(tickets) < 0.2
