"""Builds the tensor layer from plain arguments. Called by the composition root of each role."""

from collections.abc import Mapping
from pathlib import Path

from nats.aio.client import Client

from tensor_layer.encoding.batching import BatchingEncoder
from tensor_layer.encoding.cache import ENTRIES_MAX, CachedTextEncoder
from tensor_layer.encoding.minilm import MiniLm
from tensor_layer.encoding.remote import RemoteTextEncoder
from tensor_layer.inspection.image import PIXELS_MAX
from tensor_layer.inspection.inspector import THREADS, PartInspector
from tensor_layer.perception import PartPerceiver
from tensor_layer.ports import Blobs, TextEncoder
from tensor_layer.storage.blobs import CACHE_LIMIT_BYTES, ObstoreBlobs


def open_blobs(
    url: str,
    options: Mapping[str, str] | None = None,
    *,
    cache_dir: Path | None = None,
    cache_limit_bytes: int = CACHE_LIMIT_BYTES,
) -> ObstoreBlobs:
    """The object store at ``file:///folder``, ``memory://`` or ``s3://bucket/prefix``.

    Raises ValueError, BlobStoreUnavailable. A process that only stores and serves bytes imports
    ``tensor_layer.storage.blobs`` instead: it is lighter.
    """
    return ObstoreBlobs.from_url(url, options, cache_dir=cache_dir, cache_limit_bytes=cache_limit_bytes)


def local_text_encoder(*, threads: int = 1, cache_entries: int = ENTRIES_MAX) -> CachedTextEncoder:
    """The in-process text encoder: cached, batched, weights read when the first text arrives.

    Raises EncoderUnavailable when the weights' package is not installed.
    """
    return CachedTextEncoder(BatchingEncoder(MiniLm.packaged(threads=threads)), cache_entries)


async def remote_text_encoder(connection: Client, *, cache_entries: int = ENTRIES_MAX) -> CachedTextEncoder:
    """The perception service's text encoder, cached here. Raises EncoderUnavailable when no service answers."""
    return CachedTextEncoder(await RemoteTextEncoder.discover(connection), cache_entries)


def perceiver(
    blobs: Blobs, encoder: TextEncoder, *, threads: int = THREADS, pixels_max: int = PIXELS_MAX
) -> PartPerceiver:
    """What `agents` asks to look at a task. ``threads`` bounds how many parts are decoded at once."""
    return PartPerceiver(blobs, encoder, PartInspector(blobs, threads=threads, pixels_max=pixels_max))
