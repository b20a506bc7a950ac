"""A policy as a small file beside large ones: weights and standings in the snapshot, past tasks in the object store.

Written by the learner, read by workers. Vectors lie in chunks of ``CHUNK_ROWS`` that never change once they are full,
named by their content: a new version adds one or two blobs, and a worker fetches those that it has not got. What was
made of the tasks, and by whom, lies in one blob of its own, because people may correct it.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.features import usual_success
from agents.matching.live.past import PastTasks
from agents.matching.live.policy import LivePolicy, named, weights_of
from agents.matching.live.standings import Standings
from schemas.audition import is_audition
from schemas.policy import AgentStanding, Lineage, PolicySnapshot, PolicyUnreadable

CHUNK_ROWS = 1_024
OUTCOMES = "past-outcomes"
GROUPS = "groups"
KIN = "group-kinship"
COUNTS = "group-counts"
OWN_STEPS = "own-steps"
_VECTORS = "past-vectors-"
_ID_BYTES = 64
_DAMAGES = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class Title:
    """What a version is called and where it comes from."""

    policy: str
    parent: str | None
    encoder: str
    lineage: Lineage


def artefacts_of(policy: LivePolicy) -> dict[str, bytes]:
    """The large parts, by name. Costs some milliseconds for each thousand past tasks."""
    past = policy.past
    parts = {
        f"{_VECTORS}{start // CHUNK_ROWS:03d}": _packed(past.vectors[start : start + CHUNK_ROWS].astype(np.float16))
        for start in range(0, past.count, CHUNK_ROWS)
    }
    ids = np.array([task_id.encode()[:_ID_BYTES] for task_id in past.task_ids], dtype=f"S{_ID_BYTES}")
    if past.count:
        parts[OUTCOMES] = _packed_many(agents=past.agents, outcomes=past.outcomes.astype(np.float16), ids=ids)
    weights, added = policy.own_steps.kept(past.serials)
    if len(weights):
        parts[OWN_STEPS] = _packed_many(weights=weights.astype(np.float16), added=added.astype(np.float16))
    if policy.groups:
        centres = policy.groups.centres
        sizes = np.array([len(level) for level in centres], dtype=np.int64)
        parts[GROUPS] = _packed_many(sizes=sizes, centres=np.concatenate(centres).astype(np.float16))
        parts[KIN] = _packed(policy.groups.kin.astype(np.float16))
        parts[COUNTS] = _packed(policy.groups.counts.astype(np.float16))
    return parts


def snapshot_of(policy: LivePolicy, title: Title, artefacts: Mapping[str, str]) -> PolicySnapshot:
    """The small file. ``artefacts`` names the digests under which the large parts were stored."""
    # Nine digits say all of a float32; as float64 it would be written with seventeen, for each of thousands of agents.
    rows = [[float(f"{value:.9g}") for value in row] for row in policy.standings.table.tolist()]
    agents = zip(policy.standings.agents, rows, strict=True)
    return PolicySnapshot(
        policy=title.policy,
        parent=title.parent,
        encoder=title.encoder,
        events=policy.events,
        weights=named(policy.weights),
        trust=policy.trust,
        standings={
            agent: AgentStanding(successes=done, failures=failed, latency_ms=latency_ms, cost=cost)
            for agent, (done, failed, latency_ms, cost) in agents
        },
        artefacts=dict(artefacts),
        lineage=title.lineage,
    )


def policy_of(snapshot: PolicySnapshot, parts: Mapping[str, bytes], dimension: int) -> LivePolicy:
    """The policy again. ``parts`` are the artefacts' bytes. Raises PolicyUnreadable when they are not what they say."""
    standings = Standings()
    for agent_id, one in snapshot.standings.items():
        standings.put(agent_id, (one.successes, one.failures, one.latency_ms, one.cost))
    policy = LivePolicy(PastTasks(dimension), standings, weights_of(snapshot.weights))
    policy.events = snapshot.events
    policy.trust = snapshot.trust
    if OUTCOMES in parts:
        _remember(policy, parts, dimension)
        passes_over = [not is_audition(task_id) for task_id in policy.past.task_ids]
        standings.remember(policy.past.agents, np.array(passes_over, dtype=bool))
    if OWN_STEPS in parts:
        _resume_own_steps(policy, parts[OWN_STEPS])
    if GROUPS in parts:
        _group(policy, parts, dimension)
    return policy


def _resume_own_steps(policy: LivePolicy, content: bytes) -> None:
    found = _unpacked_many(content, ("weights", "added"))
    weights, added = (found[name].astype(np.float32) for name in ("weights", "added"))
    if weights.ndim != 1 or weights.shape != added.shape or len(weights) > policy.past.count:
        shapes = f"{weights.shape} and {added.shape}"
        raise PolicyUnreadable(f"the policy weighs steps in the shapes {shapes}; its past has {policy.past.count}")
    if not (np.isfinite(weights).all() and np.isfinite(added).all()):
        raise PolicyUnreadable("the policy weighs own steps with what is no number")
    policy.own_steps.resume(weights, added, usual_success(policy.standings))


def _group(policy: LivePolicy, parts: Mapping[str, bytes], dimension: int) -> None:
    centres = _centres(parts[GROUPS], dimension)
    kin = _unpacked(parts[KIN]).astype(np.float32) if KIN in parts else np.zeros((0, 0), dtype=np.float32)
    if kin.size and kin.shape != (len(centres[-1]),) * 2:
        raise PolicyUnreadable(f"the policy's last {len(centres[-1])} groups have a kinship of the shape {kin.shape}")
    if COUNTS not in parts:  # a version made before counts were kept
        policy.groups.restore(centres, policy.past, len(policy.standings), kin)
        return
    counts = _unpacked(parts[COUNTS])
    if counts.ndim != 3 or counts.shape[0] != 2 or counts.shape[2] != sum(map(len, centres)):
        raise PolicyUnreadable(f"the policy's groups have counts of the shape {counts.shape}")
    policy.groups.resume(centres, counts, kin)


def _centres(content: bytes, dimension: int) -> tuple[NDArray[np.float32], ...]:
    found = _unpacked_many(content, ("sizes", "centres"))
    sizes, centres = found["sizes"], found["centres"].astype(np.float32)
    if centres.ndim != 2 or centres.shape[1] != dimension or sizes.sum() != len(centres) or (sizes < 1).any():
        raise PolicyUnreadable(f"the policy's groups have the shape {centres.shape} in levels of {sizes.tolist()}")
    return tuple(np.split(centres, sizes.cumsum()[:-1]))


def _remember(policy: LivePolicy, parts: Mapping[str, bytes], dimension: int) -> None:
    outcomes = _unpacked_many(parts[OUTCOMES], ("agents", "outcomes", "ids"))
    chunks = [_unpacked(parts[name]) for name in sorted(parts) if name.startswith(_VECTORS)]
    vectors = np.concatenate(chunks) if chunks else np.zeros((0, dimension), dtype=np.float16)
    agents, ids = outcomes["agents"], outcomes["ids"]
    if not len(vectors) == len(agents) == len(ids) == len(outcomes["outcomes"]):
        raise PolicyUnreadable(f"the policy's past has {len(vectors)} vectors for {len(agents)} outcomes")
    if vectors.shape[1] != dimension:
        raise PolicyUnreadable(f"the policy's vectors have {vectors.shape[1]} numbers; the encoder makes {dimension}")
    if len(agents) and not 0 <= int(agents.min()) <= int(agents.max()) < len(policy.standings):
        raise PolicyUnreadable("the policy's past speaks of agents that it does not name")
    names = [bytes(one).decode(errors="replace") for one in ids.tolist()]
    policy.past.extend(names, vectors, agents, outcomes["outcomes"])


def _packed(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _packed_many(**arrays: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _unpacked(content: bytes) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    except _DAMAGES as error:
        raise PolicyUnreadable(f"an artefact of the policy is damaged: {error}") from error
    return array


def _unpacked_many(content: bytes, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (*_DAMAGES, KeyError) as error:
        raise PolicyUnreadable(f"an artefact of the policy is damaged: {error}") from error
