"""The greedy network that a task can pay: woven again without its dearest skill while it costs too much.

Called by ``planner``. Pure: no clock, no bus.
"""

from collections.abc import Mapping
from dataclasses import replace

from agents.errors import BudgetExceeded, NoNetworkFits
from agents.planning.estimate import cost_of, step_cost
from agents.planning.greedy import Commission, weave
from agents.planning.past import StepPast
from agents.planning.refusals import too_dear
from schemas.card import AgentCard
from schemas.network import Network

CHEAPER_TRIES = 8
"""How many networks are woven to stay within a task's budget."""


def weave_within(
    max_cost: float | None,
    commission: Commission,
    cards: Mapping[str, AgentCard],
    past: StepPast,
    tries: int = CHEAPER_TRIES,
) -> Network:
    """A network that costs at most ``max_cost``, as cards and past steps say; None: whatever it costs.

    Raises NoNetworkFits, and BudgetExceeded when so many networks, or all there are, cost more.
    """
    tried = list[str]()
    while True:
        try:
            network = weave(commission)
        except NoNetworkFits as error:
            if not tried:
                raise
            raise BudgetExceeded(too_dear(max_cost or 0.0, tried)) from error
        cost = cost_of(network, cards, past)
        if max_cost is None or cost <= max_cost:
            return network
        tried.append(f"{', '.join(node.agent_id for node in network.nodes)} at about {cost:g}")
        if len(tried) == tries:
            raise BudgetExceeded(too_dear(max_cost, tried))
        commission = _without_dearest(commission, network, cards, past)


def _without_dearest(
    commission: Commission, network: Network, cards: Mapping[str, AgentCard], past: StepPast
) -> Commission:
    dearest = max(network.nodes, key=lambda node: step_cost(cards[node.agent_id], node.skill_id, past))
    return replace(commission, offers=commission.offers.without((dearest.agent_id, dearest.skill_id)))
