"""Small words to tell stories about runs: cards, networks written as arrows, and agents that do as told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from agents.ports.running import RunRequest
from schemas.card import AgentCard, Cost, NatsEndpoint, Skill, Timeouts
from schemas.invocation import Invocation, InvocationError, InvocationReply
from schemas.network import TASK, Edge, Network, Node, Plan
from schemas.parts import Modality, Part, text_part
from schemas.task import TaskEventKind, TaskSubmitted

TEXT = (Modality.TEXT,)

Behaviour = Callable[[Invocation], Awaitable[InvocationReply]]


def card(agent_id: str, *, inputs=TEXT, outputs=TEXT, requires=(), cost: Cost | None = None, **more: Any) -> AgentCard:
    timeouts = Timeouts(step_s=more.pop("step_s", 5.0), attempts=more.pop("attempts", 3))
    return AgentCard(
        id=agent_id,
        version="1.0.0",
        description=f"the agent {agent_id} of a test",
        skills=(
            Skill(id="work", description="works on whatever comes", inputs=inputs, requires=requires, outputs=outputs),
        ),
        endpoint=NatsEndpoint(),
        timeouts=timeouts,
        cost=cost or Cost(),
        **more,
    )


def network(*arrows: str) -> Network:
    """``network("task>a", "a>b")``: one agent for each node, text on every edge."""
    pairs = [tuple(arrow.split(">")) for arrow in arrows]
    names = dict.fromkeys(name for pair in pairs for name in pair if name != TASK)
    return Network(
        nodes=tuple(Node(id=name, agent_id=name, skill_id="work") for name in names),
        edges=tuple(Edge(source=source, target=target, modalities=TEXT) for source, target in pairs),
    )


def plan_of(net: Network, approvals: tuple[str, ...] = ()) -> Plan:
    groups = net.groups()
    return Plan(
        plan_id="p1",
        network=net,
        order=groups,
        critical_path=tuple(group[0] for group in groups),
        estimated_ms=1,
        estimated_cost=0,
        approvals=approvals,
    )


def request_for(
    *arrows: str,
    cards: tuple[AgentCard, ...] = (),
    approvals: tuple[str, ...] = (),
    approved: frozenset[str] = frozenset(),
    denied: frozenset[str] = frozenset(),
    parts: tuple[Part, ...] = (text_part("do it"),),
    **task: Any,
) -> RunRequest:
    net = network(*arrows)
    known = {node.agent_id: card(node.agent_id) for node in net.nodes} | {c.id: c for c in cards}
    submitted = TaskSubmitted(parts=parts, **task)
    return RunRequest(submitted, plan_of(net, approvals), parts, known, approved, denied)


def reply(invocation: Invocation, text: str | None = None, cost: float | None = None) -> InvocationReply:
    said = text if text is not None else f"{invocation.agent_id} did"
    return InvocationReply(step_id=invocation.step_id, outputs=(text_part(said),), cost=cost)


def refusal(invocation: Invocation, *, retryable: bool = False) -> InvocationReply:
    error = InvocationError(code="broken", message="it does not work", retryable=retryable)
    return InvocationReply(step_id=invocation.step_id, error=error)


class Agents:
    """A connector to agents that answer at once, unless told otherwise. Remembers every invocation."""

    def __init__(self, **behaviours: Behaviour) -> None:
        self.behaviours = behaviours
        self.asked: list[Invocation] = []
        self.timeouts_s: list[float] = []
        self.cancelled: list[str] = []

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        self.asked.append(invocation)
        self.timeouts_s.append(timeout_s)
        behaviour = self.behaviours.get(card.id)
        if behaviour is None:
            return reply(invocation)
        try:
            return await behaviour(invocation)
        except asyncio.CancelledError:
            self.cancelled.append(card.id)
            raise

    async def probe(self, card: AgentCard) -> bool | None:
        return True

    async def close(self) -> None:
        return None

    def steps(self) -> list[str]:
        """Agents in the order in which they were asked."""
        return [invocation.agent_id for invocation in self.asked]


class Story:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.moments: list[tuple[TaskEventKind, dict[str, Any]]] = []

    async def __call__(self, kind: TaskEventKind, data: dict[str, Any]) -> None:
        self.moments.append((kind, data))

    def kinds(self) -> list[str]:
        return [kind.value for kind, _ in self.moments]

    def of(self, kind: TaskEventKind) -> list[dict[str, Any]]:
        return [data for told, data in self.moments if told is kind]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
