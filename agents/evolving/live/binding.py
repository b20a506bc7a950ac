"""A kind's network put to work on one task, and a task's network made the kind's. Pure; called by ``planner``."""

import base64
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from agents.planning.complexity import Goal, TaskAnalysis
from agents.planning.errands import words_of
from agents.planning.offers import Offer, offer_of
from agents.planning.planner import Woven
from agents.planning.typecheck import check
from schemas.card import AgentCard
from schemas.network import Network
from schemas.refinement import PlanTemplate
from schemas.task import TaskSubmitted
from tensor_layer.ports import Vector


class CardDigests:
    """Digests of cards and of whole fleets. A card that did not change is not read again."""

    def __init__(self) -> None:
        self._cards: dict[str, dict[str, tuple[AgentCard, str]]] = {}
        self._fleets: dict[str, tuple[Mapping[str, AgentCard], str]] = {}

    def card(self, card: AgentCard) -> str:
        """Of one card."""
        known = self._cards.setdefault(card.tenant, {}).get(card.id)
        if known is None or known[0] is not card:
            digest = hashlib.blake2b(card.model_dump_json().encode(), digest_size=8).hexdigest()
            known = self._cards[card.tenant][card.id] = (card, digest)
        return known[1]

    def fleet(self, tenant: str, cards: Mapping[str, AgentCard]) -> str:
        """Of all cards of a tenant; ``cards`` is a snapshot that never changes."""
        known = self._fleets.get(tenant)
        if known is None or known[0] is not cards:
            said = "".join(sorted(self.card(card) for card in cards.values()))
            self._cards[tenant] = {key: value for key, value in self._cards.get(tenant, {}).items() if key in cards}
            known = self._fleets[tenant] = (cards, hashlib.blake2b(said.encode(), digest_size=8).hexdigest())
        return known[1]


def template_of(
    kind: str, shape: str, task: TaskSubmitted, woven: Woven, vector: Vector | None, digests: CardDigests,
    cards: Mapping[str, AgentCard],
) -> PlanTemplate | None:  # fmt: skip
    """The woven network as that of a kind, without the task's words; None when its nodes' errands cannot be told."""
    if woven.errands is None:
        return None
    network = _wordless(woven.network)
    return PlanTemplate(
        kind=kind,
        tenant=task.tenant,
        shape=shape,
        founder=task.task_id,
        vector=packed(vector) if vector is not None else "",
        wordings=(wording_of(task.tenant, woven.analysis.goals),),
        network=network,
        errands=dict(woven.errands),
        fits=dict(woven.fits),
        cards={node.agent_id: digests.card(cards[node.agent_id]) for node in network.nodes},
        fleet=digests.fleet(task.tenant, cards),
        woven=labels_of(network),
    )


def wording_of(tenant: str, goals: Sequence[Goal]) -> tuple[str, ...]:
    """What recognises the same goals, word for word, and does not say them. A microsecond for each."""
    key = tenant.encode()[:64]
    return tuple(hashlib.blake2b(goal.text.encode(), digest_size=16, key=key).hexdigest() for goal in goals)


def _wordless(network: Network) -> Network:
    """Each task puts its own words in (``bound``): a kind's network needs nobody's."""
    return network.model_copy(update={"nodes": tuple(node.model_copy(update={"goal": ""}) for node in network.nodes)})


def bound(template: PlanTemplate, analysis: TaskAnalysis) -> Network:
    """The kind's network in the words of this task."""
    nodes = tuple(
        node.model_copy(update={"goal": words_of(template.errands[node.id], analysis.goals)})
        for node in template.network.nodes
    )
    return template.network.model_copy(update={"nodes": nodes})


def fits_fleet(
    template: PlanTemplate, analysis: TaskAnalysis, cards: Mapping[str, AgentCard], digests: CardDigests
) -> bool:
    """Whether every agent of the network is there, with the card it was made with, and all types still fit."""
    offers: dict[tuple[str, str], Offer] = {}
    for node in template.network.nodes:
        card = cards.get(node.agent_id)
        if card is None or digests.card(card) != template.cards.get(node.agent_id):
            return False
        skill = next((skill for skill in card.skills if skill.id == node.skill_id), None)
        if skill is None:
            return False
        offers[node.agent_id, node.skill_id] = offer_of(card, skill)
    return not check(template.network, offers, analysis.modalities)


def labels_of(network: Network) -> tuple[str, ...]:
    """``agent.skill`` of every node."""
    return tuple(sorted(f"{node.agent_id}.{node.skill_id}" for node in network.nodes))


def packed(vector: Vector) -> str:
    """(dimension,) float32 as base64."""
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


def unpacked(text: str) -> Vector | None:
    """What ``packed`` wrote; None for nothing."""
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32) if text else None
