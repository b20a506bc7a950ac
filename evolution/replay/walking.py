"""What the steps of a task came to, as its network orders them; and how two goes at one task differ. Pure.

Called by ``rerunning`` for what was recorded, and by the gateway's lanes for what came of a task done again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.experience import ExperienceRecord
from schemas.network import TASK, Edge, Network, Node
from schemas.parts import Modality
from schemas.task import StageTimes, StepOutcome


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task came to: ``answer`` names the record, or the shadow task, that it was taken from."""

    success: bool
    latency_ms: float
    cost: float
    answer: str
    steps: tuple[StepOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class StepChange:
    """One node of the network, then and now; None: the step was not done."""

    node: str
    before: StepOutcome | None
    after: StepOutcome | None

    @property
    def differs(self) -> bool:
        """Whether another agent did it, or it ended differently."""
        if self.before is None or self.after is None:
            return self.before is not self.after
        return (self.before.agent_id, self.before.ok) != (self.after.agent_id, self.after.ok)


def walked(record: ExperienceRecord) -> Outcome:
    """The recorded network as its steps tell it; what was never done, or ended by a deadline, stays failed."""
    return outcome_of(network_of(record), record.steps, record.times, record.success, record.record_id)


def outcome_of(
    network: Network, steps: Sequence[StepOutcome], times: StageTimes, finished: bool, answer: str
) -> Outcome:
    """Groups one after another, steps of a group side by side, up to a failure that nobody stood in for.

    What people waited for is left out: latency is that of the stages and of the slowest node of each group.
    """
    done = by_node(steps)
    latency, cost, complete = 0.0, 0.0, True
    for group in network.groups():
        there = [done[node] for node in group if node in done]
        latency += max((sum(step.latency_ms for step in tries) for tries in there), default=0.0)
        cost += sum(step.cost for tries in there for step in tries)
        complete = len(there) == len(group) and all(tries[-1].ok for tries in there)
        if not complete:
            break
    overhead = times.perceive_ms + times.match_ms + times.plan_ms
    return Outcome(complete and finished, latency + overhead, cost, answer, tuple(steps))


def by_node(steps: Sequence[StepOutcome]) -> Mapping[str, tuple[StepOutcome, ...]]:
    """Every try of each node: failed agents first, then who stood in for them."""
    found: dict[str, tuple[StepOutcome, ...]] = {}
    for step in sorted(steps, key=lambda step: step.ok):
        found[step.node] = (*found.get(step.node, ()), step)
    return found


def step_changes(before: Outcome, after: Outcome) -> tuple[StepChange, ...]:
    """Node by node, in the order in which they were done then; of several tries the last one."""
    then, now = by_node(before.steps), by_node(after.steps)
    nodes = dict.fromkeys([*(step.node for step in before.steps), *(step.node for step in after.steps)])
    return tuple(
        StepChange(node, *(found[node][-1] if node in found else None for found in (then, now))) for node in nodes
    )


def network_of(record: ExperienceRecord) -> Network:
    """The network that was run; of a record without one, its steps one after another. ``record`` has steps."""
    if record.network is not None:
        return record.network
    steps = list({step.node: step for step in record.steps}.values())
    nodes = tuple(Node(id=step.node, agent_id=step.agent_id, skill_id=step.skill_id) for step in steps)
    sources = (TASK, *(step.node for step in steps[:-1]))
    text = (Modality.TEXT,)
    edges = tuple(
        Edge(source=source, target=step.node, modalities=text) for source, step in zip(sources, steps, strict=True)
    )
    return Network(nodes=nodes, edges=edges)
