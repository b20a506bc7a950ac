"""Who takes over a step when its agent fails: candidates that fit the node's edges. Pure; called by ``planner``."""

from collections.abc import Mapping, Sequence

from agents.planning.errands import is_poor_beside
from agents.planning.offers import Kinds, Offer
from schemas.candidate import MatchReport
from schemas.card import AgentCard
from schemas.network import Network, Node, Substitute
from schemas.refinement import Errand

SUBSTITUTES_MAX = 2


def substitutes_of(
    network: Network,
    errands: Mapping[str, Errand],
    reports: Sequence[MatchReport],
    offers: Mapping[tuple[str, str], Offer],
    cards: Mapping[str, AgentCard],
) -> dict[str, tuple[Substitute, ...]]:
    """By node, best first. Agents that need a person's approval, or are at work in the network, substitute nobody.

    Nor do those far beside the one that was chosen: a failure that is told is better than an answer to something else.
    """
    at_work = {node.agent_id for node in network.nodes}
    found: dict[str, tuple[Substitute, ...]] = {}
    for node in network.nodes:
        goals = errands[node.id].goals
        if len(goals) != 1:
            continue
        able = _able(node, network, reports[goals[0]], offers)
        free = [offer for offer in able if offer.agent_id not in at_work and _is_free(offer, cards)]
        if free:
            found[node.id] = tuple(
                Substitute(agent_id=offer.agent_id, skill_id=offer.skill_id) for offer in free[:SUBSTITUTES_MAX]
            )
    return found


def fits_edges(node: Node, network: Network, offer: Offer, present: Offer) -> bool:
    """Whether the skill reads all that flows into the node and makes all that flows out of it."""
    carried: Kinds = frozenset(kind for edge in network.edges if edge.target == node.id for kind in edge.modalities)
    taken: Kinds = frozenset(kind for edge in network.edges if edge.source == node.id for kind in edge.modalities)
    made = taken or present.outputs
    return (
        carried <= offer.inputs and offer.requires <= carried and bool(made & offer.outputs) and taken <= offer.outputs
    )


def _able(node: Node, network: Network, report: MatchReport, offers: Mapping[tuple[str, str], Offer]) -> list[Offer]:
    key = (node.agent_id, node.skill_id)
    present, named = offers.get(key), {(one.agent_id, one.skill_id): one for one in report.candidates}
    chosen = named.get(key)
    near = (
        one
        for one in report.candidates
        if one.score >= report.threshold and not (chosen and is_poor_beside(one, chosen, report))
    )
    others = (offers.get((one.agent_id, one.skill_id)) for one in near)
    if present is None:
        return []
    return [offer for offer in others if offer is not None and fits_edges(node, network, offer, present)]


def _is_free(offer: Offer, cards: Mapping[str, AgentCard]) -> bool:
    card = cards.get(offer.agent_id)
    return card is not None and not card.requires_approval
