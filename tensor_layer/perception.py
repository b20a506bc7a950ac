"""Perceives a task: looks at its parts, encodes them, fuses the vectors into one task vector. Called by `agents`.

What is encoded: the instruction, that is all unnamed text inside the message; a line that says what is attached; the
beginning of attachments that are made of words; pictures and sounds, as far as there are encoders whose vectors live in
the text encoder's space. Of words alone the task vector is the weighted mean, the instruction first; once a picture or
a sound takes part, ``fusion`` says how much each counts.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from schemas.parts import Modality, Part
from schemas.percept import EncoderVersion, PartPercept, Percept
from tensor_layer import senses
from tensor_layer.fusion.mean import MeanFusion
from tensor_layer.inspection.inspector import Look, PartInspector, filled
from tensor_layer.memory import Lru, key_of
from tensor_layer.ports import Blobs, Fusion, ModalityToken, PartEncoder, Perceived, TextEncoder, Vector
from tensor_layer.senses import Sense
from tensor_layer.spoken import ENCODED_CHARACTERS_MAX
from tensor_layer.words import (
    ATTACHED_CHARACTERS_MAX,
    ATTACHMENT_TEXT_WEIGHT,
    INSTRUCTION,
    INSTRUCTION_WEIGHT,
    is_instruction,
    source_of,
    words_of,
)

TASKS_KEPT_MAX = 4096
PARTS_KEPT_MAX = 4096


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is remembered of a task: never its parts, which may hold a quarter of a megabyte each."""

    percept: Percept
    vector: Vector | None


class PartPerceiver:
    """Implements ``ports.Perceiver``. Safe for concurrent use in one event loop; both of its memories are bounded."""

    def __init__(
        self,
        blobs: Blobs,
        encoder: TextEncoder,
        inspector: PartInspector,
        *,
        senses: Mapping[Modality, PartEncoder] | None = None,
        fusion: Fusion | None = None,
        tasks_kept: int = TASKS_KEPT_MAX,
        parts_kept: int = PARTS_KEPT_MAX,
    ) -> None:
        """``senses``: the encoders of pictures and sounds; ``fusion``: how their vectors and the words' become one."""
        self._blobs = blobs
        self._encoder = encoder
        self._inspector = inspector
        self._senses = dict(senses or {})
        self._mean = MeanFusion()
        self._fusion = fusion or self._mean
        self._tasks: Lru[_Kept] = Lru(tasks_kept)
        self._parts: Lru[Look] = Lru(parts_kept)

    @property
    def text_version(self) -> EncoderVersion:
        """Which encoder makes the vectors of ``encode_texts``."""
        return self._encoder.version

    async def encode_texts(self, texts: Sequence[str]) -> Vector:
        """(len(texts), dimension) float32, rows unit-norm. Raises EncoderUnavailable."""
        return await self._encoder.encode(texts)

    async def perceive(self, parts: Sequence[Part]) -> Perceived:
        """Type, measure and encode all parts.

        Raises UnreadablePart, BlobNotFound, BlobStoreUnavailable, EncoderUnavailable.
        """
        keys = [key_of(part) for part in parts]
        task_key = b"".join(keys)
        kept = self._tasks.get(task_key)
        if kept is None or not await self._still_there(parts):
            looks = await asyncio.gather(*map(self._look, range(len(parts)), parts, keys))
            sensed = await self._sense(parts, looks)
            kept = await self._fuse(parts, looks, sensed)
            if not any(sense.problem for sense in sensed.values()):
                self._tasks.put(task_key, replace(kept, percept=kept.percept.model_copy(update={"cached": True})))
        seen = zip(parts, kept.percept.parts, strict=True)
        return Perceived(kept.percept, kept.vector, tuple(filled(part, percept) for part, percept in seen))

    async def _still_there(self, parts: Sequence[Part]) -> bool:
        """A remembered reference may have lost its bytes since: then looking again says so."""
        for part in parts:
            if part.ref is not None and not await self._blobs.exists(part.ref):
                return False
        return True

    async def _look(self, index: int, part: Part, key: bytes) -> Look:
        kept = self._parts.get(key)
        if kept is None or not await self._still_there([part]):
            kept = await self._inspector.inspect(index, part)
            self._parts.put(key, kept)
        if kept.percept.index == index:
            return kept
        return replace(kept, percept=kept.percept.model_copy(update={"index": index}))

    async def _sense(self, parts: Sequence[Part], looks: Sequence[Look]) -> dict[int, Sense]:
        """What there is to see and to hear, by part."""
        wanted = [index for index, look in enumerate(looks) if look.percept.modality in self._senses]
        asked = (
            senses.sensed(self._senses[looks[index].percept.modality], parts[index], self._encoder.version)
            for index in wanted
        )
        return dict(zip(wanted, await asyncio.gather(*asked), strict=True))

    async def _fuse(self, parts: Sequence[Part], looks: Sequence[Look], sensed: Mapping[int, Sense]) -> _Kept:
        words = words_of(parts, looks)
        rows = await self._encoder.encode([each.text for each in words]) if words else ()
        tokens = [ModalityToken(Modality.TEXT, row, each.weight) for row, each in zip(rows, words, strict=True)]
        sources = [each.source for each in words]
        seen = {index: sense.counting for index, sense in sensed.items() if sense.counting is not None}
        weight = (ATTACHMENT_TEXT_WEIGHT if INSTRUCTION in sources else INSTRUCTION_WEIGHT) / max(1, len(seen))
        for index, vector in seen.items():
            tokens.append(ModalityToken(looks[index].percept.modality, vector, weight))
            sources.append(source_of(index, looks[index].percept.modality))
        version = self._encoder.version if tokens else None
        percept = Percept(
            parts=tuple(
                _with_encoder(part, look, version, sensed.get(index))
                for index, (part, look) in enumerate(zip(parts, looks, strict=True))
            ),
            modalities=tuple(dict.fromkeys(look.percept.modality for look in looks)),
            encoder=version,
        )
        if not tokens:
            return _Kept(percept, None)
        # Words alone keep the mean: matching was measured with it.
        fusion = self._fusion if seen else self._mean
        fused = fusion.fuse(tokens)
        weights = {source: round(share, 4) for source, share in zip(sources, fused.weights, strict=True)}
        return _Kept(percept.model_copy(update={"fusion": fusion.version, "weights": weights}), fused.vector)


def _with_encoder(part: Part, look: Look, version: EncoderVersion | None, sense: Sense | None) -> PartPercept:
    """The percept with the encoder of its vector, and with what it lacks."""
    if sense is not None:
        return senses.told(look.percept, sense)
    if version is None or not look.excerpt or not look.excerpt.strip():
        return look.percept
    update: dict[str, Any] = {"encoded_by": version}
    limit = ENCODED_CHARACTERS_MAX if is_instruction(part) else ATTACHED_CHARACTERS_MAX
    facts = look.percept.facts
    if max(len(look.excerpt), facts.get("characters", 0)) > limit:
        update["facts"] = facts | {"encoded_characters_max": limit}
    return look.percept.model_copy(update=update)
