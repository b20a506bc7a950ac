"""What a task was asked with, as far as it is still kept: its parts, and what came out.

Called by `shadow` and auditions. Experience keeps the words of a task up to a length. The rest, attachments above all,
lies with the task's record on the bus, for at most seven days; large attachments lie in the object store.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.errors import BusUnavailable
from agents.journey.records import TaskRecords
from evolution.privacy.redaction import REDACTED
from schemas.experience import ExperienceRecord
from schemas.parts import Modality, Part, text_part
from schemas.percept import Percept
from schemas.task import TaskRecord
from tensor_layer.errors import TensorLayerError
from tensor_layer.ports import Blobs

KEPT_CHARACTERS = 2_000
"""Experience keeps so much of a task's words: what is longer is not whole."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The task's parts, or in words why they are not there; ``answers`` are its stored result, where there is one."""

    parts: tuple[Part, ...] = ()
    missing: str = ""
    answers: tuple[Part, ...] = ()


class Asker(Protocol):
    """Knows what tasks were asked with."""

    async def of(self, record: ExperienceRecord) -> Asked:
        """What that task was asked with."""
        ...


class Kept:
    """Asker over the bucket of task records and the object store; without records only words are known."""

    def __init__(self, records: TaskRecords | None, blobs: Blobs) -> None:
        self._records = records
        self._blobs = blobs

    async def of(self, record: ExperienceRecord) -> Asked:
        """From the task's own record where that is still there, else from what experience kept of its words."""
        stored = await self._stored(record)
        answers = stored.result.outputs if stored is not None and stored.result is not None else ()
        if stored is not None and stored.submission is not None:
            parts = perceived(stored.submission.parts, stored.percept)
            return Asked(parts, await self._gone(parts), answers)
        if any(modality is not Modality.TEXT for modality in record.modalities):
            return Asked(missing="the task had attachments, which are kept on the bus for seven days at most")
        words = record.instruction
        if not words.strip() or len(words) >= KEPT_CHARACTERS or REDACTED in words:
            return Asked(missing="the task's words were not kept whole")
        return Asked((text_part(words),), "", answers)

    async def _stored(self, record: ExperienceRecord) -> TaskRecord | None:
        if self._records is None:
            return None
        try:
            held = await self._records.load(record.tenant, record.task_id)
        except BusUnavailable:
            return None
        return held.record if held is not None else None

    async def _gone(self, parts: Sequence[Part]) -> str:
        try:
            there = [part.ref is None or await self._blobs.exists(part.ref) for part in parts]
        except TensorLayerError as error:
            return f"its attachments cannot be read: {error}"
        return "" if all(there) else "its attachments are not in the object store any more"


def perceived(parts: Sequence[Part], percept: Percept | None) -> tuple[Part, ...]:
    """The parts with the modality and media type that perception found in them, as workers hand them to agents."""
    seen = {part.index: part for part in percept.parts} if percept is not None else {}
    return tuple(
        part.model_copy(update={"modality": seen[index].modality, "media_type": seen[index].media_type})
        if index in seen
        else part
        for index, part in enumerate(parts)
    )


def same_content(one: Sequence[Part], other: Sequence[Part]) -> bool:
    """Whether two answers say the same, part by part."""
    return [_digest(part) for part in one] == [_digest(part) for part in other]


def _digest(part: Part) -> str:
    content = part.inline_bytes()
    if content is None:
        return part.ref.digest if part.ref is not None else ""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
