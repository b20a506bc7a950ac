"""What happened before, for and against each agent, as arrays. Called by ``features``.

``Evidence`` holds the past queries sorted by agent, so that "the nearest query that this agent solved" is one product
and one segmented maximum for all agents at once: no index, no loop over agents.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

SHARPNESS = 20.0
"""Of the weight of past queries: one at cosine 0.9 counts e² times one at 0.8."""
FAR = -1.0


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """``vectors`` (events, d) sorted by agent; ``source`` (events,) the past query each event belongs to;
    ``starts`` (known,) where each of ``known`` agents' events begin. ``agents`` is the size of the catalogue."""

    vectors: Floats
    source: Rows
    known: Rows
    starts: Rows
    agents: int
    recent: "Evidence | None" = None
    """What happened since: a small second layer, so that remembering does not copy everything."""

    @classmethod
    def of(cls, vectors: Floats, solved_by: Sequence[Sequence[int]], agents: int) -> "Evidence":
        """From past queries (rows, d) and for each the agents that solved it."""
        source = np.repeat(np.arange(len(solved_by)), [len(right) for right in solved_by])
        agent = np.fromiter((one for right in solved_by for one in right), dtype=np.int64, count=len(source))
        order = np.argsort(agent, kind="stable")
        known, starts = np.unique(agent[order], return_index=True)
        return cls(vectors[source[order]], source[order], known, starts, agents)

    @property
    def counts(self) -> Floats:
        """(agents,) how many past queries each has."""
        counts = np.zeros(self.agents, dtype=np.float32)
        counts[self.known] = np.diff(np.append(self.starts, len(self.source)))
        return counts if self.recent is None else counts + self.recent.counts

    def with_recent(self, recent: "Evidence") -> "Evidence":
        """The same with another second layer."""
        return replace(self, recent=recent)

    def support(self, vectors: Floats) -> "Support":
        """How past queries speak for agents on new ones."""
        rows = len(vectors)
        nearest = np.full((rows, self.agents), FAR, dtype=np.float32)
        weight = np.zeros((rows, self.agents), dtype=np.float32)
        if len(self.source):
            cosines = vectors @ self.vectors.T
            nearest[:, self.known] = np.maximum.reduceat(cosines, self.starts, axis=1)
            cosines -= 1.0
            cosines *= SHARPNESS
            np.exp(cosines, out=cosines)
            weight[:, self.known] = np.add.reduceat(cosines, self.starts, axis=1)
        if self.recent is not None:
            newer = self.recent.support(vectors)
            np.maximum(nearest, newer.nearest, out=nearest)
            weight += newer.weight
        return Support(nearest, weight)


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """(queries, agents) float32: cosine of the nearest past query, and the summed weight of all near ones."""

    nearest: Floats
    weight: Floats
