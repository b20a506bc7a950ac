"""The streams of the bus exist, keep to their quotas and can be ensured again."""

import asyncio

import pytest
from nats.js.api import DiscardPolicy, KeyValueConfig

from gateway.bus.ensuring import ensure
from gateway.bus.streams import HEARTBEAT_BYTES, Quotas, bucket_configs, stream_configs
from schemas import subjects


async def test_ensuring_twice_changes_nothing(js):
    await ensure(js, Quotas().scaled(0.05))
    names = {info.config.name for info in await js.streams_info()}
    assert {config.name for config in stream_configs(Quotas())} <= names
    assert {f"KV_{bucket.bucket}" for bucket in bucket_configs(Quotas())} <= names


async def test_a_bucket_of_signs_of_life_that_is_there_already_takes_heartbeats_in(js, nc):
    stream = f"KV_{subjects.BUCKET_HEALTH}"
    await js.delete_stream(stream)
    bucket = await js.create_key_value(KeyValueConfig(bucket=subjects.BUCKET_HEALTH, ttl=60, max_bytes=2**20))
    await bucket.put("default.probed", b"{}")
    for _ in range(2):
        await ensure(js, Quotas().scaled(0.05))
    await nc.publish(subjects.heartbeat("default", "beats"), b'{"agent_id": "beats"}')
    await nc.flush()
    async with asyncio.timeout(30):
        while len(keys := await bucket.keys()) < 2:
            await asyncio.sleep(0.01)
    assert sorted(keys) == ["default.beats", "default.probed"]
    assert (await bucket.get("default.beats")).value == b'{"agent_id": "beats"}'
    assert (await js.stream_info(stream)).config.max_msgs_per_subject == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param({"Nats-Rollup": "all"}, b'{"agent_id": "hostile"}', id="a roll-up"),
        pytest.param({}, b"x" * (HEARTBEAT_BYTES + 1), id="more than a heartbeat"),
    ],
)
async def test_no_heartbeat_takes_away_what_others_said(js, nc, headers, body):
    await ensure(js, Quotas().scaled(0.05))
    await nc.publish(subjects.heartbeat("default", "honest"), b'{"agent_id": "honest"}')
    await nc.publish(subjects.heartbeat("default", "hostile"), body, headers=headers)
    await nc.publish(subjects.heartbeat("default", "last"), b'{"agent_id": "last"}')
    bucket = await js.key_value(subjects.BUCKET_HEALTH)
    async with asyncio.timeout(30):
        while "default.last" not in (keys := await bucket.keys()):
            await asyncio.sleep(0.01)
    assert sorted(keys) == ["default.honest", "default.last"]


async def test_every_stream_has_a_size_quota(js):
    assert all(info.config.max_bytes > 0 for info in await js.streams_info())


async def test_no_checkpoint_stays_for_ever(js):
    """One message for each that nobody deletes would fill the stream in the end, which refuses new ones when full."""
    config = (await js.stream_info(subjects.STREAM_CHECKPOINTS)).config
    assert (config.discard, config.max_age) == (DiscardPolicy.NEW, 90 * 86_400)
