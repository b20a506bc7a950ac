"""The collaboration graph, as plain data, and the plan that runs it."""

from typing import Self

from pydantic import Field, model_validator

from schemas.base import Message, Token
from schemas.parts import Modality

TASK = "task"
"""The name of the graph's source: the task's own parts flow from here."""


class Node(Message):
    """One agent's skill, put to work on one goal."""

    id: Token
    agent_id: Token
    skill_id: Token
    goal: str = Field(default="", description="the words of the task that this node answers")


class Edge(Message):
    """Content of some modalities flowing from one node (or the task) into another."""

    source: str
    target: str
    modalities: tuple[Modality, ...] = Field(min_length=1)


class Network(Message):
    """An acyclic graph with one sink. Types on its edges are checked against the cards by the planner."""

    nodes: tuple[Node, ...] = Field(min_length=1)
    edges: tuple[Edge, ...]

    @model_validator(mode="after")
    def _is_well_formed(self) -> Self:
        ids = {node.id for node in self.nodes}
        if len(ids) != len(self.nodes) or TASK in ids:
            raise ValueError(f"node ids must be distinct and none may be '{TASK}'")
        for edge in self.edges:
            if edge.target not in ids or (edge.source not in ids and edge.source != TASK):
                raise ValueError(f"edge {edge.source} -> {edge.target} names a node that is not there")
        self.groups()
        if len(self.sinks()) != 1:
            raise ValueError(f"a network has one sink; found {sorted(self.sinks())}")
        return self

    def sinks(self) -> set[str]:
        """Nodes whose answers no other node reads."""
        return {node.id for node in self.nodes} - {edge.source for edge in self.edges}

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Node ids in order of execution; those of one group may run in parallel (Kahn 1962)."""
        waiting = {node.id: 0 for node in self.nodes}
        readers: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for source, target in {(edge.source, edge.target) for edge in self.edges if edge.source != TASK}:
            waiting[target] += 1
            readers[source].append(target)
        order: list[tuple[str, ...]] = []
        ready = [node for node, sources in waiting.items() if not sources]
        while ready:
            order.append(tuple(sorted(ready)))
            ready = []
            for reader in (reader for node in order[-1] for reader in readers[node]):
                waiting[reader] -= 1
                if not waiting[reader]:
                    ready.append(reader)
        if stuck := waiting.keys() - {node for group in order for node in group}:
            raise ValueError(f"the network has a cycle through {sorted(stuck)}")
        return tuple(order)

    def node(self, node_id: str) -> Node:
        """The node of that id. KeyError when there is none."""
        for node in self.nodes:
            if node.id == node_id:
                return node
        raise KeyError(node_id)


class Interval(Message):
    """A forecast: in 8 of 10 cases what happens lies between ``low`` and ``high``."""

    low: float = Field(ge=0)
    middle: float = Field(ge=0)
    high: float = Field(ge=0)


class PlanEstimate(Message):
    """What a plan was expected to come to, kept beside what it came to."""

    duration_ms: Interval
    cost: Interval
    quality: Interval = Field(description="chance that the task succeeds, calibrated on how earlier forecasts fared")
    uncalibrated: float = Field(default=0.0, ge=0, le=1, description="the chance before that calibration")
    steps_seen: int = Field(
        default=0, ge=0, description="past steps of these skills it rests on; 0: card and prior only"
    )


class Substitute(Message):
    """Another skill that fits a node's edges, tried when the first agent fails."""

    agent_id: Token
    skill_id: Token


class Plan(Message):
    """A network with its order, estimates and budget: what a worker executes and resumes."""

    plan_id: str
    network: Network
    order: tuple[tuple[str, ...], ...] = Field(description="groups of node ids; each group runs in parallel")
    critical_path: tuple[str, ...]
    estimated_ms: float = Field(ge=0)
    estimated_cost: float = Field(ge=0)
    approvals: tuple[str, ...] = Field(default=(), description="nodes that wait for a person, or 'task'")
    planner: str = Field(
        default="greedy-1", description="who made the network: greedy-1, or genetic-1 after refinement"
    )
    kind: str | None = Field(
        default=None, description="the kind of task whose network this is; none: woven for this task"
    )
    refined: int = Field(default=0, ge=0, description="how often a better network replaced that of the kind")
    estimate: PlanEstimate | None = None
    substitutes: dict[str, tuple[Substitute, ...]] = Field(
        default_factory=dict, description="by node, best first: who does the step when its agent fails"
    )
