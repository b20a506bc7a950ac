"""One step: an agent asked until it answers, within its attempts and the task's deadline. Called by the runner."""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from agents.errors import (
    AgentsError,
    BadReply,
    BudgetExceeded,
    DeadlineExceeded,
    StepFailed,
    StepTimedOut,
    WorkerStops,
)
from agents.ports.connectors import Connector
from agents.running.gates import Gates, Sleep
from agents.running.inputs import typed
from agents.running.refusals import is_retryable, more_telling, refusal
from agents.running.run import Run, Step, StepDone
from agents.stopping import Stopping
from schemas.base import now
from schemas.invocation import Invocation, InvocationReply
from schemas.network import Substitute
from schemas.parts import Part
from schemas.task import StepOutcome, TaskEventKind

logger = logging.getLogger(__name__)

GRACE_S = 0.5
"""A connector that does not keep its own timeout is cut off this much later."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter (Brooker 2015)."""

    base_s: float = 0.2
    limit_s: float = 10.0

    def pause_s(self, attempt: int, dice: random.Random) -> float:
        """How long to wait after the failed ``attempt``, counted from 1."""
        return dice.uniform(0.0, min(self.limit_s, self.base_s * 2.0 ** (attempt - 1)))


@dataclass(slots=True)
class _Tally:
    """What a step has used so far."""

    attempts: int = 0
    cost: float = 0.0
    asked: bool = False


class Steps:
    """Does steps through a connector. Safe for many runs at once; each agent's gate is shared by all of them."""

    def __init__(
        self,
        connector: Connector,
        *,
        gates: Gates | None = None,
        backoff: Backoff | None = None,
        dice: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep | None = None,
        stopping: Stopping | None = None,
    ) -> None:
        self._stopping = stopping or Stopping()
        sleep = sleep or self._stopping.sleep
        self._connector = connector
        self._gates = gates or Gates(clock=clock, sleep=sleep)
        self._backoff = backoff or Backoff()
        self._dice = dice or random.Random()
        self._clock = clock
        self._sleep = sleep
        self._stopping.wake(self._gates.wake)

    async def perform(self, run: Run, node_id: str) -> StepDone:
        """Do one node's step and tell its story; when its agent fails, its substitutes are asked in their order.

        Raises StepFailed (when all fail: of the first agent, or of the first that says what the task lacks),
        DeadlineExceeded, BudgetExceeded; WorkerStops for a step that would have to be begun while the worker stops,
        once those beside it are done: they would be cancelled.
        """
        try:
            return await self._by_somebody(run, node_id)
        except WorkerStops:
            run.rest(node_id)
            await run.until_still()
            raise
        finally:
            run.rest(node_id)

    async def _by_somebody(self, run: Run, node_id: str) -> StepDone:
        try:
            return await self._perform(run, node_id)
        except StepFailed as failure:
            told = failure
            for substitute in run.substitutes(node_id):
                try:
                    return await self._perform(run, node_id, substitute)
                except (StepFailed, BudgetExceeded) as also:
                    logger.info("%s could not stand in at %s: %s", substitute.agent_id, failure.step_id, also)
                    told = more_telling(told, also)
            raise told from None

    async def _perform(self, run: Run, node_id: str, substitute: Substitute | None = None) -> StepDone:
        self._stopping.heed()
        run.time_left_s()
        step = run.step(node_id, substitute)
        run.reserve(step)
        tally, started = _Tally(), self._clock()
        try:
            await run.tell(TaskEventKind.STEP_STARTED, step.facts(attempt=1))
            outputs = await self._answer(run, step, tally)
        except WorkerStops:
            raise  # no failure: nobody was asked, or will be asked again
        except AgentsError as error:
            outcome = _outcome(step, tally, self._clock() - started, error)
            if tally.asked or not isinstance(error, DeadlineExceeded):  # else its agent had no part in it
                run.fail(outcome)
            await run.tell(TaskEventKind.STEP_FINISHED, _finished(step, outcome))
            raise
        finally:
            run.release(step)
        done = run.finish(_outcome(step, tally, self._clock() - started), outputs)
        await run.tell(TaskEventKind.STEP_FINISHED, _finished(step, done.outcome))
        return done

    async def _answer(self, run: Run, step: Step, tally: _Tally) -> tuple[Part, ...]:
        """Ask until the agent answers or its attempts are used up."""
        for tally.attempts in itertools.count(1):
            try:
                reply = await self._attempt(run, step, tally)
                return tuple(typed(part, step.skill) for part in reply.outputs)
            except StepFailed as failure:
                problem = _located(failure, step)
                left_s = run.time_left_s()
                if tally.attempts >= step.card.timeouts.attempts or not is_retryable(problem):
                    raise
                if not run.affords_again(step, tally.cost):
                    raise  # not told as the budget's end: somebody cheaper may stand in
            pause_s = self._backoff.pause_s(tally.attempts, self._dice)
            if pause_s >= left_s:
                raise DeadlineExceeded(f"no time is left to try {step.step_id} again: {problem}")
            facts = step.facts(attempt=tally.attempts + 1, error=str(problem), pause_ms=round(pause_s * 1000, 3))
            await run.tell(TaskEventKind.STEP_RETRIED, facts)
            await self._sleep(pause_s)
        raise AssertionError("an agent has at least one attempt")

    async def _attempt(self, run: Run, step: Step, tally: _Tally) -> InvocationReply:
        """Ask once. Raises StepFailed also for an answer that is an error."""
        gate = self._gates.of(step.card)
        try:
            async with asyncio.timeout(run.time_left_s()) as deadline, gate.place():
                self._stopping.heed()
                permit = await gate.permit(min(step.card.timeouts.step_s, run.time_left_s()))
                deadline.reschedule(None)
                started = self._clock()
                tally.asked = True
                with gate.judged(permit):
                    reply = await self._invoke(run, step, tally.attempts)
        except TimeoutError:
            raise DeadlineExceeded(f"{step.card.id} had no free place before the task's time was over") from None
        elapsed_s = self._clock() - started
        price = step.card.cost
        tally.cost += reply.cost if reply.cost is not None else price.per_call + price.per_second * elapsed_s
        if reply.error is not None:
            raise refusal(step.card.id, reply.error)
        return reply

    async def _invoke(self, run: Run, step: Step, attempt: int) -> InvocationReply:
        run.ask(step)
        timeout_s = min(step.card.timeouts.step_s, run.time_left_s())
        invocation = Invocation(
            step_id=step.step_id,
            task_id=run.request.task.task_id,
            tenant=run.request.task.tenant,
            agent_id=step.card.id,
            skill_id=step.skill.id,
            goal=step.goal,
            inputs=step.inputs,
            attempt=attempt,
            deadline=now() + timedelta(seconds=timeout_s),
        )
        try:
            async with asyncio.timeout(timeout_s + GRACE_S):
                reply = await self._connector.invoke(step.card, invocation, timeout_s)
        except TimeoutError:
            raise StepTimedOut(f"{step.card.id} did not answer within {timeout_s:g} s") from None
        if reply.step_id != step.step_id:
            raise BadReply(f"{step.card.id} answered for step {reply.step_id!r} instead")
        return reply


def _located(failure: StepFailed, step: Step) -> StepFailed:
    """The failure, saying which step and agent it is of."""
    failure.step_id = failure.step_id or step.step_id
    failure.agent_id = failure.agent_id or step.card.id
    return failure


def _outcome(step: Step, tally: _Tally, elapsed_s: float, problem: AgentsError | None = None) -> StepOutcome:
    said = problem.said if isinstance(problem, StepFailed) else ""
    return StepOutcome(
        step_id=step.step_id,
        node=step.node.id,
        agent_id=step.card.id,
        skill_id=step.skill.id,
        attempts=tally.attempts,
        latency_ms=max(0.0, elapsed_s * 1000),
        cost=tally.cost,
        ok=problem is None,
        error=None if problem is None else str(problem),
        error_code=None if problem is None else said or problem.code,
    )


def _finished(step: Step, outcome: StepOutcome) -> dict[str, object]:
    facts = step.facts(
        attempt=outcome.attempts, latency_ms=round(outcome.latency_ms, 3), cost=outcome.cost, ok=outcome.ok
    )
    return facts if outcome.ok else facts | {"error": outcome.error, "error_code": outcome.error_code}
