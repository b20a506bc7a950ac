"""A plan's promise as a line for people. Called by ``aos explain``."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def plan_lines(plan: Json) -> Iterator[str]:
    """Who made the network, and what it is expected to come to."""
    refined, kind = plan.get("refined", 0), plan.get("kind")
    made = f"bettered {refined} times by genetic search" if refined else "woven greedily"
    yield f"network: {made}" + (f", for tasks of kind {kind}" if kind else ", for this task alone")
    estimate = plan.get("estimate")
    if estimate is None:
        return
    seen = estimate.get("steps_seen", 0)
    rests_on = f"{seen} past steps" if seen else "no experience yet, only the prior"
    quality = _interval(estimate["quality"], "{:.2f}")
    yield (
        f"expected: {_interval(estimate['duration_ms'], '{:.0f}')} ms · cost {_interval(estimate['cost'], '{:g}')} · "
        f"success {quality} · rests on {rests_on}"
    )


def _interval(interval: Json, form: str) -> str:
    low, middle, high = (form.format(round(interval[name], 6)) for name in ("low", "middle", "high"))
    return middle if low == high else f"{middle} ({low} to {high})"
