"""What one version says differently from another. Called by `aos policy diff`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from schemas.policy import AgentStanding, PolicySnapshot

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """From ``before`` to ``after``; None stands for what one of them does not have."""

    before: str
    after: str
    weights: Mapping[str, tuple[float | None, float | None]]
    standings: Mapping[str, tuple[float | None, float | None]]
    """Each agent's share of successes, where it differs."""
    artefacts: Mapping[str, tuple[str | None, str | None]]
    encoders: tuple[str, str] | None
    """The two encoders, when they differ: then no weight can be compared."""
    changed_choices: float | None = None
    """Share of recent decisions that would go to another agent; None when nothing could be measured."""


def diff(before: PolicySnapshot, after: PolicySnapshot, changed_choices: float | None = None) -> PolicyDiff:
    """Only what differs, by name."""
    return PolicyDiff(
        before=before.policy,
        after=after.policy,
        weights=_differing(before.weights, after.weights),
        standings=_differing(_rates(before.standings), _rates(after.standings)),
        artefacts=_differing(before.artefacts, after.artefacts),
        encoders=None if before.encoder == after.encoder else (before.encoder, after.encoder),
        changed_choices=changed_choices,
    )


def _rates(standings: Mapping[str, AgentStanding]) -> dict[str, float]:
    tried = {agent: one.successes + one.failures for agent, one in standings.items()}
    return {agent: one.successes / tried[agent] for agent, one in standings.items() if tried[agent]}


def _differing(before: Mapping[str, Value], after: Mapping[str, Value]) -> dict[str, tuple[Value | None, Value | None]]:
    names = sorted(before.keys() | after.keys())
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
