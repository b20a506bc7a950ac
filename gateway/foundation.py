"""What every role stands on: one connection to the bus with its streams, and the object store.

Called by the roles, by the desks that they keep going, and by `aos up`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError
from pydantic import SecretStr

from gateway.bus.connection import connect
from gateway.bus.ensuring import ensure
from gateway.bus.streams import Quotas
from gateway.settings import Settings
from tensor_layer.storage.blobs import ObstoreBlobs
from tensor_layer.storage.unused import UnusedContents

logger = logging.getLogger(__name__)

JETSTREAM_TIMEOUT_S = 10.0
ANSWER_S = 5.0
"""Of two who make a stream of a cluster at once, one may never be answered; who asks again is told that it is there."""
ASK_AGAIN_S = 0.5
TEMPORARILY_UNAVAILABLE = 10008

Result = TypeVar("Result")


class BusRefuses(nats.errors.Error):
    """The bus has closed the connection for good, as it does when credentials expire or change."""


class StoppedWaiting(Exception):
    """The process was told to stop before the bus answered: there is nothing to drain."""


@dataclass(frozen=True, slots=True)
class Bus:
    """The process's one connection."""

    nc: Client
    js: JetStreamContext


@asynccontextmanager
async def open_bus(
    settings: Settings, name: str, *, echo: bool = True, stop: asyncio.Event | None = None
) -> AsyncIterator[Bus]:
    """Connect, make sure that streams and buckets are there, and close at the end, flushing what was published.

    A server that does not answer yet is waited for, until ``stop`` is set; so is a cluster without its quorum.
    ``echo``: as `connect` has it.

    Raises StoppedWaiting, CopiesImpossible, and nats.errors.Error when the server has no JetStream or refuses the
    credentials. When it refuses them later, ``stop`` is set: a process that no longer hears anything drains, and
    BusRefuses ends it, so that whoever supervises it starts one with today's credentials.
    """
    connecting = connect(
        settings.nats_url,
        name,
        credentials=settings.nats_credentials,
        echo=echo,
        on_closed=stop.set if stop else _nothing,
    )
    nc = await (connecting if stop is None else _until(stop, connecting))
    try:
        js = nc.jetstream(timeout=JETSTREAM_TIMEOUT_S)
        await (_streams_made(nc, settings) if stop is None else _until(stop, _streams_waited_for(nc, settings)))
        with _refusals_told(nc):
            yield Bus(nc, js)
    finally:
        await nc.close()


@contextmanager
def _refusals_told(nc: Client) -> Iterator[None]:
    told = "the bus closed the connection and does not take it back: were its credentials changed?"
    try:
        yield
    except nats.errors.Error as error:
        if nc.is_closed:
            raise BusRefuses(told) from error
        raise
    if nc.is_closed:
        raise BusRefuses(told)


def _nothing() -> None:
    """Of a connection whose end nobody waits for."""


async def _streams_waited_for(nc: Client, settings: Settings) -> None:
    """Asks again while nobody answers for JetStream: a cluster elects leaders, or too few of its servers are up."""
    while True:
        try:
            await _streams_made(nc, settings)
            return
        except nats.errors.Error as error:
            if nc.is_closed or not _may_pass(error):
                raise
            logger.warning("the streams are not there yet (%s); asking again", str(error) or type(error).__name__)
        await asyncio.sleep(ASK_AGAIN_S)


async def _streams_made(nc: Client, settings: Settings) -> None:
    await ensure(nc.jetstream(timeout=ANSWER_S), quotas_of(settings), nc.max_payload)


def _may_pass(error: nats.errors.Error) -> bool:
    """Silence, and what a cluster says between two leaders; not a clear no, nor a server without JetStream."""
    if isinstance(error, APIError):
        return isinstance(error, NotFoundError) or error.err_code == TEMPORARILY_UNAVAILABLE
    return True


async def _until(stop: asyncio.Event, doing: Coroutine[Any, Any, Result]) -> Result:
    work, told = asyncio.ensure_future(doing), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise StoppedWaiting
    finally:
        work.cancel()
        told.cancel()


def quotas_of(settings: Settings) -> Quotas:
    """How much each stream may hold, and for how long."""
    whole = Quotas(replicas=settings.bus.replicas, dead_days=settings.retention.dead_days)
    return whole.scaled(settings.bus.quota_scale)


def open_unused(settings: Settings) -> UnusedContents:
    """The object store, to remove contents from it. Raises as `open_blobs`."""
    return UnusedContents.from_url(*object_store(settings))


def open_blobs(settings: Settings) -> ObstoreBlobs:
    """The object store for attachments and results: the S3 bucket when one is set, else a folder.

    Raises ValueError for S3 settings that cannot be right, BlobStoreUnavailable for a folder that cannot be made.
    """
    url, options = object_store(settings)
    return ObstoreBlobs.from_url(url, options, cache_dir=settings.data_dir / "cache" / "blobs")


def object_store(settings: Settings) -> tuple[str, dict[str, str]]:
    """Where the object store is, and the options of its client."""
    if settings.s3.bucket is None:
        return settings.blobs_dir.absolute().as_uri(), {}
    options = {
        "endpoint": settings.s3.endpoint,
        "region": settings.s3.region,
        "access_key_id": _revealed(settings.s3.access_key_id),
        "secret_access_key": _revealed(settings.s3.secret_access_key),
    }
    return f"s3://{settings.s3.bucket}", {name: value for name, value in options.items() if value}


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
