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
from schemas.parts import Modality, text_part
from schemas.percept import EncoderVersion
from schemas.tensor import EncodeReply, EncodeRequest
from tensor_layer.encoding.spoken import spoken
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import Vector

SUBJECT = subjects.encode(Modality.TEXT)
REPLY_BYTES_MAX = 600_000
REQUEST_CHARACTERS_MAX = 100_000
"""Both keep a message below the bus's limit of 1 MB, whatever JSON makes of the characters."""
TEXTS_MAX = 256
TIMEOUT_S = 30.0


class RemoteTextEncoder:
    """Implements ``ports.TextEncoder`` over the bus. Safe for concurrent use in one event loop."""

    def __init__(self, connection: Client, version: EncoderVersion, *, timeout_s: float = TIMEOUT_S) -> None:
        self._connection = connection
        self._version = version
        self._timeout_s = timeout_s
        row_bytes = version.dimension * 4 * 4 // 3
        self._texts_max = max(1, min(TEXTS_MAX, REPLY_BYTES_MAX // row_bytes))

    @classmethod
    async def discover(cls, connection: Client, *, timeout_s: float = TIMEOUT_S) -> Self:
        """Ask the service which encoder it runs. Raises EncoderUnavailable when none answers."""
        reply = await _ask(connection, ["ready"], timeout_s)
        if reply.encoder is None:
            raise EncoderUnavailable(f"the perception service does not say which encoder it runs: {reply}")
        return cls(connection, reply.encoder, timeout_s=timeout_s)

    @property
    def version(self) -> EncoderVersion:
        """Which weights make the vectors."""
        return self._version

    async def encode(self, texts: Sequence[str]) -> Vector:
        """(len(texts), dimension) float32, rows unit-norm. Raises EncoderUnavailable."""
        if not texts:
            return np.zeros((0, self._version.dimension), dtype=np.float32)
        requests = [_ask(self._connection, group, self._timeout_s) for group in _groups(texts, self._texts_max)]
        replies = await asyncio.gather(*requests)
        vectors: Vector = np.vstack([self._rows(reply) for reply in replies])
        if len(vectors) != len(texts):
            raise EncoderUnavailable(f"the perception service answered {len(vectors)} vectors for {len(texts)} texts")
        return vectors

    def _rows(self, reply: EncodeReply) -> Vector:
        if reply.encoder != self._version:
            raise EncoderUnavailable(
                f"the perception service now runs {reply.encoder}, this process compares vectors of {self._version}: "
                "restart it, so that it indexes with the new encoder"
            )
        try:
            numbers = np.frombuffer(base64.b64decode(reply.vectors, validate=True), dtype="<f4")
            return numbers.reshape(reply.count, self._version.dimension).astype(np.float32, copy=False)
        except (binascii.Error, ValueError) as error:
            raise EncoderUnavailable(f"the perception service answered no vectors: {error}") from error


async def _ask(connection: Client, texts: Sequence[str], timeout_s: float) -> EncodeReply:
    request = EncodeRequest(modality=Modality.TEXT, parts=tuple(map(text_part, texts)))
    try:
        message = await connection.request(SUBJECT, request.model_dump_json().encode(), timeout=timeout_s)
        reply = EncodeReply.model_validate_json(message.data)
    except NoRespondersError as error:
        raise EncoderUnavailable(
            f"nobody answers on {SUBJECT}: start one with `aos serve --role perception`"
        ) from error
    except (NatsError, TimeoutError, OSError) as error:
        raise EncoderUnavailable(f"the perception service does not answer: {error or type(error).__name__}") from error
    except ValidationError as error:
        raise EncoderUnavailable(f"the perception service answers something else: {error}") from error
    if reply.error is not None:
        raise EncoderUnavailable(f"the perception service says: {reply.error}")
    return reply


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
