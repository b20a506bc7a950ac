"""Makes vectors of texts, pictures and sounds for clients, by asking the perception service. Called by the HTTP door.

The service is the role ``perception`` or any worker that encodes for itself: this process loads no model.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client

from gateway.errors import NotFound, Overloaded, SchemaInvalid
from schemas.parts import Modality, Part
from schemas.problem import FieldProblem
from tensor_layer.encoding.remote import RemotePartEncoder, RemoteTextEncoder
from tensor_layer.encoding.versions import space_of_card
from tensor_layer.errors import EncoderUnavailable, UnreadablePart
from tensor_layer.ports import Blobs, Discerned, EncoderCard, Vector
from tensor_layer.senses import unfamiliar
from tensor_layer.spoken import ENCODED_CHARACTERS_MAX

ANY_MODEL = "aos"
REQUESTS_MAX = 32
"""Requests at once; each holds a body of up to 8 MiB and its vectors."""


@dataclass(frozen=True, slots=True)
class EncoderView:
    """One encoder that made some of the vectors."""

    card: EncoderCard

    @property
    def space(self) -> str:
        """Vectors of one space may be compared."""
        return space_of_card(self.card)

    def as_json(self) -> dict[str, Any]:
        """For the reply."""
        card = self.card
        about = {"space": self.space, "dtype": card.dtype, "device": card.device, "licence": card.licence}
        return {"modality": card.modality.value, **card.version.model_dump(), **about}


@dataclass(frozen=True, slots=True)
class Embedded:
    """(dimension,) float32 vectors, unit-norm, in the order of the inputs, and who made them."""

    rows: tuple[Vector, ...]
    encoders: tuple[EncoderView, ...]
    text_tokens: int
    cut: tuple[int, ...]
    """Texts whose end was not read."""
    unfamiliar: tuple[int, ...]
    """Pictures and sounds unlike what their encoder was trained on: their vectors mean little."""


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
        found: dict[int, Discerned] = {}
        for modality, indices in places.items():
            found |= zip(indices, await self._rows(modality, indices, parts), strict=True)
        texts = {index: part.text for index, part in enumerate(parts) if part.text is not None}
        return Embedded(
            rows=tuple(found[index].vector for index in range(len(parts))),
            encoders=tuple(encoders.values()),
            text_tokens=sum(min(len(text), ENCODED_CHARACTERS_MAX) // 4 + 2 for text in texts.values()),
            cut=tuple(index for index, text in texts.items() if len(text) > ENCODED_CHARACTERS_MAX),
            unfamiliar=tuple(index for index in sorted(found) if unfamiliar(found[index].familiarity)),
        )

    async def _view(self, modality: Modality) -> EncoderView:
        if modality is Modality.TEXT:
            if self._text is None:
                self._text = await RemoteTextEncoder.discover(self._nc, timeout_s=self._timeout_s)
            assert self._text.card is not None
            return EncoderView(self._text.card)
        if modality not in self._senses:
            found = await RemotePartEncoder.discover(self._nc, modality, self._blobs, timeout_s=self._timeout_s)
            if found is None:
                raise EncoderUnavailable(f"there is no encoder for {modality}: see perception.{modality} in aos.toml")
            self._senses[modality] = found
        return EncoderView(self._senses[modality].card)

    async def _rows(self, modality: Modality, indices: Sequence[int], parts: Sequence[Part]) -> Sequence[Discerned]:
        if modality is Modality.TEXT:
            assert self._text is not None
            rows = await self._text.encode([parts[index].text or "" for index in indices])
            return [Discerned(row, None) for row in rows]
        return await asyncio.gather(*(self._row(self._senses[modality], index, parts[index]) for index in indices))

    async def _row(self, encoder: RemotePartEncoder, index: int, part: Part) -> Discerned:
        try:
            return (await encoder.discern([part]))[0]
        except UnreadablePart as error:
            expected = "a picture" if encoder.card.modality is Modality.IMAGE else "a sound"
            field = FieldProblem(field=f"input[{index}]", problem=error.problem or str(error), expected=expected)
            raise SchemaInvalid(f"input[{index}]: {field.problem}", code=error.code, fields=(field,)) from error


def _check_model(model: str, encoders: Sequence[EncoderView]) -> None:
    """One request, one space, and the encoder that the client named."""
    if len({encoder.space for encoder in encoders}) > 1:
        told = ", ".join(f"{each.card.modality}: {each.space}" for each in encoders)
        raise SchemaInvalid(
            f"the inputs' encoders live in different spaces ({told}): their vectors cannot be compared",
            next_step="send one request for each modality",
        )
    known = {ANY_MODEL} | {encoder.card.version.name for encoder in encoders} | {encoder.space for encoder in encoders}
    if model not in known:
        raise NotFound(
            f"no encoder here is called {model!r:.100}; for these inputs there is {', '.join(sorted(known))}",
            code="model_not_found",
            next_step=f"send one of these names as model; {ANY_MODEL!r} means whichever is there",
        )
