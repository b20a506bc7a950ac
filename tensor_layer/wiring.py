"""Builds the tensor layer from plain arguments. Called by the composition root of each role."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nats.aio.client import Client

from schemas.parts import Modality
from tensor_layer.bus import PerceptionService
from tensor_layer.encoders import SHIPPED, audio_model, image_model, text_model
from tensor_layer.encoding.batching import BatchingEncoder, DeviceBatcher
from tensor_layer.encoding.cache import ENTRIES_MAX, CachedTextEncoder
from tensor_layer.encoding.minilm import Dtype
from tensor_layer.encoding.parts import LocalPartEncoder
from tensor_layer.encoding.pictures import decode_picture
from tensor_layer.encoding.remote import RemotePartEncoder, RemoteTextEncoder
from tensor_layer.encoding.sounds import decode_sound
from tensor_layer.inspection.image import PIXELS_MAX
from tensor_layer.inspection.inspector import THREADS, PartInspector
from tensor_layer.perception import PartPerceiver
from tensor_layer.ports import Blobs, Content, EncoderCard, Fusion, Model, PartEncoder, Reentrant, TextEncoder
from tensor_layer.storage.blobs import CACHE_LIMIT_BYTES, ObstoreBlobs
from tensor_layer.towers.serving import fusion as shipped_fusion

logger = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """Which encoders a process runs: see ``encoders`` for the words. ``dtype``, ``text_prompt`` None: each its own."""

    text: str = SHIPPED
    image: str = SHIPPED
    audio: str = SHIPPED
    device: str = "auto"
    dtype: Dtype | None = None
    threads: int = 1
    text_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Encoders:
    """What a process encodes with, and what fuses it. ``senses`` holds those of pictures and sounds that it has;
    ``text_card`` says where and in what the text encoder computes, when it is in this process.
    """

    text: TextEncoder
    senses: Mapping[Modality, PartEncoder]
    fusion: Fusion
    text_card: EncoderCard | None = None


def local_text_encoder(
    setting: str = SHIPPED, *, threads: int = 1, cache_entries: int = ENTRIES_MAX, dtype: Dtype | None = None
) -> CachedTextEncoder:
    """The text encoder that ``setting`` means, in this process: cached, batched, weights read at the first text.

    ``threads`` is how many batches are computed at once. Raises EncoderUnavailable for a setting that means nothing,
    and where the weights are not there.
    """
    model = text_model(setting, dtype=dtype)
    batcher = DeviceBatcher(threads=threads)
    encoder = BatchingEncoder(model, batcher, parallel=threads if isinstance(model, Reentrant) else 1)
    return CachedTextEncoder(encoder, cache_entries)


def local_encoders(blobs: Blobs, choice: EncoderChoice, *, cache_entries: int = ENTRIES_MAX) -> Encoders:
    """All encoders in this process: one queue per device, weights read when the first content arrives.

    Raises EncoderUnavailable for a choice that means nothing or is not there.
    """
    queues: dict[str, DeviceBatcher] = {}

    def batched(model: Model[Content]) -> BatchingEncoder[Content]:
        device = model.card.device
        if device not in queues:
            queues[device] = DeviceBatcher(threads=choice.threads if device == "cpu" else 1)
        return BatchingEncoder(model, queues[device], parallel=choice.threads if isinstance(model, Reentrant) else 1)

    text = text_model(choice.text, choice.device, choice.dtype, choice.text_prompt)
    senses: dict[Modality, PartEncoder] = {}
    image = image_model(choice.image, choice.device, choice.dtype)
    if image is not None:
        senses[Modality.IMAGE] = LocalPartEncoder(blobs, batched(image), decode_picture)
    audio = audio_model(choice.audio, choice.device, choice.dtype)
    if audio is not None:
        senses[Modality.AUDIO] = LocalPartEncoder(blobs, batched(audio), decode_sound)
    encoders = Encoders(CachedTextEncoder(batched(text), cache_entries), senses, shipped_fusion(), text.card)
    if choice.device not in ("auto", *queues):
        logger.warning(
            "device %s: no encoder chosen here computes there; the shipped ones stay on the CPU", choice.device
        )
    return encoders


async def remote_text_encoder(connection: Client, *, cache_entries: int = ENTRIES_MAX) -> CachedTextEncoder:
    """The perception service's text encoder, cached here. Raises EncoderUnavailable when no service answers."""
    return CachedTextEncoder(await RemoteTextEncoder.discover(connection), cache_entries)


async def remote_encoders(connection: Client, blobs: Blobs) -> Encoders:
    """The perception service's encoders. Raises EncoderUnavailable when no service answers."""
    senses: dict[Modality, PartEncoder] = {}
    for modality in (Modality.IMAGE, Modality.AUDIO):
        encoder = await RemotePartEncoder.discover(connection, modality, blobs)
        if encoder is not None:
            senses[modality] = encoder
    return Encoders(await remote_text_encoder(connection), senses, shipped_fusion())


def perception_service(connection: Client, encoders: Encoders) -> PerceptionService:
    """Answers for these encoders on the bus."""
    return PerceptionService(connection, encoders.text, encoders.senses, encoders.text_card)


def perceiver(
    blobs: Blobs,
    encoders: Encoders | TextEncoder,
    *,
    threads: int = THREADS,
    pixels_max: int = PIXELS_MAX,
) -> PartPerceiver:
    """What `agents` asks to look at a task. ``threads`` bounds how many parts are decoded at once.

    With a text encoder alone, percepts lack what pictures and sounds say.
    """
    inspector = PartInspector(blobs, threads=threads, pixels_max=pixels_max)
    if not isinstance(encoders, Encoders):
        return PartPerceiver(blobs, encoders, inspector)
    return PartPerceiver(blobs, encoders.text, inspector, senses=encoders.senses, fusion=encoders.fusion)
