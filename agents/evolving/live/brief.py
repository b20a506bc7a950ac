"""What a search needs to better a woven network, as one message. Pure; called by ``background``."""

from collections.abc import Mapping, Sequence

from agents.evolving.objectives import Weights
from agents.planning.complexity import Goal, TaskAnalysis
from agents.planning.errands import finishing, fit_of
from agents.planning.estimate import step_cost
from agents.planning.offers import Offer, OfferKey, named_offers
from agents.planning.past import StepPast, log_odds
from agents.planning.planner import Woven
from schemas.card import AgentCard
from schemas.network import Network
from schemas.parts import Modality
from schemas.refinement import OFFERS_MAX, PlanTemplate, RefineGoal, RefineOffer, RefineRequest

UNFIT = -5.0
"""Log odds of a skill for a goal that matching did not name it for."""
SEEDS_MAX = 16


def brief_of(
    template: PlanTemplate, woven: Woven, past: StepPast, weights: Weights, cards: Mapping[str, AgentCard],
    seeds: Sequence[Network] = (), *, evaluations: int = 4000, seed: int = 0,
) -> RefineRequest | None:  # fmt: skip
    """The request, or None when there is nothing to choose: one skill only, or one that works twice in the network."""
    present = template.network
    keys = [(node.agent_id, node.skill_id) for node in (*present.nodes, *woven.network.nodes)]
    offers = _listed(woven, keys, cards)
    twice = len({(node.agent_id, node.skill_id) for node in present.nodes}) < len(present.nodes)
    if twice or len(offers) < 2 or any(key not in {offer.key for offer in offers} for key in keys):
        return None
    places = {offer.key: place for place, offer in enumerate(offers)}
    collecting = _collecting(template)
    return RefineRequest(
        tenant=template.tenant,
        kind=template.kind,
        task=_sorted(woven.analysis.modalities),
        wanted=_wanted(woven, cards),
        goals=goals_of(woven.analysis),
        offers=tuple(_offer(offer, woven, past, cards, collects=offer.key in collecting) for offer in offers),
        handovers=tuple(
            (places[one], places[other], past.handover(one, other))
            for one, other in past.pairs()
            if one in places and other in places
        ),
        seeds=(present, woven.network, *seeds)[:SEEDS_MAX],
        quality_weight=weights.quality,
        cost_weight=weights.cost,
        latency_weight=weights.latency,
        evaluations=evaluations,
        seed=seed,
    )


def goals_of(analysis: TaskAnalysis) -> tuple[RefineGoal, ...]:
    """The goals as the search sees them."""
    goals = analysis.goals
    return tuple(
        RefineGoal(
            after=place - 1 if place and (goal.depends_on_previous or goal.gathers) else -1,
            consumed=_is_consumed(goals, place),
            content=_sorted(_content(analysis, goal)),
        )
        for place, goal in enumerate(goals)
    )


def _content(analysis: TaskAnalysis, goal: Goal) -> frozenset[Modality]:
    return (analysis.content & goal.about) or analysis.content


def _is_consumed(goals: Sequence[Goal], place: int) -> bool:
    follows = place + 1 < len(goals) and goals[place + 1].depends_on_previous
    return follows or any(goal.gathers for goal in goals[place + 1 :])


def _wanted(woven: Woven, cards: Mapping[str, AgentCard]) -> tuple[Modality, ...]:
    """The kind of answer asked for; where the words do not say, what the woven network answers with."""
    (sink,) = woven.network.sinks()
    node = woven.network.node(sink)
    made = frozenset(cards[node.agent_id].skill(node.skill_id).outputs)
    wants = woven.analysis.wants
    return (wants,) if wants in made and wants is not None else _sorted(made)


def _listed(woven: Woven, first: Sequence[OfferKey], cards: Mapping[str, AgentCard]) -> list[Offer]:
    """Those at work, then candidates that are near enough, goal by goal, best first; bounded."""
    named = list(dict.fromkeys(first))
    for report in woven.reports:
        near = (one for one in report.candidates if one.score >= report.threshold)
        named += [(one.agent_id, one.skill_id) for one in near]
    return list(named_offers(dict.fromkeys(named), cards).values())[:OFFERS_MAX]


def _collecting(template: PlanTemplate) -> frozenset[OfferKey]:
    """Skills that hand on what they are given: those that serve no goal themselves, or finish another's goal."""
    errands, network = template.errands, template.network
    last = finishing(network, errands)
    nodes = (network.node(node) for node, errand in errands.items() if not errand.goals or node in last)
    return frozenset((node.agent_id, node.skill_id) for node in nodes)


def _offer(
    offer: Offer, woven: Woven, past: StepPast, cards: Mapping[str, AgentCard], *, collects: bool
) -> RefineOffer:
    step = past.step(*offer.key)
    return RefineOffer(
        agent_id=offer.agent_id,
        skill_id=offer.skill_id,
        inputs=_sorted(offer.inputs),
        requires=_sorted(offer.requires),
        outputs=_sorted(offer.outputs),
        cost=step_cost(cards[offer.agent_id], offer.skill_id, past),
        latency_ms=step.latency_ms.middle,
        reliability=step.reliability,
        collects=collects,
        skill=tuple(_skill(offer, woven, goal) for goal in range(len(woven.reports))),
    )


def _skill(offer: Offer, woven: Woven, goal: int) -> float:
    report = woven.reports[goal]
    found = (one for one in report.candidates if (one.agent_id, one.skill_id) == offer.key)
    candidate = next(found, None)
    return UNFIT if candidate is None else log_odds(fit_of(candidate, report))


def _sorted(kinds: frozenset[Modality]) -> tuple[Modality, ...]:
    return tuple(kind for kind in Modality if kind in kinds)
