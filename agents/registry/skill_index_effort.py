"""How hard one search tries: how many candidates it keeps, and how it gets around a filter. Called by the edge index.

A graph is walked from one allowed point to the next. A filter cuts its edges, and where few are left a walk strands
among points that are not the nearest. What helps depends on the share of points that are allowed: keep more candidates;
walk the edges that were built among points of one tenant or tag (``skill_points.GRAPHED_KEYWORDS``); step over a point
that is not allowed to its neighbours (ACORN, https://arxiv.org/abs/2403.04871, ten times dearer for a candidate); or
compare each of a few. The last is the engine's own choice, below ``skill_index_shard.SCANNED_KB``.
"""

import math
from dataclasses import dataclass

TRIED_LEAST, TRIED_MOST = 64, 1_024
TRIED_AT_A_MILLION = 256
"""Candidates without a filter. docs/matching-index.md has the table this comes from."""

EDGED_SHARE = 0.18
"""A value that a larger share has gets no edges of its own: the engine's limit is 4 divided by the edges of a point, 21
to 24 on average."""

STRANDED_SHARE = 0.3
"""Below it, and without edges of its own, a filter leaves too little of the graph to walk on."""


@dataclass(frozen=True, slots=True)
class Effort:
    """``tried``: candidates kept (HNSW's ef). ``over``: whether the walk steps over points that are not allowed."""

    tried: int
    over: bool = False


def effort(points: int, allowed: int, edged: int) -> Effort:
    """For a search among ``allowed`` of so many points.

    ``edged`` are the points of the rarest tenant or tag that all of the allowed have.
    """
    points = max(points, 1)
    share = min(1.0, max(allowed, 1) / points)
    walked = edged if edged <= EDGED_SHARE * points else points
    kept = min(1.0, max(allowed, 1) / max(walked, 1))
    if kept < STRANDED_SHARE:
        return Effort(TRIED_LEAST, over=True)
    plain = TRIED_AT_A_MILLION * math.sqrt(points / 1e6)
    return Effort(round(min(TRIED_MOST, max(TRIED_LEAST, plain / math.sqrt(share * kept)))))
