"""What a network will take: order, critical path, time, cost, and who has to say yes. Pure; called by ``planner``."""

from collections.abc import Callable, Mapping

from schemas.base import new_id
from schemas.card import AgentCard
from schemas.network import TASK, Network, Plan

UNMEASURED_MS = 200.0
"""What a step is expected to take before anything was measured; a card's timeout is the upper bound."""

Latencies = Callable[[str, str], float | None]
"""(agent id, skill id) -> milliseconds that its steps usually take, or None when nothing was measured."""


def unmeasured(agent_id: str, skill_id: str) -> float | None:
    """The history of a fleet that has none."""
    return None


def plan_of(
    network: Network,
    cards: Mapping[str, AgentCard],
    *,
    task_needs_approval: bool = False,
    usual: Latencies = unmeasured,
) -> Plan:
    """The execution plan of a validated network whose agents are all among ``cards``."""
    steps_ms = {node.id: _step_ms(cards[node.agent_id], node.skill_id, usual) for node in network.nodes}
    order = network.groups()
    path = _critical_path(network, order, steps_ms)
    return Plan(
        plan_id=new_id(),
        network=network,
        order=order,
        critical_path=path,
        estimated_ms=sum(steps_ms[node] for node in path),
        estimated_cost=sum(_step_cost(cards[node.agent_id], steps_ms[node.id]) for node in network.nodes),
        approvals=_approvals(network, order, cards, task_needs_approval=task_needs_approval),
    )


def _step_ms(card: AgentCard, skill_id: str, usual: Latencies) -> float:
    measured = usual(card.id, skill_id)
    return min(UNMEASURED_MS if measured is None else measured, card.timeouts.step_s * 1000.0)


def _step_cost(card: AgentCard, step_ms: float) -> float:
    return card.cost.per_call + card.cost.per_second * step_ms / 1000.0


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
