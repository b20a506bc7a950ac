"""Thirty simulated agents with hidden strengths, and tasks for them. Defined here, by fixed seeds; no bus, no files.

Kinds of task are clusters of the query file's tools (k-means over the mean vectors of their queries): of what is really
wanted, which words do not always tell. With ``--kinds queries`` they are clusters of the queries themselves without
those between two: an easier fleet, whose kinds are visible in the words, for telling apart what the data hide from what
the learner misses. Every agent's card names example requests of the kind it claims to be good at; how good it is at
each kind, nobody but the oracle knows. Twelve kinds have two agents each that make the same claim, one a master of it,
one a bungler; six are generalists. A third of the agents have a talent that their card does not mention.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

Floats = NDArray[np.float64]
Kinds = NDArray[np.int64]
Centres = NDArray[np.float32]

KINDS = 10
SPECIALISTS = 24
GENERALISTS = 6
NEWCOMERS = 5
AGENTS = SPECIALISTS + GENERALISTS + NEWCOMERS
EXAMPLES = 4
DRIFT_AT = 2_500
NEWCOMERS_AT = 3_500
TASKS = 5_000
DRIFTING = 15
TOOLS, QUERIES = "tools", "queries"
"""What kinds of task are clusters of: the hard fleet and the visible one."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """``rows`` (tasks,) of the query file in the order they come, ``kinds`` (queries,), ``examples`` by kind.

    ``kinship`` (kinds, kinds) is 1 for the same kind and 0 for kinds that have nothing in common.
    """

    rows: NDArray[np.int64]
    kinds: NDArray[np.int64]
    kinship: Floats
    examples: tuple[tuple[int, ...], ...]


def work_of(
    vectors: NDArray[np.float32], gold: Sequence[str], seed: int, tasks: int = TASKS, kinds_of: str = TOOLS
) -> Work:
    """Kinds of queries, ``tasks`` of them in random order, and for each kind some that are kept for the cards.

    ``kinds_of`` says what is clustered: ``tools`` by the mean of their queries, or the ``queries`` themselves, of which
    those that lie between two kinds are left out.
    """
    needed = tasks + KINDS * EXAMPLES * 8
    order = np.random.default_rng(seed).permutation(len(vectors))
    if kinds_of == QUERIES:
        kinds, centres, clearest = _of_queries(vectors, seed)
        order = order[np.isin(order, clearest[:needed])]
    else:
        kinds, centres = _of_tools(vectors, gold, seed)
    kept = [order[kinds[order] == kind][: EXAMPLES * 8] for kind in range(KINDS)]
    left = order[~np.isin(order, np.concatenate(kept))]
    if len(left) < tasks:
        raise ValueError(f"{tasks} tasks need {needed} different queries, not {len(vectors)}")
    means = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    kinship = _kinship(means @ means.T)
    return Work(left[:tasks], kinds.astype(np.int64), kinship, tuple(tuple(map(int, rows)) for rows in kept))


def _of_tools(vectors: NDArray[np.float32], gold: Sequence[str], seed: int) -> tuple[Kinds, Centres]:
    """Of each query its tool's kind, and the centre of each kind."""
    names, tool = np.unique(list(gold), return_inverse=True)
    centres = np.stack([vectors[tool == one].mean(axis=0) for one in range(len(names))])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    clusters = KMeans(KINDS, n_init=4, random_state=seed).fit(centres, sample_weight=np.bincount(tool))
    return clusters.labels_[tool], clusters.cluster_centers_


def _of_queries(vectors: NDArray[np.float32], seed: int) -> tuple[Kinds, Centres, Kinds]:
    """The same by the query itself, and the queries by number, those whose kind is clearest first."""
    clusters = KMeans(KINDS, n_init=4, random_state=seed).fit(vectors)
    nearest = np.sort(clusters.transform(vectors), axis=1)
    return clusters.labels_, clusters.cluster_centers_, np.argsort(nearest[:, 0] - nearest[:, 1], kind="stable")


def _kinship(cosines: NDArray[np.float32]) -> Floats:
    """Scaled so that the least alike kinds have none."""
    lowest = float(cosines.min())
    kinship: Floats = ((cosines - lowest) / (1.0 - lowest)).astype(np.float64)
    return kinship


@dataclass(frozen=True, slots=True, eq=False)
class FleetTruth:
    """``claims`` (agents,) the kind on each card, -1 for generalists; strengths (agents, kinds) before and after."""

    claims: NDArray[np.int64]
    before: Floats
    after: Floats

    def strengths(self, task: int) -> Floats:
        """(agents, kinds) chances of success at that task; newcomers that have not come yet have none."""
        strengths = (self.before if task < DRIFT_AT else self.after).copy()
        if task < NEWCOMERS_AT:
            strengths[-NEWCOMERS:] = 0.0
        return strengths

    def present(self, task: int) -> NDArray[np.int64]:
        """The agents that have come."""
        return np.arange(AGENTS if task >= NEWCOMERS_AT else AGENTS - NEWCOMERS)


def fleet_of(kinship: Floats, seed: int) -> FleetTruth:
    """The fleet and its drift: fifteen agents, drawn by chance, take over one another's strengths."""
    rng = np.random.default_rng([seed, 1])
    claims = np.concatenate(
        [np.arange(SPECIALISTS) % KINDS, np.full(GENERALISTS, -1), rng.integers(0, KINDS, NEWCOMERS)]
    )
    strengths = rng.uniform(0.03, 0.30, (AGENTS, KINDS))
    for agent in range(SPECIALISTS):
        master = agent < KINDS
        peak = rng.uniform(0.88, 0.97) if master else rng.uniform(0.30, 0.55)
        strengths[agent] = np.maximum(strengths[agent], peak * kinship[claims[agent]])
        if rng.random() < 1 / 3:
            strengths[agent, rng.integers(KINDS)] = rng.uniform(0.6, 0.9)
    strengths[SPECIALISTS : SPECIALISTS + GENERALISTS] = rng.uniform(0.35, 0.60, (GENERALISTS, KINDS))
    for place, strength in enumerate((0.98, 0.90, 0.70, 0.50, 0.20)):
        newcomer = AGENTS - NEWCOMERS + place
        strengths[newcomer] = np.maximum(strengths[newcomer], strength * kinship[claims[newcomer]])
    after = strengths.copy()
    drifting = rng.permutation(AGENTS - NEWCOMERS)[:DRIFTING]
    after[drifting] = strengths[np.roll(drifting, 1)]
    return FleetTruth(claims, strengths, after)


def agent_name(agent: int) -> str:
    """The agent's id."""
    return f"a{agent:02d}"


def succeeds(seed: int, task: int, agent: int, chance: float) -> bool:
    """Whether this agent succeeds at this task: the same whoever asks, so that policies are compared on equal luck."""
    return bool(np.random.default_rng([seed, task, agent]).random() < chance)


def examples_of(work: Work, claim: int, agent: int, seed: int) -> tuple[int, ...]:
    """Rows of the queries on the agent's card: of the kind it claims, or of any for a generalist."""
    rng = np.random.default_rng([seed, 2, agent])
    pool = work.examples[claim] if claim >= 0 else tuple(row for rows in work.examples for row in rows)
    return tuple(int(row) for row in rng.permutation(pool)[:EXAMPLES])
