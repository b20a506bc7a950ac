"""Makes the streams and buckets of the bus, once, by whoever starts first. Called by the wiring of every role."""

import logging
from dataclasses import replace

from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig, PersistMode, StreamConfig, StreamInfo
from nats.js.errors import APIError, BadRequestError, NotFoundError

from gateway.bus.streams import MIB, Quotas, bucket_configs, stream_configs
from gateway.errors import CopiesImpossible

logger = logging.getLogger(__name__)

_NAME_IN_USE = 10058
_TOO_FEW_SERVERS = frozenset({10005, 10074})
"""No suitable peers for placement; more than one replica where there is no cluster."""


async def ensure(js: JetStreamContext, quotas: Quotas, max_payload_bytes: int = MIB) -> None:
    """Create what is missing and bring the rest to today's configuration. Safe to call from many processes at once.

    What has fewer copies than ``quotas`` say gets more, and nothing loses any: of two roles with different settings,
    one of which somebody forgot, the more careful one is right. Raises CopiesImpossible, and nats.errors.Error when
    the bus is silent or refuses; then it may be called again.
    """
    try:
        first = await _ensure_stream(js, stream_configs(quotas, max_payload_bytes)[0])
        clustered = first.cluster is not None and bool(first.cluster.name)
        for config in stream_configs(quotas, max_payload_bytes, clustered=clustered)[1:]:
            await _ensure_stream(js, config)
        for bucket in bucket_configs(quotas):
            await _ensure_bucket(js, bucket)
    except APIError as error:
        if error.err_code in _TOO_FEW_SERVERS:
            raise CopiesImpossible(f"the bus cannot keep {quotas.replicas} copies: {error.description}") from error
        raise


async def _ensure_stream(js: JetStreamContext, config: StreamConfig) -> StreamInfo:
    try:
        return await js.add_stream(config)
    except BadRequestError as error:
        if error.err_code != _NAME_IN_USE:
            raise
        there = (await js.stream_info(str(config.name))).config
        return await js.update_stream(_changed(config, there))


def _changed(config: StreamConfig, there: StreamConfig) -> StreamConfig:
    """What the stream can become: how messages leave it and how soon they are on disk stays as it was made."""
    copies = max(config.num_replicas or 1, there.num_replicas or 1)
    if there.persist_mode is PersistMode.ASYNC and copies > 1:
        logger.warning(
            "stream %s keeps one copy: it was made before this bus was to keep %d. Stop the roles, remove it (what it"
            " tells is not needed for any task), and start them again",
            config.name,
            copies,
        )
        copies = 1
    return replace(config, retention=there.retention, persist_mode=there.persist_mode, num_replicas=copies)


async def _ensure_bucket(js: JetStreamContext, config: KeyValueConfig) -> None:
    try:
        there = (await js.stream_info(f"KV_{config.bucket}")).config
    except NotFoundError:
        await js.create_key_value(config)
        return
    if (there.num_replicas or 1) < config.replicas:
        await js.update_stream(there.evolve(num_replicas=config.replicas))
