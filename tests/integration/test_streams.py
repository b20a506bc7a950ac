"""The streams of the bus exist, keep to their quotas and can be ensured again."""

from nats.js.api import DiscardPolicy

from gateway.bus.ensuring import ensure
from gateway.bus.streams import Quotas, bucket_configs, stream_configs
from schemas import subjects


async def test_ensuring_twice_changes_nothing(js):
    await ensure(js, Quotas().scaled(0.05))
    names = {info.config.name for info in await js.streams_info()}
    assert {config.name for config in stream_configs(Quotas())} <= names
    assert {f"KV_{bucket.bucket}" for bucket in bucket_configs(Quotas())} <= names


async def test_every_stream_has_a_size_quota(js):
    assert all(info.config.max_bytes > 0 for info in await js.streams_info())


async def test_no_checkpoint_stays_for_ever(js):
    """One message for each that nobody deletes would fill the stream in the end, which refuses new ones when full."""
    config = (await js.stream_info(subjects.STREAM_CHECKPOINTS)).config
    assert (config.discard, config.max_age) == (DiscardPolicy.NEW, 90 * 86_400)
