"""One task, step by step: its events from the bus and its experience from the store. Called by `aos replay`.

Events are kept for a week, experience for longer; each tells what the other lacks. Without events the timeline is made
from the times that the record keeps.
"""

from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nats.aio.client import Client
from pydantic import ValidationError

from agents.errors import BusUnavailable
from evolution.ports import ExperienceQuery, ExperienceStore
from gateway.bus.stream_reader import StreamReader
from gateway.errors import TaskNotFound
from schemas import subjects
from schemas.base import is_token
from schemas.experience import ExperienceRecord, Feedback
from schemas.task import TaskEvent, TaskEventKind

SLACK = timedelta(minutes=1)
FIRST_IDS = datetime(2020, 1, 1, tzinfo=UTC)
_ID_DIGITS = 32
_NO_RECORD = {
    False: "no experience yet: the task goes on",
    True: "no experience: its record is on its way to the store, or was forgotten, or is past its time",
}
"""By whether the last event ended the task."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a timeline: ``offset_ms`` after the task was submitted, and how long it took where that is known."""

    offset_ms: float
    what: str
    who: str = ""
    took_ms: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of a task. ``missing`` says in words what could not be read."""

    task_id: str
    record: ExperienceRecord | None
    events: tuple[TaskEvent, ...]
    feedback: tuple[Feedback, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def timeline(self) -> tuple[Moment, ...]:
        """What happened, in order: as it was told, else as the record remembers it."""
        if self.events:
            return tuple(_told(self.events, self._submitted()))
        return tuple(_remembered(self.record)) if self.record else ()

    @property
    def why(self) -> str:
        """Why the task ended as it did, as its last event or its last failed step says; empty for a success."""
        if self.record is not None and self.record.success:
            return ""
        failure = self.events[-1].data.get("failure") if self.events else None
        if isinstance(failure, dict) and failure.get("message"):
            return str(failure["message"])
        failed = [step.error for step in self.record.steps if step.error and not step.ok] if self.record else []
        return failed[-1] if failed else ""

    def _submitted(self) -> datetime:
        if self.record is None:
            return self.events[0].at
        return min(self.events[0].at, self.record.at - timedelta(milliseconds=self.record.latency_ms))


class Stories:
    """Reads stories. ``nc`` None: no bus is in reach, and the store alone tells."""

    def __init__(self, store: ExperienceStore, nc: Client | None) -> None:
        self._store = store
        self._events = StreamReader(nc, subjects.STREAM_EVENTS) if nc is not None else None

    async def of(self, tenant: str, task_id: str) -> Story:
        """The task's story. Raises TaskNotFound, ExperienceStoreUnavailable."""
        if not is_token(task_id):
            raise TaskNotFound(f"{task_id!r} is no task id")
        events, missing = await self._told(tenant, task_id)
        record = await self._record(tenant, task_id, events)
        if record is None and not events:
            raise TaskNotFound(f"nothing is known of task {task_id} of tenant {tenant}")
        feedback = (await self._store.feedback_by_task(tenant, [task_id]))[task_id]
        if record is None:
            missing = (*missing, _NO_RECORD[events[-1].kind.terminal])
        return Story(task_id, record, events, tuple(feedback), missing)

    async def _told(self, tenant: str, task_id: str) -> tuple[tuple[TaskEvent, ...], tuple[str, ...]]:
        if self._events is None:
            return (), ("no bus in reach: times are those of the record",)
        found = []
        try:
            async with aclosing(self._events.since(1, subjects.event(tenant, task_id))) as stored:
                async for message in stored:
                    try:
                        found.append(TaskEvent.from_peer(message.data))
                    except ValidationError:
                        continue  # anyone may publish there; the rest of the story is still worth telling
        except BusUnavailable as error:
            return (), (f"the events cannot be read: {error}",)
        missing = () if found else ("its events are gone after 7 days: times are those of the record",)
        return tuple(found), missing

    async def _record(self, tenant: str, task_id: str, events: tuple[TaskEvent, ...]) -> ExperienceRecord | None:
        """The newest record of the task; the time in which it can lie spares the store the rest of its cold tier."""
        since = events[0].at - SLACK if events else born(task_id)
        until = events[-1].at + SLACK if events and events[-1].kind.terminal else None
        query = ExperienceQuery(tenant=tenant, since=since, until=until, task_id=task_id, limit=1)
        return next(iter(await self._store.find(query)), None)


def born(task_id: str) -> datetime | None:
    """When an id of ours was made (UUIDv7 layout, see schemas.base.new_id); None for an id of another kind."""
    try:
        milliseconds = int(task_id, 16) >> 80
    except ValueError:
        return None
    if len(task_id) != _ID_DIGITS or task_id[12] != "7":
        return None
    try:
        moment = datetime.fromtimestamp(milliseconds / 1e3, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment - SLACK if moment > FIRST_IDS else None


def _told(events: tuple[TaskEvent, ...], start: datetime) -> Iterator[Moment]:
    for event in events:
        data = event.data
        took = data.get("latency_ms")
        yield Moment(
            offset_ms=(event.at - start).total_seconds() * 1e3,
            what=event.kind.value.replace("_", " "),
            who=str(data.get("agent_id") or event.worker_id or ""),
            took_ms=float(took) if isinstance(took, int | float) else None,
            detail=_detail(event),
        )


def _detail(event: TaskEvent) -> str:
    data = event.data
    if event.kind is TaskEventKind.MATCHED:
        best = [c for c in data.get("candidates", ()) if isinstance(c, dict)][:3]
        return ", ".join(f"{c.get('agent_id')} {c.get('score', 0):.2f}" for c in best)
    if event.kind is TaskEventKind.PLANNED:
        network = (data.get("plan") or {}).get("network") or {}
        return " → ".join(str(node.get("agent_id")) for node in network.get("nodes", ()))
    failure = data.get("failure")
    reason = failure.get("message") if isinstance(failure, dict) else data.get("error")
    if reason:
        return str(reason)
    if event.kind is TaskEventKind.RESUMED:
        return "; ".join(_remark(one) for one in data.get("remarks", ()) if isinstance(one, dict))
    node = data.get("node")
    attempt = data.get("attempt", 1)
    return f"{node}, attempt {attempt}" if node and attempt != 1 else str(node or "")


def _remark(said: dict[str, object]) -> str:
    """What a person said to the task, in words: approve by anna: looks right."""
    by = f" by {said['actor']}" if said.get("actor") else ""
    reason = f": {said['reason']}" if said.get("reason") else ""
    return f"{said.get('action', 'word')}{by}{reason}"


def _remembered(record: ExperienceRecord) -> Iterator[Moment]:
    """Stages one after another; steps in their groups of execution, those of one group beside each other."""
    times, offset = record.times, 0.0
    for name, took in (
        ("queued", times.queued_ms),
        ("perceived", times.perceive_ms),
        ("matched", times.match_ms),
        ("planned", times.plan_ms),
    ):
        yield Moment(offset, name, took_ms=took)
        offset += took
    steps = {step.node: step for step in record.steps}
    groups = record.network.groups() if record.network else tuple((node,) for node in steps)
    for group in groups:
        done = [steps[node] for node in group if node in steps]
        for step in done:
            yield Moment(offset, "step", step.agent_id, step.latency_ms, step.error or step.node)
        offset += max((step.latency_ms for step in done), default=0.0)
    yield Moment(record.latency_ms, record.state.value, detail=record.failure_code or "")
