"""How long a worker's event loop stands still while a new policy version takes over: what a task may meet then.

    python -m benchmarks.takeover [--tasks 20000] [--agents 30] [--versions 5] [--json]

The real path: a bus, an object store, and a worker's feed of policies, which reads each version, builds it, and catches
up with outcomes that it heard since. A clock on the same event loop ticks every millisecond meanwhile; what it is late
by is a stall. CPU seconds say more than stalls where others use the machine.
"""

import argparse
import asyncio
import base64
import json
import tempfile
import time
from pathlib import Path

import nats
import numpy as np
from nats.js import JetStreamContext
from numpy.typing import NDArray

from agents.matching.live.feed import PolicyFeed
from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.snapshots import Title, artefacts_of, snapshot_of
from benchmarks.report import machine, table
from gateway.bus.ensuring import ensure
from gateway.bus.streams import Quotas
from gateway.embedded.nats_server import NatsServer
from schemas import subjects
from schemas.card import AgentCard, NatsEndpoint, Skill
from schemas.experience import ExperienceRecord
from schemas.parts import Modality
from schemas.policy import Lineage, dumps
from schemas.policy_state import PolicyState
from schemas.task import TaskState
from tensor_layer.storage.blobs import ObstoreBlobs

SEED = 0
DIMENSION = 384
KINDS = 40
ENCODER = "made up"
HEARD = 2_000
"""Outcomes that the worker heard and a version does not know."""
TICK_S = 0.001
TENANT = "default"

Floats = NDArray[np.float32]


class Tasks:
    """Tasks of some kinds, unit-norm vectors around a middle each."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(SEED)
        self._middles = self._rng.normal(size=(KINDS, DIMENSION)).astype(np.float32)

    def drawn(self, count: int) -> Floats:
        """(count, DIMENSION)."""
        noise = self._rng.normal(size=(count, DIMENSION)).astype(np.float32)
        vectors = self._middles[self._rng.integers(KINDS, size=count)] + 0.7 * noise
        unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


async def takeovers(tasks: int, agents: int, versions: int) -> list[dict[str, float]]:
    """What each version but the first, which nothing waits for, cost."""
    drawn, found = Tasks(), []
    with tempfile.TemporaryDirectory(prefix="aos-takeover-") as folder:
        server = NatsServer(Path(folder) / "nats", sync_interval="10s")
        await server.start()
        nc = await nats.connect(server.url)
        js = nc.jetstream()
        await ensure(js, Quotas(), nc.max_payload)
        blobs = ObstoreBlobs.from_url((Path(folder) / "blobs").as_uri())
        cards = {name: _card(name) for name in _names(agents)}
        feed = PolicyFeed(js, blobs, lambda _tenant: cards, _encode, ENCODER)
        await feed.start()
        policy = _learned(drawn.drawn(tasks), agents)
        try:
            for number in range(versions + 1):
                await _publish(js, blobs, policy, f"version-{number}")
                cost = await _taken_over(js, feed, f"version-{number}")
                found += [cost] if number else []
                feed.learn([_record(f"heard-{number}-{at}", v, agents) for at, v in enumerate(drawn.drawn(HEARD))])
        finally:
            await feed.stop()
            await nc.close()
            await server.stop()
    return found


async def _taken_over(js: JetStreamContext, feed: PolicyFeed, name: str) -> dict[str, float]:
    late_ms: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    await _put(
        js, subjects.policy_state_key(TENANT), PolicyState(tenant=TENANT, active=name).model_dump_json().encode()
    )
    while (lot := feed.lot(TENANT, None)) is None or lot.policy != name:
        before = time.perf_counter()
        await asyncio.sleep(TICK_S)
        late_ms.append((time.perf_counter() - before - TICK_S) * 1e3)
    return {
        "CPU ms": (time.process_time() - cpu) * 1e3,
        "clock ms": (time.perf_counter() - wall) * 1e3,
        "longest stall ms": max(late_ms),
    }


async def _publish(js: JetStreamContext, blobs: ObstoreBlobs, policy: LivePolicy, name: str) -> None:
    digests = {part: (await blobs.put_bytes(content)).digest for part, content in artefacts_of(policy).items()}
    snapshot = snapshot_of(policy, Title(name, None, ENCODER, Lineage()), digests)
    await _put(js, subjects.policy_version_key(TENANT, name), dumps(snapshot))


async def _put(js: JetStreamContext, key: str, value: bytes) -> None:
    await (await js.key_value(subjects.BUCKET_POLICY)).put(key, value)


def _learned(vectors: Floats, agents: int) -> LivePolicy:
    policy, names = LivePolicy.blank(DIMENSION), _names(agents)
    steps = [
        Outcome(f"task-{number}", names[number % agents], vector, float(number % 3 > 0))
        for number, vector in enumerate(vectors)
    ]
    policy.learn_all(steps)
    policy.groups.find(policy.past, agents, policy.events)
    return policy


def _record(task_id: str, vector: Floats, agents: int) -> ExperienceRecord:
    return ExperienceRecord(
        record_id=task_id, task_id=task_id, tenant=TENANT, state=TaskState.SUCCEEDED, success=True,
        chosen=(_names(agents)[len(task_id) % agents],), vector=base64.b64encode(vector.tobytes()).decode(),
        latency_ms=5, cost=0,
    )  # fmt: skip


def _names(agents: int) -> list[str]:
    return [f"agent-{number}" for number in range(agents)]


def _card(agent_id: str) -> AgentCard:
    text = (Modality.TEXT,)
    skill = Skill(id="s", description="Answers questions.", inputs=text, outputs=text)
    return AgentCard(id=agent_id, version="1.0.0", description="Answers.", skills=(skill,), endpoint=NatsEndpoint())


async def _encode(texts: object) -> Floats:
    return np.zeros((1, DIMENSION), dtype=np.float32)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=20_000, help="past tasks that a version remembers")
    parser.add_argument("--agents", type=int, default=30)
    parser.add_argument("--versions", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = asyncio.run(takeovers(given.tasks, given.agents, given.versions))
    if given.json:
        print(json.dumps(found))
        return
    print(table(["version", *found[0]], [[number, *one.values()] for number, one in enumerate(found, 1)]))
    print(
        f"\n{given.tasks} past tasks of {given.agents} agents, {HEARD} outcomes heard since, seed {SEED}, {machine()}"
    )


if __name__ == "__main__":
    main()
