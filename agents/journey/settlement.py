"""Brings a task to its end: stores the result, tells it, leaves the experience. Called last by `travel`.

The order is what makes a task end exactly once: first the record becomes terminal (compare-and-set, so only one
worker can end it), then the event and the experience are published under ids that the bus and the store know, and
only then is the message acknowledged. A worker that dies in between leaves a terminal record, and the next one tells
it again without doing it again.
"""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nats.errors
import nats.js.errors
import orjson
from nats.js import JetStreamContext

from agents.errors import BusUnavailable, TaskTakenElsewhere
from agents.journey.changes import ms_between, no_longer_waiting, superseded, with_reasons
from agents.journey.records import Held, TaskRecords
from agents.journey.telling import Teller
from agents.journey.told import ending_was_told
from schemas import subjects
from schemas.experience import ExperienceRecord
from schemas.parts import INLINE_LIMIT_BYTES, Part
from schemas.task import (
    TaskEventKind,
    TaskFailure,
    TaskRecord,
    TaskResult,
    TaskState,
    TaskSubmitted,
)
from tensor_layer.ports import Blobs, Perceived

_INSTRUCTION_CHARACTERS = 2_000
_INLINE_PART_BYTES = 16 * 1024
_OPINIONS = frozenset({TaskState.FAILED, TaskState.REJECTED})
"""How it looks to one worker; that a task is done, or that a person cancelled it, is so for all."""

Wrote = Callable[[ExperienceRecord], None]
"""Told of each experience when it is stored, not again when the bus had it already."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a task ended."""

    state: TaskState
    result: TaskResult | None = None
    failure: TaskFailure | None = None


@dataclass(frozen=True, slots=True)
class _Word:
    """A message about an ending, with the id under which the bus takes it once."""

    subject: str
    payload: bytes
    message_id: str
    experience: ExperienceRecord | None = None


class Settlement:
    """Ends tasks, once each."""

    def __init__(
        self,
        js: JetStreamContext,
        records: TaskRecords,
        teller: Teller,
        blobs: Blobs,
        *,
        record_experience: bool = True,
        keep_submissions: bool = True,
        wrote: Wrote = lambda _record: None,
    ) -> None:
        self._js = js
        self._records = records
        self._teller = teller
        self._blobs = blobs
        self._record_experience = record_experience
        self._keep_submissions = keep_submissions
        self._wrote = wrote

    async def settle(self, held: Held, task: TaskSubmitted, perceived: Perceived | None, ending: Ending) -> TaskRecord:
        """Store, then tell, then leave experience. Raises BusUnavailable; then nothing is acknowledged.

        Raises TaskTakenElsewhere for a failure of which a later delivery's worker may know better.
        """
        ending = await self._by_reference(ending)
        kept, mine = _kept(task) if self._keep_submissions else None, held.record
        held = await self._records.change(held, lambda record: _ended(record, mine, ending, kept))
        await self.tell_ending(held.record, task, perceived)
        return held.record

    async def settle_again(self, record: TaskRecord, task: TaskSubmitted, perceived: Perceived | None) -> None:
        """Tell an ending that is stored already, as far as it was not told.

        The event must not be heard twice. The experience goes again in any case, for its store keeps one record
        whatever comes: a worker may have died, or a full stream refused it, after the event was told.
        """
        if await ending_was_told(self._js, record.tenant, record.task_id):
            await self._tell(*self._experience(record, task, perceived))
        else:
            await self.tell_ending(record, task, perceived)

    async def tell_ending(self, record: TaskRecord, task: TaskSubmitted, perceived: Perceived | None) -> None:
        """Publish the last event and the experience, each at most once."""
        # The event first: somebody waits for it, and nobody for the experience, which is much larger.
        await self._tell(self._last_event(record), *self._experience(record, task, perceived))

    def _experience(self, record: TaskRecord, task: TaskSubmitted, perceived: Perceived | None) -> tuple[_Word, ...]:
        if not self._record_experience:
            return ()
        experience = experience_of(record, task, perceived)
        payload = experience.model_dump_json().encode()
        return (_Word(subjects.experience(record.tenant), payload, f"exp-{_round(record)}", experience),)

    def _last_event(self, record: TaskRecord) -> _Word:
        kind = TaskEventKind(record.state.value)
        event = self._teller.written(record.tenant, record.task_id, kind, _summary(record))
        return _Word(subjects.event(record.tenant, record.task_id), event, f"end-{_round(record)}")

    async def _tell(self, *words: _Word) -> None:
        try:
            await asyncio.gather(*map(self._publish, words))
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            subject_names = ", ".join(word.subject for word in words)
            raise BusUnavailable(f"the ending cannot be told on {subject_names}: {error!r}") from error

    async def _publish(self, word: _Word) -> None:
        headers = {subjects.HEADER_MESSAGE_ID: word.message_id}
        stored = await self._js.publish(word.subject, word.payload, headers=headers)
        if word.experience is not None and not stored.duplicate:
            self._wrote(word.experience)

    async def _by_reference(self, ending: Ending) -> Ending:
        """Results too large for a record go to the object store, and the record carries their references."""
        result = ending.result
        if result is None or sum(_inline_size(part) for part in result.outputs) <= INLINE_LIMIT_BYTES:
            return ending
        outputs = tuple([await self._checked_in(part) for part in result.outputs])
        return Ending(ending.state, result.model_copy(update={"outputs": outputs}), ending.failure)

    async def _checked_in(self, part: Part) -> Part:
        content = part.inline_bytes()
        if content is None or _inline_size(part) <= _INLINE_PART_BYTES:
            return part
        ref = await self._blobs.put_bytes(content)
        return part.model_copy(update={"text": None, "data": None, "ref": ref})


def experience_of(record: TaskRecord, task: TaskSubmitted, perceived: Perceived | None) -> ExperienceRecord:
    """What the evolution layer learns from: the decision with its propensity, and what came of it."""
    result = record.result or TaskResult()
    chosen = tuple(node.agent_id for node in record.plan.network.nodes) if record.plan else ()
    vector = perceived.vector if perceived else None
    # The record of a task that was refused before it was planned holds no percept, and its vector needs its encoder.
    percept = record.percept or (perceived.percept if perceived else None)
    return ExperienceRecord(
        record_id=_round(record),
        task_id=record.task_id,
        tenant=record.tenant,
        at=record.updated_at,
        state=record.state,
        success=record.state is TaskState.SUCCEEDED,
        instruction=task.instruction()[:_INSTRUCTION_CHARACTERS],
        modalities=percept.modalities if percept else (),
        vector=base64.b64encode(vector.astype("<f4").tobytes()).decode() if vector is not None else None,
        vector_version=percept.encoder.version if percept and percept.encoder else None,
        candidates=record.candidates,
        chosen=chosen,
        propensity=_propensity(record, chosen),
        policy=record.policy,
        exploratory=record.exploratory,
        network=record.plan.network if record.plan else None,
        planner=record.plan.planner if record.plan else "",
        kind=record.plan.kind if record.plan else None,
        estimate=record.plan.estimate if record.plan else None,
        steps=result.steps,
        times=result.times,
        latency_ms=max(0.0, ms_between(record.submitted_at, record.updated_at) - record.awaited_ms),
        cost=result.cost,
        failure_code=record.failure.code if record.failure else None,
        labels=task.labels,
    )


def _round(record: TaskRecord) -> str:
    """One ending's id. A task that is redriven after its end has another message, and so another ending."""
    return f"{record.task_id[:43]}-{record.stream_seq or 0}"


def _propensity(record: TaskRecord, chosen: tuple[str, ...]) -> float:
    """The probability with which the policy put its first choice first; 1 when it had no choice."""
    return next((c.probability for c in record.candidates if c.agent_id in chosen and c.probability > 0), 1.0)


def _ended(record: TaskRecord, mine: TaskRecord, ending: Ending, submission: TaskSubmitted | None) -> TaskRecord:
    if record.state.terminal:
        return record
    if ending.state in _OPINIONS and superseded(record, mine):
        raise TaskTakenElsewhere(f"its delivery {record.deliveries} goes on at {record.worker_id}")
    record = no_longer_waiting(record)
    failure = with_reasons(ending.failure, record) if ending.failure else None
    changes: dict[str, Any] = {"state": ending.state, "failure": failure, "submission": submission}
    return record.model_copy(update=changes | {"result": ending.result or record.result})


def _kept(task: TaskSubmitted) -> TaskSubmitted | None:
    """What replay needs to do the task again where its experience does not hold all of it; None where it does."""
    words = all(part.text is not None and part.name is None for part in task.parts)
    whole = words and len(task.instruction()) < _INSTRUCTION_CHARACTERS
    return None if whole or sum(_inline_size(part) for part in task.parts) > INLINE_LIMIT_BYTES else task


def _summary(record: TaskRecord) -> dict[str, Any]:
    result = record.result or TaskResult()
    summary: dict[str, Any] = {"cost": result.cost, "times": result.times, "outputs": len(result.outputs)}
    if record.failure is not None:
        summary["failure"] = record.failure
    return summary


def _inline_size(part: Part) -> int:
    """What the part's content takes in a JSON record: a control character is one byte of text and six of JSON."""
    return len(orjson.dumps(part.text)) if part.text is not None else len(part.data or "")
