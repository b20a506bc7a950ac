"""What one run knows: its plan, the steps done, time and money left. Made by the runner, read and told by ``steps``."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agents.errors import AgentUnreachable, BadReply, BudgetExceeded, DeadlineExceeded
from agents.ports.running import RunOutcome, RunRequest, Tell
from agents.running.inputs import inputs_of, instruction_of
from schemas.base import Message
from schemas.card import AgentCard, Skill
from schemas.network import Node, Substitute
from schemas.parts import Part
from schemas.task import DEADLINE_EXCEEDED, StepOutcome

REQUESTS_MAX = 128
"""How many requests to agents one run may make, retries and substitutes included: whatever goes wrong, it ends."""


class StepDone(Message):
    """A finished step as a checkpoint keeps it."""

    outcome: StepOutcome
    outputs: tuple[Part, ...]
    worked_s: float
    """Seconds of work on the task when the step was done, over all workers; waiting for people not counted."""
    failed: tuple[StepOutcome, ...] = ()
    """Of agents that were asked for it before."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step about to be done."""

    step_id: str
    node: Node
    card: AgentCard
    skill: Skill
    goal: str
    inputs: tuple[Part, ...]

    def facts(self, **more: object) -> dict[str, object]:
        """What events say of the step."""
        return {
            "node": self.node.id,
            "agent_id": self.card.id,
            "skill_id": self.skill.id,
            "step_id": self.step_id,
            **more,
        }


class Run:
    """One plan under way in this worker. Not shared between tasks; its coroutines share one event loop."""

    def __init__(self, request: RunRequest, order: tuple[str, ...], tell: Tell, clock: Callable[[], float]) -> None:
        self.request = request
        self.order = order
        self.tell = tell
        self._clock = clock
        self._started = clock()
        self._worked_before_s = 0.0
        self._done: dict[str, StepDone] = {}
        self._failed: list[StepOutcome] = []
        self._resumed = 0
        self._requests = 0
        self._reserved = 0.0
        self._asked: set[str] = set()
        self._awaited: dict[str, tuple[Step, float, int]] = {}
        """Whose answer is awaited: the step of each node, since when, and how often it was asked for."""
        self._still = asyncio.Event()
        self._still.set()

    @property
    def cost(self) -> float:
        """What all steps cost so far."""
        return sum(step.cost for step in self.steps)

    @property
    def steps(self) -> tuple[StepOutcome, ...]:
        """Every step so far, in the plan's order; failed ones last."""
        return (*in_order(self._done, self.order), *self._failed)

    def worked_s(self) -> float:
        """Seconds of work on the task so far, those of earlier workers included."""
        return self._worked_before_s + self._clock() - self._started

    def time_left_s(self) -> float:
        """Seconds until the task's deadline. Raises DeadlineExceeded."""
        allowed_s = self.request.task.deadline_s
        left_s = allowed_s - self.worked_s()
        if left_s <= 0:
            raise DeadlineExceeded(f"the task did not end within its deadline of {allowed_s:g} s of work")
        return left_s

    def restore(self, stored: Mapping[str, bytes]) -> None:
        """Take over steps that a checkpoint holds and this worker did not do, by node id."""
        for node_id, record in stored.items():
            if node_id not in self._done:
                done = StepDone.from_peer(record)
                self._done[node_id] = done
                self._resumed += 1
                self._worked_before_s = max(self._worked_before_s, done.worked_s)

    def substitutes(self, node_id: str) -> tuple[Substitute, ...]:
        """Who may do the node's step when its agent fails, best first; those that left the fleet are left out."""
        return tuple(
            one for one in self.request.plan.substitutes.get(node_id, ()) if one.agent_id in self.request.cards
        )

    def step(self, node_id: str, substitute: Substitute | None = None) -> Step:
        """The step of that node with all that flows into it. Raises AgentUnreachable, BadReply."""
        request = self.request
        node = request.plan.network.node(node_id)
        step_id = f"{request.task.task_id}.{node_id}"
        if substitute is not None:
            # Another agent's effects are others: they have an id of their own.
            step_id = f"{step_id}.{substitute.agent_id}"
            node = node.model_copy(update={"agent_id": substitute.agent_id, "skill_id": substitute.skill_id})
        card = request.cards.get(node.agent_id)
        if card is None or node.skill_id not in {skill.id for skill in card.skills}:
            problem = f"agent {node.agent_id} with skill {node.skill_id} is not registered any more"
            raise AgentUnreachable(problem, step_id=step_id, agent_id=node.agent_id)
        skill = card.skill(node.skill_id)
        answers = {done_id: done.outputs for done_id, done in self._done.items()}
        try:
            inputs = inputs_of(request.plan.network, node_id, skill, request.parts, answers)
        except BadReply as failure:
            failure.step_id, failure.agent_id = step_id, card.id
            raise
        words = instruction_of(request.parts)
        goal = node.goal or (words[0].text if words else "") or ""
        return Step(step_id, node, card, skill, goal, inputs)

    def ask(self, step: Step) -> None:
        """One more request to an agent; its step is under way until ``rest``.

        Raises BudgetExceeded for a run that does not come to an end.
        """
        self._asked.add(step.node.id)
        self._still.clear()
        _, since, times = self._awaited.get(step.node.id, (step, self._clock(), 0))
        self._awaited[step.node.id] = step, since, times + 1
        self._requests += 1
        if self._requests > REQUESTS_MAX:
            raise BudgetExceeded(f"the run made {REQUESTS_MAX} requests to agents without coming to its end")

    def rest(self, node_id: str) -> None:
        """The node's step is not under way, or not any more."""
        self._asked.discard(node_id)
        if not self._asked:
            self._still.set()

    async def until_still(self) -> None:
        """Wait until no step is under way."""
        await self._still.wait()

    def reserve(self, step: Step) -> None:
        """Set the step's price aside. Raises BudgetExceeded when the task's budget does not allow it."""
        budget, price = self.request.task.max_cost, step.card.cost.per_call
        spent = self.cost + self._reserved
        if budget is not None and spent + price > budget:
            problem = f"{spent:g} of {budget:g} is spent, and {step.card.id} costs {price:g} a call"
            raise BudgetExceeded(f"{problem}: raise max_cost to go on")
        self._reserved += price

    def affords_again(self, step: Step, used: float) -> bool:
        """Whether the budget allows another try of a step that has its price set aside and ``used`` up some money."""
        budget = self.request.task.max_cost
        return budget is None or self.cost + self._reserved + used <= budget

    def release(self, step: Step) -> None:
        """The step is over: its true cost counts instead of its price."""
        self._reserved -= step.card.cost.per_call

    def finish(self, outcome: StepOutcome, outputs: tuple[Part, ...]) -> StepDone:
        """Remember a step that this worker did."""
        self._awaited.pop(outcome.node, None)
        before = tuple(failed for failed in self._failed if failed.node == outcome.node)
        self._failed = [failed for failed in self._failed if failed not in before]
        done = StepDone(outcome=outcome, outputs=outputs, worked_s=self.worked_s(), failed=before)
        self._done[outcome.node] = done
        return done

    def fail(self, outcome: StepOutcome) -> None:
        """Remember a step that gave up."""
        self._awaited.pop(outcome.node, None)
        self._failed.append(outcome)

    def under_way(self) -> tuple[StepOutcome, ...]:
        """Steps whose agents were asked and have not answered yet, as failed at this moment."""
        return tuple(
            StepOutcome(
                step_id=step.step_id,
                node=step.node.id,
                agent_id=step.card.id,
                skill_id=step.skill.id,
                attempts=times,
                latency_ms=max(0.0, (self._clock() - since) * 1_000),
                cost=0.0,
                ok=False,
                error="it had not answered when the task's time was over",
                error_code=DEADLINE_EXCEEDED,
            )
            for step, since, times in self._awaited.values()
        )

    def outcome(self, waiting_for: tuple[str, ...] = ()) -> RunOutcome:
        """How the run ended."""
        outputs: tuple[Part, ...] = ()
        if not waiting_for:
            (sink,) = self.request.plan.network.sinks()
            outputs = self._done[sink].outputs
        return RunOutcome(outputs, self.steps, self.cost, waiting_for, self._resumed)


def in_order(done: Mapping[str, StepDone], order: Sequence[str]) -> tuple[StepOutcome, ...]:
    """The outcomes of steps done, in the plan's order, and after them those of agents that failed at them."""
    steps = [done[node_id] for node_id in order if node_id in done]
    return (*(step.outcome for step in steps), *(failed for step in steps for failed in step.failed))
