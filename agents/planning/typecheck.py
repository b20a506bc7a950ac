"""Can content flow along this edge? Pure; asked by ``greedy`` of every edge it draws and of the whole network."""

from collections.abc import Mapping
from dataclasses import dataclass

from agents.planning.offers import Kinds, Offer
from schemas.network import TASK, Edge, Network
from schemas.parts import Modality


@dataclass(frozen=True, slots=True)
class TypeProblem:
    """An edge or node whose types do not fit, in words."""

    problem: str

    def __str__(self) -> str:
        return self.problem


def flowing(outputs: Kinds, inputs: Kinds) -> tuple[Modality, ...]:
    """The kinds of content that can flow from ``outputs`` into ``inputs``, in the order of the enumeration."""
    return tuple(modality for modality in Modality if modality in outputs and modality in inputs)


def check(network: Network, offers: Mapping[tuple[str, str], Offer], task: Kinds) -> tuple[TypeProblem, ...]:
    """Everything wrong with the types of a network whose task carries those kinds; empty when it may run."""
    skills = {node.id: offers.get((node.agent_id, node.skill_id)) for node in network.nodes}
    missing = [
        TypeProblem(f"{node.agent_id} has no skill {node.skill_id}")
        for node in network.nodes
        if skills[node.id] is None
    ]
    if missing:
        return tuple(missing)
    known = {node_id: skill for node_id, skill in skills.items() if skill is not None}
    edges = [problem for edge in network.edges for problem in _edge_problems(edge, known, task)]
    nodes = [problem for node in network.nodes for problem in _node_problems(node.id, network, known)]
    return (*edges, *nodes)


def cannot_flow(outputs: Kinds, target: Offer) -> TypeProblem:
    """The words for content that a skill does not read."""
    kinds = _listed(outputs)
    return TypeProblem(
        f"{kinds} cannot flow into {target.label}, which reads only {_listed(target.inputs, article=False)}"
    )


def _edge_problems(edge: Edge, skills: Mapping[str, Offer], task: Kinds) -> list[TypeProblem]:
    outputs = task | {Modality.TEXT} if edge.source == TASK else skills[edge.source].outputs
    target, carried = skills[edge.target], frozenset(edge.modalities)
    problems = []
    if unread := carried - target.inputs:
        problems.append(cannot_flow(unread, target))
    if unmade := carried - outputs:
        maker = "the task" if edge.source == TASK else skills[edge.source].label
        problems.append(TypeProblem(f"{maker} does not give {_listed(unmade)}, only {_listed(outputs, article=False)}"))
    return problems


def _node_problems(node_id: str, network: Network, skills: Mapping[str, Offer]) -> list[TypeProblem]:
    incoming = [edge for edge in network.edges if edge.target == node_id]
    carried = frozenset(modality for edge in incoming for modality in edge.modalities)
    skill = skills[node_id]
    if not incoming:
        return [TypeProblem(f"nothing flows into {skill.label}")]
    if lacking := skill.requires - carried:
        return [TypeProblem(f"{skill.label} requires {_listed(lacking)}, which nothing gives it")]
    return []


_SPOKEN = {
    Modality.TEXT: "text",
    Modality.IMAGE: "a picture",
    Modality.AUDIO: "a sound",
    Modality.TABLE: "a table",
    Modality.DOCUMENT: "a document",
    Modality.DATA: "data",
    Modality.FILE: "a file",
}


def _listed(kinds: Kinds, *, article: bool = True) -> str:
    names = [_SPOKEN[modality] if article else modality.value for modality in Modality if modality in kinds]
    return " and ".join(names) or "nothing"
