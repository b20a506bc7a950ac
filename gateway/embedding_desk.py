"""Makes vectors of texts, pictures and sounds for clients, by asking the perception service. Called by the HTTP door.

The service is the role ``perception`` or any worker that encodes for itself: this process loads no model.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nats.aio.client import Client

from gateway.errors import NotFound, Overloaded, SchemaInvalid
from schemas.parts import Modality, Part
from schemas.percept import EncoderVersion
from schemas.problem import FieldProblem
from tensor_layer.encoding.remote import RemotePartEncoder, RemoteTextEncoder
from tensor_layer.encoding.spoken import ENCODED_CHARACTERS_MAX
from tensor_layer.encoding.versions import space_of, space_of_card
from tensor_layer.errors import EncoderUnavailable, UnreadablePart
from tensor_layer.ports import Blobs, Vector

ANY_MODEL = "aos"
REQUESTS_MAX = 32
"""Requests at once; each holds a body of up to 8 MiB and its vectors."""


@dataclass(frozen=True, slots=True)
class EncoderView:
    """One encoder that made some of the vectors."""

    modality: Modality
    version: EncoderVersion
    space: str

    def as_json(self) -> dict[str, Any]:
        """For the reply: vectors of one space may be compared."""
        return {"modality": self.modality.value, **self.version.model_dump(), "space": self.space}


@dataclass(frozen=True, slots=True)
class Embedded:
    """(dimension,) float32 vectors, unit-norm, in the order of the inputs, and who made them."""

    rows: tuple[Vector, ...]
    encoders: tuple[EncoderView, ...]
    text_tokens: int
    cut: tuple[int, ...]
    """Texts whose end was not read."""


class EmbeddingDesk:
    """Relays contents. Safe for concurrent use in one event loop."""

    def __init__(self, nc: Client, blobs: Blobs, *, timeout_s: float = 30.0, requests: int = REQUESTS_MAX) -> None:
        self._nc = nc
        self._blobs = blobs
        self._timeout_s = timeout_s
        self._requests = requests
        self._under_way = 0
        self._text: RemoteTextEncoder | None = None
        self._senses: dict[Modality, RemotePartEncoder] = {}

    async def embed(self, model: str, parts: Sequence[Part]) -> Embedded:
        """Encode parts of any modalities.

        Raises Overloaded, NotFound for a model that nobody runs, SchemaInvalid for content that does not decode,
        EncoderUnavailable, DeviceFull, BlobStoreUnavailable.
        """
        if self._under_way >= self._requests:
            raise Overloaded(f"{self._under_way} requests for vectors are under way already")
        self._under_way += 1
        try:
            try:
                return await self._embed(model, parts)
            except EncoderUnavailable:
                # The service may have been restarted with other encoders: who it is now is asked once more.
                self._text, self._senses = None, {}
                return await self._embed(model, parts)
        finally:
            self._under_way -= 1

    async def _embed(self, model: str, parts: Sequence[Part]) -> Embedded:
        modalities = dict.fromkeys(part.modality or Modality.TEXT for part in parts)
        encoders = {modality: await self._view(modality) for modality in modalities}
        _check_model(model, list(encoders.values()))
        places: dict[Modality, list[int]] = {modality: [] for modality in modalities}
        for index, part in enumerate(parts):
            places[part.modality or Modality.TEXT].append(index)
        rows: list[Vector] = [np.zeros(0, np.float32)] * len(parts)
        for modality, indices in places.items():
            for index, row in zip(indices, await self._rows(modality, indices, parts), strict=True):
                rows[index] = row
        texts = {index: part.text for index, part in enumerate(parts) if part.text is not None}
        return Embedded(
            rows=tuple(rows),
            encoders=tuple(encoders.values()),
            text_tokens=sum(min(len(text), ENCODED_CHARACTERS_MAX) // 4 + 2 for text in texts.values()),
            cut=tuple(index for index, text in texts.items() if len(text) > ENCODED_CHARACTERS_MAX),
        )

    async def _view(self, modality: Modality) -> EncoderView:
        if modality is Modality.TEXT:
            if self._text is None:
                self._text = await RemoteTextEncoder.discover(self._nc, timeout_s=self._timeout_s)
            return EncoderView(modality, self._text.version, space_of(self._text.version))
        if modality not in self._senses:
            found = await RemotePartEncoder.discover(self._nc, modality, self._blobs, timeout_s=self._timeout_s)
            if found is None:
                raise EncoderUnavailable(f"there is no encoder for {modality}: see perception.{modality} in aos.toml")
            self._senses[modality] = found
        card = self._senses[modality].card
        return EncoderView(modality, card.version, space_of_card(card))

    async def _rows(self, modality: Modality, indices: Sequence[int], parts: Sequence[Part]) -> Sequence[Vector]:
        if modality is Modality.TEXT:
            assert self._text is not None
            return list(await self._text.encode([parts[index].text or "" for index in indices]))
        return await asyncio.gather(*(self._row(self._senses[modality], index, parts[index]) for index in indices))

    async def _row(self, encoder: RemotePartEncoder, index: int, part: Part) -> Vector:
        try:
            row: Vector = (await encoder.encode([part]))[0]
        except UnreadablePart as error:
            field = FieldProblem(
                field=f"input[{index}]", problem=error.problem or str(error), expected=f"an {encoder.card.modality}"
            )
            raise SchemaInvalid(f"input[{index}]: {field.problem}", code=error.code, fields=(field,)) from error
        return row


def _check_model(model: str, encoders: Sequence[EncoderView]) -> None:
    """One request, one space, and the encoder that the client named."""
    if len({encoder.space for encoder in encoders}) > 1:
        told = ", ".join(f"{each.modality}: {each.space}" for each in encoders)
        raise SchemaInvalid(
            f"the inputs' encoders live in different spaces ({told}): their vectors cannot be compared",
            next_step="send one request for each modality",
        )
    known = {ANY_MODEL} | {encoder.version.name for encoder in encoders} | {encoder.space for encoder in encoders}
    if model not in known:
        raise NotFound(
            f"no encoder here is called {model!r:.100}; for these inputs there is {', '.join(sorted(known))}",
            code="model_not_found",
            next_step=f"send one of these names as model; {ANY_MODEL!r} means whichever is there",
        )
