"""One task, from the work queue to its end: perceive -> match -> plan -> run -> settle. Called by `dispatch`."""

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial

from agents.errors import (
    AgentsError,
    BusUnavailable,
    DeadlineExceeded,
    IndexUnavailable,
    ServiceAway,
    StepFailed,
    TaskCancelled,
)
from agents.journey.changes import cancelled, decided, failure_of, ms_between, owned, planned_record, taken, waiting
from agents.journey.claim import Claim, claim
from agents.journey.controls import Controls
from agents.journey.notebook import Journey
from agents.journey.records import TaskRecords
from agents.journey.settlement import Ending, Settlement
from agents.journey.telling import Teller
from agents.ports.planning import Planner
from agents.ports.registry import Fleet
from agents.ports.running import Runner, RunOutcome, RunRequest
from schemas.base import now
from schemas.card import AgentCard
from schemas.network import Plan
from schemas.task import (
    ApprovalState,
    TaskEventKind,
    TaskFailure,
    TaskRecord,
    TaskResult,
    TaskState,
    TaskSubmitted,
)
from tensor_layer.errors import BlobNotFound, BlobStoreUnavailable, NobodyAnswers, TensorLayerError, UnreadablePart
from tensor_layer.ports import Perceiver

logger = logging.getLogger(__name__)

_CANDIDATES_TOLD = 8
_AWAY = (BlobStoreUnavailable, IndexUnavailable, NobodyAnswers)


class Traveller:
    """Brings tasks to their end. Safe for many tasks at once; raises only what asks for a redelivery."""

    def __init__(
        self,
        *,
        perceiver: Perceiver,
        planner: Planner,
        runner: Runner,
        fleet: Fleet,
        records: TaskRecords,
        settlement: Settlement,
        teller: Teller,
        controls: Controls,
        worker_id: str,
    ) -> None:
        self._perceiver = perceiver
        self._planner = planner
        self._runner = runner
        self._fleet = fleet
        self._records = records
        self._settlement = settlement
        self._teller = teller
        self._controls = controls
        self._worker_id = worker_id

    async def meaning(self, task: TaskSubmitted, stream_seq: int) -> Claim:
        """What a message of the task means, as its record stands now."""
        held = await self._records.load(task.tenant, task.task_id)
        return claim(held.record if held else None, stream_seq)

    async def travel(self, task: TaskSubmitted, stream_seq: int, deliveries: int) -> None:
        """Do what the message asks for. Returning means that the message may be acknowledged.

        Raises what calls for another try, and TaskTakenElsewhere: whoever has the task needs its message, should they
        die.
        """
        held = await self._records.load(task.tenant, task.task_id)
        decision = claim(held.record if held else None, stream_seq)
        if decision is Claim.DROP:
            return
        if held is not None and decision is Claim.SETTLE_AGAIN:
            await self._settle_again(held.record, task)
            return
        journey = Journey(task, taken(held, task, self._worker_id, stream_seq, deliveries))
        if decision is Claim.CANCEL:
            await self._end(journey, cancelled())
            return
        await self._until_deadline(journey)

    async def give_up(self, task: TaskSubmitted, stream_seq: int, deliveries: int, reason: str) -> None:
        """End a task that was tried too often, as failed. Its message is in the dead-letter stream already."""
        held = await self._records.load(task.tenant, task.task_id)
        if claim(held.record if held else None, stream_seq) in (Claim.DROP, Claim.SETTLE_AGAIN):
            return
        journey = Journey(task, taken(held, task, self._worker_id, stream_seq, deliveries))
        await self._end(journey, TaskFailure(code="too_many_deliveries", message=reason))

    async def _until_deadline(self, journey: Journey) -> None:
        """Whatever goes wrong with the task itself is an ending; whatever goes wrong around it is raised."""
        task = journey.task
        try:
            async with asyncio.timeout(task.deadline_s) as clock:
                await self._go(journey)
        except TimeoutError as error:
            if not clock.expired():
                raise BusUnavailable(f"the bus did not answer in time: {error!r}") from error
            problem = f"the task did not end within its deadline of {task.deadline_s:g} s"
            journey.out_of_time()
            await self._end(journey, failure_of(DeadlineExceeded(problem)))
        except (UnreadablePart, BlobNotFound) as error:
            await self._end(journey, TaskFailure(code=error.code, message=str(error)), TaskState.REJECTED)
        except AgentsError as error:
            if error.retryable and not isinstance(error, StepFailed):
                raise
            if error.steps:  # else it is no run's: a result too large, a task cancelled just before it waits
                journey.steps, journey.cost = error.steps, error.cost
            await self._end(journey, failure_of(error))
        except asyncio.CancelledError:
            if not self._controls.heard_cancel(task.tenant, task.task_id):
                raise
            await self._end(journey, cancelled())

    async def _go(self, journey: Journey) -> None:
        record = journey.held.record
        resumed = record.plan is not None
        if resumed:
            journey.held = await self._records.change(journey.held, lambda present: owned(present, record))
        kind = TaskEventKind.RESUMED if resumed else TaskEventKind.STARTED
        await self._tell(journey, kind, deliveries=record.deliveries, remarks=record.remarks)
        awaited_ms = journey.held.record.awaited_ms
        queued_ms = max(0.0, ms_between(record.submitted_at, now()) - awaited_ms)
        journey.times = journey.times.model_copy(update={"queued_ms": queued_ms, "approval_ms": awaited_ms})
        try:
            await self._perceive(journey)
            plan = journey.held.record.plan or await self._plan(journey)
        except _AWAY as error:
            raise ServiceAway(str(error)) from error
        outcome = await self._run(journey, plan)
        journey.steps, journey.cost = outcome.steps, outcome.cost
        if outcome.waiting_for:
            await self._wait_for_people(journey, outcome)
            return
        await self._succeed(journey, outcome)

    async def _perceive(self, journey: Journey) -> None:
        started = time.perf_counter()
        journey.perceived = await self._perceiver.perceive(journey.task.parts)
        journey.times = journey.times.model_copy(update={"perceive_ms": _ms_since(started)})
        await self._tell(journey, TaskEventKind.PERCEIVED, percept=journey.perceived.percept)

    async def _plan(self, journey: Journey) -> Plan:
        """Match and plan, then store the plan: a worker that resumes must run the same network."""
        assert journey.perceived is not None
        planned = await self._planner.plan(journey.task, journey.perceived)
        journey.times = journey.times.model_copy(update={"match_ms": planned.match_ms, "plan_ms": planned.plan_ms})
        journey.held = await self._records.change(
            journey.held, lambda record: planned_record(record, journey.held.record, journey.perceived, planned)
        )
        await self._tell(journey, TaskEventKind.MATCHED, candidates=planned.candidates[:_CANDIDATES_TOLD])
        await self._tell(journey, TaskEventKind.PLANNED, plan=planned.plan)
        return journey.held.record.plan or planned.plan

    async def _run(self, journey: Journey, plan: Plan) -> RunOutcome:
        assert journey.perceived is not None
        task, record = journey.task, journey.held.record
        started = time.perf_counter()
        tell = partial(self._teller.tell, task.tenant, task.task_id)

        request = RunRequest(
            task=task,
            plan=plan,
            parts=journey.perceived.parts,
            cards=self._cards(task, plan),
            approved=decided(record, ApprovalState.APPROVED),
            denied=decided(record, ApprovalState.DENIED),
            did=journey.did,
        )
        try:
            return await self._runner.run(request, tell)
        finally:
            journey.times = journey.times.model_copy(update={"run_ms": _ms_since(started)})

    def _cards(self, task: TaskSubmitted, plan: Plan) -> dict[str, AgentCard]:
        """The cards of all who may do a step. One that left the fleet meanwhile fails its step with clear words."""
        present = self._fleet.cards(task.tenant)
        spare = (one.agent_id for several in plan.substitutes.values() for one in several)
        wanted = dict.fromkeys((*(node.agent_id for node in plan.network.nodes), *spare))
        return {agent_id: present[agent_id] for agent_id in wanted if agent_id in present}

    async def _wait_for_people(self, journey: Journey, outcome: RunOutcome) -> None:
        task, nodes, mine = journey.task, outcome.waiting_for, journey.held.record
        journey.held = await self._records.change(journey.held, lambda record: waiting(record, mine, task, nodes))
        await self._tell(journey, TaskEventKind.AWAITING_APPROVAL, nodes=list(nodes))

    async def _succeed(self, journey: Journey, outcome: RunOutcome) -> None:
        result = TaskResult(outputs=outcome.outputs, steps=outcome.steps, times=journey.times, cost=outcome.cost)
        await self._settlement.settle(
            journey.held, journey.task, journey.perceived, Ending(TaskState.SUCCEEDED, result)
        )
        await self._forget(journey.held.record)

    async def _end(self, journey: Journey, failure: TaskFailure, state: TaskState = TaskState.FAILED) -> None:
        """An ending that is no success, with all that was learned on the way."""
        await self._recall(journey)
        state = TaskState.CANCELLED if failure.code == TaskCancelled.code else state
        result = TaskResult(steps=journey.steps, times=journey.times, cost=journey.cost)
        await self._settlement.settle(journey.held, journey.task, journey.perceived, Ending(state, result, failure))
        await self._forget(journey.held.record)

    async def _recall(self, journey: Journey) -> None:
        """Of a task that ends before it runs again, what its earlier runs did; to teach, it needs its vector."""
        plan, task = journey.held.record.plan, journey.task
        if journey.steps or plan is None:
            return
        journey.did(await self._runner.done(task.tenant, task.task_id, plan))
        if journey.steps and journey.perceived is None:
            with suppress(TensorLayerError):
                journey.perceived = await self._perceiver.perceive(task.parts)

    async def _forget(self, record: TaskRecord) -> None:
        if (plan := record.plan) is not None and (len(plan.network.nodes) > 1 or plan.approvals):
            await self._runner.forget(record.tenant, record.task_id)

    async def _settle_again(self, record: TaskRecord, task: TaskSubmitted) -> None:
        try:
            perceived = await self._perceiver.perceive(task.parts)
        except (UnreadablePart, BlobNotFound):
            perceived = None
        await self._settlement.settle_again(record, task, perceived)
        await self._forget(record)

    async def _tell(self, journey: Journey, kind: TaskEventKind, **data: object) -> None:
        await self._teller.tell(journey.task.tenant, journey.task.task_id, kind, data)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1e3
