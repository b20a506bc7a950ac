"""Asks the perception service for vectors, so that a process can match and plan without torch. Wrapped by ``cache``."""

import asyncio
import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from pydantic import ValidationError

from schemas import subjects
from schemas.parts import INLINE_LIMIT_BYTES, Modality, Part, text_part
from schemas.percept import EncoderVersion
from schemas.tensor import EncodeReply, EncodeRequest
from tensor_layer.errors import (
    BlobNotFound,
    DeviceFull,
    EncoderUnavailable,
    NobodyAnswers,
    TensorLayerError,
    UnreadablePart,
    VersionMismatch,
)
from tensor_layer.ports import Blobs, Discerned, EncoderCard, Vector
from tensor_layer.spoken import spoken

REPLY_BYTES_MAX = 600_000
REQUEST_CHARACTERS_MAX = 100_000
"""Both keep a message below the bus's limit of 1 MB, whatever JSON makes of the characters."""
TEXTS_MAX = 256
TIMEOUT_S = 30.0


class RemoteTextEncoder:
    """Implements ``ports.TextEncoder`` over the bus. Safe for concurrent use in one event loop."""

    def __init__(
        self,
        connection: Client,
        version: EncoderVersion,
        *,
        card: EncoderCard | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """``card``: what the service said of its encoder, when it was asked."""
        self.card = card
        self._connection = connection
        self._version = version
        self._timeout_s = timeout_s
        row_bytes = version.dimension * 4 * 4 // 3
        self._texts_max = max(1, min(TEXTS_MAX, REPLY_BYTES_MAX // row_bytes))

    @classmethod
    async def discover(cls, connection: Client, *, timeout_s: float = TIMEOUT_S) -> Self:
        """Ask the service which encoder it runs. Raises EncoderUnavailable when none answers."""
        reply = await _ask(connection, Modality.TEXT, [text_part("ready")], timeout_s)
        if reply.encoder is None:
            raise EncoderUnavailable(f"the perception service does not say which encoder it runs: {reply}")
        return cls(connection, reply.encoder, card=card_of(reply, Modality.TEXT), timeout_s=timeout_s)

    @property
    def version(self) -> EncoderVersion:
        """Which weights make the vectors."""
        return self._version

    async def encode(self, texts: Sequence[str]) -> Vector:
        """(len(texts), dimension) float32, rows unit-norm. Raises EncoderUnavailable."""
        if not texts:
            return np.zeros((0, self._version.dimension), dtype=np.float32)
        requests = [
            _ask(self._connection, Modality.TEXT, [text_part(text) for text in group], self._timeout_s)
            for group in _groups(texts, self._texts_max)
        ]
        replies = await asyncio.gather(*requests)
        vectors: Vector = np.vstack([_rows(reply, self._version) for reply in replies])
        if len(vectors) != len(texts):
            raise EncoderUnavailable(f"the perception service answered {len(vectors)} vectors for {len(texts)} texts")
        return vectors


class RemotePartEncoder:
    """Implements ``ports.PartEncoder`` over the bus, for pictures or sounds. Safe for concurrent use in one event loop.

    Each part is a request of its own, so that the service's batcher gathers them with everybody else's. Content that
    is too large for a message goes into the object store, which the service reads too.
    """

    def __init__(
        self, connection: Client, card: EncoderCard, blobs: Blobs, *, timeout_s: float = TIMEOUT_S, in_flight: int = 16
    ) -> None:
        self._connection = connection
        self._card = card
        self._blobs = blobs
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(in_flight)

    @classmethod
    async def discover(
        cls, connection: Client, modality: Modality, blobs: Blobs, *, timeout_s: float = TIMEOUT_S
    ) -> Self | None:
        """Ask the service which encoder it runs; None when it has none. Raises EncoderUnavailable without an answer."""
        try:
            reply = await _ask(connection, modality, [], timeout_s)
        except NobodyAnswers:
            return None
        card = card_of(reply, modality)
        return None if card is None else cls(connection, card, blobs, timeout_s=timeout_s)

    @property
    def card(self) -> EncoderCard:
        """Which weights make the vectors."""
        return self._card

    async def encode(self, parts: Sequence[Part]) -> Vector:
        """(len(parts), dimension) float32, rows unit-norm. See ``ports.PartEncoder`` for what it raises."""
        if not parts:
            return np.zeros((0, self._card.version.dimension), dtype=np.float32)
        return np.vstack([discerned.vector for discerned in await self.discern(parts)])

    async def discern(self, parts: Sequence[Part]) -> Sequence[Discerned]:
        """Implements ``ports.DiscerningPartEncoder``."""
        return await asyncio.gather(*map(self._row, parts))

    async def _row(self, part: Part) -> Discerned:
        async with self._turns:
            content = part.inline_bytes()
            if content is not None and len(content) > INLINE_LIMIT_BYTES:
                part = part.model_copy(update={"text": None, "data": None, "ref": await self._blobs.put_bytes(content)})
            reply = await _ask(self._connection, self._card.modality, [part], self._timeout_s)
            familiarity = reply.familiarity[0] if reply.familiarity else None
            return Discerned(_rows(reply, self._card.version)[0], familiarity)


def card_of(reply: EncodeReply, modality: Modality) -> EncoderCard | None:
    """What the service says of its encoder."""
    if reply.encoder is None:
        return None
    said = (reply.dtype or "unknown", reply.device or "unknown", reply.licence or "unknown")
    return EncoderCard(reply.encoder, modality, *said, reply.space)


def _rows(reply: EncodeReply, version: EncoderVersion) -> Vector:
    if reply.encoder != version:
        raise VersionMismatch(
            f"the perception service answers with {_named(reply.encoder)}, this process compares vectors of "
            f"{_named(version)}. If the service was changed, restart this process; if two run with different encoders, "
            "set perception.serve = false for one"
        )
    try:
        numbers = np.frombuffer(base64.b64decode(reply.vectors, validate=True), dtype="<f4")
        return numbers.reshape(reply.count, version.dimension).astype(np.float32, copy=False)
    except (binascii.Error, ValueError) as error:
        raise EncoderUnavailable(f"the perception service answered no vectors: {error}") from error


def _named(version: EncoderVersion | None) -> str:
    return f"{version.name} {version.version} ({version.dimension} numbers)" if version else "no encoder"


async def _ask(connection: Client, modality: Modality, parts: Sequence[Part], timeout_s: float) -> EncodeReply:
    request = EncodeRequest(modality=modality, parts=tuple(parts))
    subject = subjects.encode(modality)
    try:
        message = await connection.request(subject, request.model_dump_json().encode(), timeout=timeout_s)
        reply = EncodeReply.from_peer(message.data)
    except NoRespondersError as error:
        raise NobodyAnswers(f"nobody answers on {subject}: start one with `aos serve --role perception`") from error
    except (NatsError, TimeoutError, OSError) as error:
        raise EncoderUnavailable(
            f"the perception service does not answer: {str(error) or type(error).__name__}"
        ) from error
    except ValidationError as error:
        raise EncoderUnavailable(f"the perception service answers something else: {error}") from error
    if reply.error is not None:
        raise _told(reply.error)
    return reply


def _told(error: str) -> TensorLayerError:
    """The service's words as the error they stand for: what is the content's fault is not the service's."""
    code, _, words = error.partition(": ")
    if code == UnreadablePart.code:
        return UnreadablePart(0, words.removeprefix("part 0: "))
    kinds: dict[str, type[TensorLayerError]] = {kind.code: kind for kind in (DeviceFull, BlobNotFound)}
    return kinds[code](words) if code in kinds else EncoderUnavailable(f"the perception service says: {error}")


def _groups(texts: Sequence[str], texts_max: int) -> Iterator[list[str]]:
    """The spoken part of the texts, in order, in groups that fit into one message."""
    group: list[str] = []
    characters = 0
    for text in map(spoken, texts):
        if group and (len(group) == texts_max or characters + len(text) > REQUEST_CHARACTERS_MAX):
            yield group
            group, characters = [], 0
        group.append(text)
        characters += len(text)
    yield group
