"""Takes what the bus brought, keeps what can be kept and says of each message what became of it. Called by the bus.

The step before it: `agents` and the doors publish records and feedback. The step after it: mining and learning read
the store.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from pydantic import ValidationError

from evolution.errors import ExperienceRefused
from evolution.ports import ExperienceStore
from evolution.validity import MAX_AHEAD_S, check_clock, check_feedback, check_record
from schemas.base import is_token, now
from schemas.experience import ExperienceRecord, Feedback
from schemas.subjects import tenant_of

Kept = TypeVar("Kept", ExperienceRecord, Feedback)


class Fate(StrEnum):
    """What became of one message."""

    KEPT = "kept"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as the bus brought it."""

    subject: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an arrival; ``reason`` says why it was refused, ``task_id`` whose it was if that could be read."""

    fate: Fate
    reason: str = ""
    task_id: str = ""


KEPT = Verdict(Fate.KEPT)


class Recorder:
    """Keeps records and feedback in a store. Safe to call again with the same arrivals: what was kept stays once."""

    def __init__(
        self, store: ExperienceStore, *, max_ahead_s: float = MAX_AHEAD_S, clock: Callable[[], datetime] = now
    ) -> None:
        self._store = store
        self._max_ahead_s = max_ahead_s
        self._clock = clock

    async def record(self, arrivals: Sequence[Arrival]) -> tuple[Verdict, ...]:
        """A verdict for each arrival, once everything kept is durable. Raises ExperienceStoreUnavailable."""
        # Reading 500 records takes some 20 ms of CPU: not on the event loop.
        read = await asyncio.to_thread(self._read_all, arrivals)
        refused = await self._keep(self._store.record, [item for item in read if isinstance(item, ExperienceRecord)])
        refused |= await self._keep(self._store.add_feedback, [item for item in read if isinstance(item, Feedback)])
        return tuple(item if isinstance(item, Verdict) else refused.get(id(item), KEPT) for item in read)

    def _read_all(self, arrivals: Sequence[Arrival]) -> list[ExperienceRecord | Feedback | Verdict]:
        moment = self._clock()
        return [read(arrival, moment, self._max_ahead_s) for arrival in arrivals]

    async def _keep(self, store: Callable[[Sequence[Kept]], Awaitable[int]], items: list[Kept]) -> dict[int, Verdict]:
        """The verdicts of those that the store refused, by identity."""
        if not items:
            return {}
        try:
            await store(items)
        except ExperienceRefused as refusal:
            if len(items) == 1:
                return {id(items[0]): _refused(items[0], refusal)}
            # The store takes all or none: those that no store would take are told by looking, others by trying.
            refused = {id(item): _refused(item, why) for item in items if (why := _never_kept(item))}
            rest = [item for item in items if id(item) not in refused]
            for lot in [rest] if refused else [[item] for item in rest]:
                refused |= await self._keep(store, lot)
            return refused
        return {}


def read(arrival: Arrival, moment: datetime, max_ahead_s: float) -> ExperienceRecord | Feedback | Verdict:
    """The record or feedback in a message, or the verdict that refuses it."""
    model = Feedback if arrival.subject.endswith(".feedback") else ExperienceRecord
    try:
        item = model.from_peer(arrival.payload)
    except ValidationError as error:
        return Verdict(
            Fate.REFUSED, f"not a valid {model.__name__}: {_first_problems(error)}", _task_in(arrival.payload)
        )
    try:
        check(item, tenant_of(arrival.subject), moment, max_ahead_s)
    except ExperienceRefused as refusal:
        return _refused(item, refusal)
    return item


def check(item: ExperienceRecord | Feedback, tenant: str, moment: datetime, max_ahead_s: float) -> None:
    """Raises ExperienceRefused for what is another tenant's, or of an impossible time. The store looks at the rest."""
    if item.tenant != tenant:
        raise ExperienceRefused(f"it says tenant {item.tenant!r} but came over the subject of tenant {tenant!r}")
    check_clock(item.at, moment, max_ahead_s)


def _never_kept(item: ExperienceRecord | Feedback) -> ExperienceRefused | None:
    """Why no store would take it. Every store looks as it writes, so that this is asked of refused lots only."""
    try:
        check_feedback(item) if isinstance(item, Feedback) else check_record(item)
    except ExperienceRefused as refusal:
        return refusal
    return None


def _refused(item: ExperienceRecord | Feedback, refusal: ExperienceRefused) -> Verdict:
    return Verdict(Fate.REFUSED, str(refusal), item.task_id)


def _task_in(payload: bytes) -> str:
    """Whose a refused message was, as far as that can be read; empty when it cannot."""
    try:
        task_id = json.loads(payload)["task_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return task_id if isinstance(task_id, str) and is_token(task_id) else ""


def _first_problems(error: ValidationError, limit: int = 5) -> str:
    problems = error.errors(include_url=False, include_context=False)
    words = [_problem(".".join(map(str, one["loc"])), one["msg"], one["input"]) for one in problems[:limit]]
    more = len(problems) - limit
    return "; ".join(words) + (f"; and {more} more" if more > 0 else "")


def _problem(where: str, what: str, given: object) -> str:
    """Numbers are said as they came; words are not, for they may be a person's."""
    number = isinstance(given, int | float) and not isinstance(given, bool)
    return f"{where or 'body'}: {what}" + (f", not {given}" if number else "")
