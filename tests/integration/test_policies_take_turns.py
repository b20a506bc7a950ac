"""A worker's memory does not grow with the tenants: policies of those who are idle are read again when asked for."""

from collections.abc import AsyncIterator

import pytest

from agents.matching.live.feed import PolicyFeed
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.integration.test_policy_feed import ENCODER, Desk, card, encode, taught, until

TENANTS = [f"t{number}" for number in range(5)]
ROOM_FOR_TWO = 2 * 600 * 1_024


@pytest.fixture
async def feed(js, tmp_path) -> AsyncIterator[PolicyFeed]:
    desk = Desk(js, ObstoreBlobs.from_url((tmp_path / "blobs").as_uri()))
    for tenant in TENANTS:
        await desk.publish("one", tenant=tenant)
        await desk.say(tenant=tenant, active="one")
    feed = PolicyFeed(
        js, desk.blobs, lambda _tenant: {"a": card("a"), "b": card("b")}, encode, ENCODER, room_bytes=ROOM_FOR_TWO
    )
    await feed.start()
    yield feed
    await feed.stop()


def held(feed: PolicyFeed) -> set[str]:
    return {tenant for tenant, _ in feed._orders}


async def asked(feed: PolicyFeed, tenant: str) -> None:
    """The first task may be routed by similarity; those after it are not."""
    await until(lambda: (lot := feed.lot(tenant, None)) is not None and lot.policy == "one")


async def test_only_as_many_policies_as_fit_lie_in_memory_and_each_comes_when_asked_for(feed: PolicyFeed):
    await until(lambda: len(feed._states) == len(TENANTS) and len(held(feed)) == 2)
    for tenant in (*TENANTS, *TENANTS):
        await asked(feed, tenant)
        await until(lambda: len(held(feed)) <= 2)
        assert tenant in held(feed)
    assert held(feed) == set(TENANTS[-2:])


async def test_who_is_asked_again_and_again_stays(feed: PolicyFeed):
    for tenant in TENANTS[1:]:
        await asked(feed, "t0")
        await asked(feed, tenant)
        await until(lambda: len(held(feed)) <= 2)
        assert "t0" in held(feed)


async def test_of_tenants_that_were_put_away_nothing_that_is_heard_is_kept(feed: PolicyFeed):
    for tenant in TENANTS:
        await asked(feed, tenant)
    await until(lambda: len(held(feed)) <= 2)
    feed.learn([taught(f"task-{tenant}").model_copy(update={"tenant": tenant}) for tenant in TENANTS])
    assert set(feed._recent) == held(feed)


async def test_of_a_tenant_whose_state_is_removed_nothing_is_left(feed: PolicyFeed, js):
    await asked(feed, "t0")
    bucket = await js.key_value("aos_policy")
    await bucket.delete("t0.state")
    await until(lambda: "t0" not in feed._states)
    assert "t0" not in held(feed)
    assert feed.lot("t0", None) is None
