"""How one search of a large index goes about it, and how hard it tries. Called by the embedded index's shard.

A graph is walked from one allowed point to the next. A filter cuts its edges, and where few are left a walk strands
among points that are not the nearest: of a million skills it found 34 % of the nearest that a filter of 5 % allows. So
what is walked depends on the share of points that are allowed (docs/matching-index.md has the measured table):

- nearly all, or most of one tenant's or tag's that has edges of its own: walk among the allowed;
- a good part: walk as if there were no filter, further, and keep what it allows;
- few: compare each. The engine does so by itself, by int8 copies, below ``scan.scanned_below``.
"""

import math
from dataclasses import dataclass
from enum import Enum

TRIED_LEAST, TRIED_MOST = 64, 1_400
"""Candidates that a walk keeps (HNSW's ef)."""

TRIED_AT_A_MILLION = 192
"""Without a filter. At 64: recall@10 0.918; at 128: 0.965; at 192: 0.967; at 256: 0.972 for a quarter more time."""

WALKED_SHARE = 0.95
KEPT_SHARE = 0.6
SIEVED_SHARE = 0.2
"""Among a million, a sieve finds 95 % at a share of 0.31 in 5 ms of CPU, 79 % at 0.11 in 7."""

SIEVED_MOST = 5_000
"""Who asks for so many is answered sooner by comparing each."""

EDGED_SHARE = 0.18
"""A tenant or tag that a larger share has gets no edges of its own: the engine's limit is 4 divided by the edges of a
point, 21 to 24 on average."""


class Way(Enum):
    """How the nearest of the allowed are found."""

    WALK = "walk"
    SIEVE = "sieve"
    EACH = "each"


@dataclass(frozen=True, slots=True)
class Effort:
    """``tried``: candidates that the walk keeps; 0 when there is none."""

    way: Way
    tried: int


def effort(points: int, allowed: int, edged: int, limit: int) -> Effort:
    """For the ``limit`` nearest among ``allowed`` of so many points.

    ``edged`` are the points of the rarest tenant or tag that all of the allowed have.
    """
    share = min(1.0, max(allowed, 1) / max(points, 1))
    plain = max(TRIED_LEAST, TRIED_AT_A_MILLION * math.sqrt(points / 1e6))
    if share >= WALKED_SHARE:
        return Effort(Way.WALK, round(plain))
    if edged <= EDGED_SHARE * points and allowed >= KEPT_SHARE * edged:
        return Effort(Way.WALK, round(min(TRIED_MOST, 0.75 * plain / share)))
    sieved = max(plain, (2 * limit + 100) / share)
    if share >= SIEVED_SHARE and sieved <= SIEVED_MOST:
        return Effort(Way.SIEVE, round(sieved))
    return Effort(Way.EACH, 0)
