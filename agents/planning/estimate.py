"""What a network will take: order, critical path, time, cost, and who has to say yes. Pure; called by ``planner``."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from agents.planning.past import Spread, StepPast
from agents.planning.promise import Promise
from schemas.base import new_id
from schemas.card import AgentCard
from schemas.network import TASK, Interval, Network, Plan, PlanEstimate

NO_PAST = StepPast()
"""The history of a fleet that has none: every step is as the priors say."""


TRUSTED_STEPS = 3


@dataclass(frozen=True, slots=True)
class _Step:
    """What one step is expected to take and cost; a card's timeout is the upper bound of its time."""

    ms: Spread
    cost: Spread


def plan_of(
    network: Network,
    cards: Mapping[str, AgentCard],
    *,
    task_needs_approval: bool = False,
    past: StepPast = NO_PAST,
    promise: Promise | None = None,
) -> Plan:
    """The execution plan of a validated network whose agents are all among ``cards``."""
    steps = {node.id: _step(cards[node.agent_id], node.skill_id, past) for node in network.nodes}
    order = network.groups()
    path = _critical_path(network, order, {node: step.ms.middle for node, step in steps.items()})
    duration = _together([steps[node].ms for node in path])
    cost = _together([step.cost for step in steps.values()])
    estimate = PlanEstimate(
        duration_ms=duration,
        cost=cost,
        quality=promise.quality,
        uncalibrated=promise.guess,
        steps_seen=promise.steps_seen,
    ) if promise else None  # fmt: skip
    return Plan(
        plan_id=new_id(),
        network=network,
        order=order,
        critical_path=path,
        estimated_ms=duration.middle,
        estimated_cost=cost.middle,
        approvals=_approvals(network, order, cards, task_needs_approval=task_needs_approval),
        estimate=estimate,
    )


def step_cost(card: AgentCard, skill_id: str, past: StepPast = NO_PAST) -> float:
    """What one step is expected to cost."""
    return _step(card, skill_id, past).cost.middle


def cost_of(network: Network, cards: Mapping[str, AgentCard], past: StepPast = NO_PAST) -> float:
    """What the network is expected to cost."""
    return sum(step_cost(cards[node.agent_id], node.skill_id, past) for node in network.nodes)


def _step(card: AgentCard, skill_id: str, past: StepPast) -> _Step:
    forecast, most_ms = past.step(card.id, skill_id), card.timeouts.step_s * 1000.0
    ms = Spread(
        *(min(one, most_ms) for one in (forecast.latency_ms.low, forecast.latency_ms.middle, forecast.latency_ms.high))
    )
    priced = Spread(*(card.cost.per_call + card.cost.per_second * one / 1000.0 for one in (ms.low, ms.middle, ms.high)))
    return _Step(ms, _cost(priced, forecast.cost, forecast.seen))


def _cost(priced: Spread, measured: Spread | None, seen: int) -> Spread:
    """What was charged, once it was seen a few times; before that, what the card says."""
    if measured is None:
        return priced
    middle = measured.middle if seen >= TRUSTED_STEPS else priced.middle
    return Spread(min(priced.low, measured.low, middle), middle, max(measured.high, priced.middle, middle))


def _together(steps: list[Spread]) -> Interval:
    """The sum of independent steps: middles add, and so do the squares of what lies above and below them."""
    middle = sum(step.middle for step in steps)
    below = math.sqrt(sum((step.middle - step.low) ** 2 for step in steps))
    above = math.sqrt(sum((step.high - step.middle) ** 2 for step in steps))
    return Interval(low=max(0.0, middle - below), middle=middle, high=middle + above)


def _critical_path(
    network: Network, order: tuple[tuple[str, ...], ...], steps_ms: Mapping[str, float]
) -> tuple[str, ...]:
    """The chain of nodes that takes longest, from the first to the sink (Kelley and Walker 1959)."""
    ends_ms: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for node in (node for group in order for node in group):
        sources = sorted({edge.source for edge in network.edges if edge.target == node and edge.source != TASK})
        slowest = max(sources, key=lambda source: ends_ms[source], default=None)
        before[node] = slowest
        ends_ms[node] = steps_ms[node] + (ends_ms[slowest] if slowest else 0.0)
    path: list[str] = []
    here: str | None = next(iter(network.sinks()))
    while here is not None:
        path.append(here)
        here = before[here]
    return tuple(reversed(path))


def _approvals(
    network: Network,
    order: tuple[tuple[str, ...], ...],
    cards: Mapping[str, AgentCard],
    *,
    task_needs_approval: bool,
) -> tuple[str, ...]:
    waiting = [node for group in order for node in group if cards[network.node(node).agent_id].requires_approval]
    return (TASK, *waiting) if task_needs_approval else tuple(waiting)
