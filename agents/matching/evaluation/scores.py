"""The figures that the evaluation commands print, from ranks and scores. Pure; all shares are 0-1."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KEPT_SHARE = 0.95
"""Out-of-scope queries are caught at the threshold that keeps this share of the real ones."""

KEPT_SHARES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 1.0)

NEVER = np.iinfo(np.int64).max
"""The rank of a right agent that was not in the list."""


def first_hits(ranked: NDArray[np.int64], gold: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """For each query the place (0 = first) of its best right agent in ``ranked`` (queries, places), else NEVER.

    A place that holds nobody is -1.
    """
    places = np.full(len(gold), NEVER, dtype=np.int64)
    for query, right in enumerate(gold):
        hits = np.flatnonzero(np.isin(ranked[query], np.asarray(right, dtype=np.int64)))
        if len(hits):
            places[query] = hits[0]
    return places


def recall_at(places: NDArray[np.int64], k: int) -> float | None:
    """The share of queries with a right agent among the first ``k``; None without queries."""
    return float(np.mean(places < k)) if len(places) else None


def mean_reciprocal_rank(places: NDArray[np.int64]) -> float | None:
    """The mean of 1 / place of the first right agent, 0 when it is not in the list; None without queries."""
    return float(np.mean(np.where(places == NEVER, 0.0, 1.0 / (places + 1.0)))) if len(places) else None


def auroc(positive: Floats, negative: Floats) -> float | None:
    """How often a positive scores above a negative, ties half; None when one side is empty. Mann-Whitney's U."""
    if not len(positive) or not len(negative):
        return None
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float(np.mean((below + not_above) / 2) / len(negative))


def caught_at(out_of_scope: Floats, in_scope: Floats, kept: float = KEPT_SHARE) -> float | None:
    """The share of out-of-scope queries above the score that keeps ``kept`` of the real ones; None without both."""
    if not len(out_of_scope) or not len(in_scope):
        return None
    return float(np.mean(out_of_scope > np.quantile(in_scope, kept, method="higher")))


def caught_by_kept(
    out_of_scope: Floats, in_scope: Floats, kept: Sequence[float] = KEPT_SHARES
) -> list[tuple[float, float]] | None:
    """The curve of ``caught_at``: each share of real queries kept, and the share of the others then caught."""
    if not len(out_of_scope) or not len(in_scope):
        return None
    return [(share, round(float(caught_at(out_of_scope, in_scope, share) or 0.0), 4)) for share in kept]


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """``p50`` and ``p99`` in milliseconds."""
    times = np.asarray(seconds, dtype=np.float64) * 1_000.0
    if not len(times):
        return {"p50": 0.0, "p99": 0.0}
    return {"p50": round(float(np.quantile(times, 0.5)), 3), "p99": round(float(np.quantile(times, 0.99)), 3)}
