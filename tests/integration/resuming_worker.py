"""A worker process for ``test_resume``: runs one plan over a real server; hangs at some steps so that it can be killed.

Its agent writes each effect to a file, once more for every time that it is asked: nothing here forgives a repetition.
"""

import asyncio
import os
import sys
from pathlib import Path

from agents.ports.running import RunOutcome, RunRequest
from agents.running.runner import jetstream_runner
from gateway.bus.connection import connect
from schemas.base import is_token
from schemas.card import AgentCard, NatsEndpoint, Skill
from schemas.invocation import Invocation, InvocationReply
from schemas.network import TASK, Edge, Network, Node, Plan
from schemas.parts import Modality, text_part
from schemas.task import TaskEventKind, TaskSubmitted

TEXT = (Modality.TEXT,)


class EffectFile:
    """An agent whose only work is a line in a file. At the steps of ``hang_at`` it says so and never answers."""

    def __init__(self, path: Path, hang_at: frozenset[str] = frozenset()) -> None:
        self._path = path
        self._hang_at = hang_at

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        if card.id in self._hang_at:
            sys.stdout.write(f"asked {card.id}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()
        with self._path.open("a") as effects:
            effects.write(f"{invocation.step_id}\n")
        heard = ",".join(sorted(part.text or "" for part in invocation.inputs if part.name))
        return InvocationReply(step_id=invocation.step_id, outputs=(text_part(f"{card.id}({heard})"),))

    async def probe(self, card: AgentCard) -> bool | None:
        return True

    async def close(self) -> None:
        return None

    def effects(self) -> list[str]:
        """The nodes whose effect happened, in order."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [line.rpartition(".")[2] for line in lines]


def request_for(task_id: str, arrows: list[str], **more) -> RunRequest:
    """``["task>a", "a>b"]``: one agent for each node, text on every edge."""
    pairs = [tuple(arrow.split(">")) for arrow in arrows]
    names = list(dict.fromkeys(name for pair in pairs for name in pair if name != TASK))
    assert all(map(is_token, names))
    network = Network(
        nodes=tuple(Node(id=name, agent_id=name, skill_id="work") for name in names),
        edges=tuple(Edge(source=source, target=target, modalities=TEXT) for source, target in pairs),
    )
    order = network.groups()
    approvals = more.pop("approvals", ())
    plan = Plan(
        plan_id="p",
        network=network,
        order=order,
        critical_path=tuple(group[0] for group in order),
        estimated_ms=1,
        estimated_cost=0,
        approvals=approvals,
    )
    task = TaskSubmitted(task_id=task_id, parts=(text_part("go"),))
    return RunRequest(task, plan, task.parts, {name: _card(name) for name in names}, **more)


def _card(name: str) -> AgentCard:
    skill = Skill(id="work", description="leaves a line in a file", inputs=TEXT, outputs=TEXT)
    return AgentCard(
        id=name, version="1.0.0", description="leaves a line in a file", skills=(skill,), endpoint=NatsEndpoint()
    )


async def silent(kind: TaskEventKind, data: dict[str, object]) -> None:
    """Tells nobody."""


async def work(url: str, effects: Path, hang_at: frozenset[str], task_id: str, arrows: list[str]) -> RunOutcome:
    """Run the plan to its end, or until killed."""
    nc = await connect(url, f"worker-{os.getpid()}")
    try:
        return await jetstream_runner(nc, EffectFile(effects, hang_at)).run(request_for(task_id, arrows), silent)
    finally:
        await nc.close()


if __name__ == "__main__":
    url, effects, hang_at, task_id, *arrows = sys.argv[1:]
    asyncio.run(work(url, Path(effects), frozenset(hang_at.split(",")), task_id, arrows))
