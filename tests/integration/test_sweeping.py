"""What is acknowledged leaves the experience stream, and nothing else does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy

from evolution.sweeping import Sweeper
from gateway.bus.ensuring import ensure
from gateway.bus.streams import Quotas, stream_configs
from schemas import subjects

STREAM = subjects.STREAM_EXPERIENCE
DURABLE = "reader"
PATIENCE_S = 30


@pytest.fixture
async def reader(js: JetStreamContext) -> AsyncIterator[JetStreamContext.PullSubscription]:
    await js.add_consumer(STREAM, ConsumerConfig(durable_name=DURABLE, ack_policy=AckPolicy.EXPLICIT))
    yield await js.pull_subscribe_bind(DURABLE, stream=STREAM)
    await js.delete_consumer(STREAM, DURABLE)


async def told(js: JetStreamContext, reader: JetStreamContext.PullSubscription, count: int) -> list[Msg]:
    for number in range(count):
        await js.publish(subjects.experience("default"), str(number).encode())
    return await reader.fetch(count, timeout=PATIENCE_S)


async def held(js: JetStreamContext) -> int:
    return (await js.stream_info(STREAM)).state.messages


async def test_what_lies_above_the_first_that_is_not_acknowledged_stays(js, reader):
    messages = await told(js, reader, 10)
    for message in (*messages[:3], messages[4]):
        await message.ack_sync(timeout=PATIENCE_S)
    sweeper = Sweeper(js, STREAM, DURABLE)
    await sweeper.sweep(idle=True)
    assert await held(js) == 7
    for message in (messages[3], *messages[5:]):
        await message.ack_sync(timeout=PATIENCE_S)
    await sweeper.sweep(idle=True)
    assert await held(js) == 0


async def test_while_messages_come_it_is_swept_now_and_then_and_at_rest_at_once(js, reader, monkeypatch):
    sweeper = Sweeper(js, STREAM, DURABLE)
    for count in (1, 2):
        [message] = await told(js, reader, 1)
        await message.ack_sync(timeout=PATIENCE_S)
        sweeper.acknowledged()
        monkeypatch.setattr("evolution.sweeping.EVERY_S", 0.0 if count == 1 else 3600.0)
        await sweeper.sweep(idle=False)
        assert await held(js) == count - 1
    await sweeper.sweep(idle=True)
    assert await held(js) == 0


async def test_a_stream_that_was_made_anew_is_swept_too(js, reader):
    sweeper = Sweeper(js, STREAM, DURABLE)
    for message in await told(js, reader, 5):
        await message.ack_sync(timeout=PATIENCE_S)
    await sweeper.sweep(idle=True)
    await js.delete_stream(STREAM)
    await ensure(js, Quotas().scaled(0.05))
    await js.add_consumer(STREAM, ConsumerConfig(durable_name=DURABLE, ack_policy=AckPolicy.EXPLICIT))
    [message] = await told(js, await js.pull_subscribe_bind(DURABLE, stream=STREAM), 1)
    await message.ack_sync(timeout=PATIENCE_S)
    sweeper.acknowledged()
    await sweeper.sweep(idle=True)
    assert await held(js) == 0


async def test_a_consumer_that_is_gone_is_no_reason_to_stop(js):
    await Sweeper(js, STREAM, "nobody").sweep(idle=True)


async def test_a_stream_of_an_older_release_stays_a_work_queue(js):
    await js.delete_stream(STREAM)
    [config] = [config for config in stream_configs(Quotas().scaled(0.05)) if config.name == STREAM]
    await js.add_stream(replace(config, retention=RetentionPolicy.WORK_QUEUE, max_bytes=1 << 20))
    await ensure(js, Quotas().scaled(0.05))
    kept = (await js.stream_info(STREAM)).config
    assert (kept.retention, kept.max_bytes) == (RetentionPolicy.WORK_QUEUE, config.max_bytes)
    await js.delete_stream(STREAM)
    await asyncio.wait_for(ensure(js, Quotas().scaled(0.05)), PATIENCE_S)
    assert (await js.stream_info(STREAM)).config.retention == RetentionPolicy.LIMITS
