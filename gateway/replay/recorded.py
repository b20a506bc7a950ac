"""Recorded tasks done again by the workers' runner, agents being played from the record. Called by `aos replay run`.

Deterministic: the same record comes to the same outcome, and nobody is asked. An agent answers as often and as well as
it did then, and takes its recorded time by the sum, not by the clock. What an answer said is not kept; a part of each
modality that the network lets flow stands for it, so that every edge carries what it carried.
"""

import asyncio
from collections.abc import Iterable, Mapping

from agents.ports.connectors import Connector
from evolution.replay.walking import Outcome, by_node, network_of, outcome_of
from gateway.replay.lane import Again, Lane
from schemas.card import AgentCard, NatsEndpoint, Skill, Timeouts
from schemas.experience import ExperienceRecord
from schemas.invocation import Invocation, InvocationError, InvocationReply
from schemas.network import TASK, Network, Substitute
from schemas.parts import Modality, Part, text_part
from schemas.task import StepOutcome

AS_RECORDED = "as recorded"
LAST, NEVER = 64, 256
"""Turns of the event loop that a failure waits, and a step that was never done: whoever answered then has answered by
that time, and a step that was cut off by its neighbour's failure is cut off again."""


class RecordedLane:
    """Does records again. Safe for many at once."""

    def __init__(self) -> None:
        self._agents = PlayedAgents()
        self._lane = Lane(self._agents, sleep=_at_once)

    async def again(self, record: ExperienceRecord) -> Outcome:
        """The outcome of the recorded network with its recorded answers. ``record`` has steps."""
        network = network_of(record)
        nodes = {node.id for node in network.nodes}
        steps = [step for step in record.steps if step.node in nodes]
        tries = by_node(steps)
        again = Again(
            tenant=record.tenant,
            network=network,
            cards=_cards(network, tries, record.tenant),
            parts=(text_part(record.instruction if record.instruction.strip() else AS_RECORDED),),
            substitutes=_substitutes(network, tries),
        )
        with_ids = {_step_id(again, step, network): step for step in steps}
        self._agents.play(again.task_id, with_ids, _flowing(network))
        try:
            ran = await self._lane.run(again)
        finally:
            self._agents.rest(again.task_id)
        then = {(step.node, step.agent_id): step for step in steps}
        # A step that was never done, and so could not be done again, is none.
        done = [(step, then[step.node, step.agent_id]) for step in ran.steps if (step.node, step.agent_id) in then]
        known = [(step, {"step_id": old.step_id, "latency_ms": old.latency_ms}) for step, old in done]
        again_done = [step.model_copy(update=update) for step, update in known]
        return outcome_of(network, again_done, record.times, record.success and not ran.problem, record.record_id)


class PlayedAgents(Connector):
    """Every agent, as the records of the tasks being done again remember it."""

    def __init__(self) -> None:
        self._tasks: dict[str, tuple[Mapping[str, StepOutcome], Mapping[str, tuple[Part, ...]]]] = {}

    def play(self, task_id: str, steps: Mapping[str, StepOutcome], outputs: Mapping[str, tuple[Part, ...]]) -> None:
        """Be ready for a task: its recorded steps by step id, and what each node lets flow on."""
        self._tasks[task_id] = (steps, outputs)

    def rest(self, task_id: str) -> None:
        """Forget the task."""
        self._tasks.pop(task_id, None)

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        """The recorded answer; all attempts but the last one fail, as they did then."""
        steps, outputs = self._tasks[invocation.task_id]
        step = steps.get(invocation.step_id)
        if step is None:
            await _turns(NEVER)
            return _failed(invocation, "this step was not done then", retryable=False)
        if invocation.attempt < step.attempts:
            return _failed(invocation, "an attempt that failed then", retryable=True)
        if not step.ok:
            await _turns(LAST)
            return _failed(invocation, step.error or AS_RECORDED, retryable=False, cost=step.cost)
        return InvocationReply(step_id=invocation.step_id, outputs=outputs[step.node], cost=step.cost)

    async def probe(self, card: AgentCard) -> bool | None:
        """A recorded agent is always there."""
        return True

    async def close(self) -> None:
        """Nothing to close."""


def _failed(invocation: Invocation, words: str, *, retryable: bool, cost: float = 0.0) -> InvocationReply:
    error = InvocationError(code="recorded", message=words, retryable=retryable)
    return InvocationReply(step_id=invocation.step_id, error=error, cost=cost)


def _step_id(again: Again, step: StepOutcome, network: Network) -> str:
    """As the runner spells it: whoever stands in for the node's agent has an id of its own."""
    own = network.node(step.node).agent_id == step.agent_id
    return f"{again.task_id}.{step.node}" + ("" if own else f".{step.agent_id}")


def _cards(network: Network, tries: Mapping[str, tuple[StepOutcome, ...]], tenant: str) -> dict[str, AgentCard]:
    """As much of the cards as the runner looks at: those of that day are not recorded."""
    skills: dict[str, dict[str, Skill]] = {}
    attempts: dict[str, int] = {}
    doing = [(node.agent_id, node.skill_id, 1) for node in network.nodes]
    doing += [(step.agent_id, step.skill_id, step.attempts) for steps in tries.values() for step in steps]
    everything = tuple(Modality)
    for agent_id, skill_id, tried in doing:
        skill = Skill(id=skill_id, description=AS_RECORDED, inputs=everything, outputs=everything)
        skills.setdefault(agent_id, {})[skill_id] = skill
        attempts[agent_id] = max(attempts.get(agent_id, 1), tried)
    return {
        agent_id: AgentCard(
            id=agent_id,
            version="0.0.0",
            description=AS_RECORDED,
            skills=tuple(found.values()),
            endpoint=NatsEndpoint(),
            tenant=tenant,
            timeouts=Timeouts(attempts=min(attempts[agent_id], 10)),
            concurrency=1000,
        )
        for agent_id, found in skills.items()
    }


def _substitutes(network: Network, tries: Mapping[str, Iterable[StepOutcome]]) -> dict[str, tuple[Substitute, ...]]:
    """Who stood in for whom, in the order in which they tried."""
    return {
        node.id: tuple(
            Substitute(agent_id=step.agent_id, skill_id=step.skill_id)
            for step in tries.get(node.id, ())
            if step.agent_id != node.agent_id
        )
        for node in network.nodes
    }


def _flowing(network: Network) -> dict[str, tuple[Part, ...]]:
    """A part for each modality that flows out of each node; the sink answers in words."""
    found = {node.id: {Modality.TEXT} for node in network.nodes if node.id in network.sinks()}
    for edge in network.edges:
        if edge.source != TASK:
            found.setdefault(edge.source, set()).update(edge.modalities)
    return {
        node: tuple(Part(modality=modality, text=AS_RECORDED) for modality in sorted(modalities))
        for node, modalities in found.items()
    }


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _at_once(_pause_s: float) -> None:
    """The pauses between attempts are not waited for."""
