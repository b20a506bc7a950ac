"""What routing rules mean for one task: who is excluded and who is preferred, and why. Pure.

Called by `rule_book`, before planning, and by the matcher, which puts the preferred first.
"""

import base64
import functools
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from agents.matching.ranking import greedy, unchosen
from schemas.candidate import Candidate, Excluded, MatchReport
from schemas.parts import Modality
from schemas.routing_rule import RoutingRule, RuleEffect, TaskKind
from schemas.task import RoutingHints
from tensor_layer.ports import Vector

EXCLUDED_BY_TASK = "the task excludes it"
"""What `eligibility` says of an agent in ``RoutingHints.exclude``, where the rules' agents are put too."""


def applying(
    rules: Iterable[RoutingRule], vector: Vector | None, modalities: Collection[Modality]
) -> list[RoutingRule]:
    """The rules whose conditions this task meets. ``vector`` is (dimension,) float32 unit-norm."""
    return [
        rule
        for rule in rules
        if set(rule.modalities) <= set(modalities) and (rule.kind is None or is_of_kind(vector, rule.kind))
    ]


def is_of_kind(vector: Vector | None, kind: TaskKind) -> bool:
    """Whether the vector is of that kind; never for one of another encoder's dimension."""
    centre = _centre(kind.centre)
    return vector is not None and vector.shape == centre.shape and float(vector @ centre) >= kind.reach


def hints_under(rules: Sequence[RoutingRule], hints: RoutingHints) -> RoutingHints:
    """The task's hints with what the rules add. What the task itself says is stronger."""
    said = {*hints.pin, *hints.exclude}
    excluded = _agents(rules, RuleEffect.EXCLUDE, said)
    preferred = _agents(rules, RuleEffect.PREFER, {*said, *hints.prefer, *excluded})
    return hints.model_copy(update={"exclude": (*hints.exclude, *excluded), "prefer": (*hints.prefer, *preferred)})


def preferred_first(ranked: Sequence[Candidate], prefer: Sequence[str], threshold: float) -> tuple[Candidate, ...]:
    """The ranking with preferred agents that are good enough at its head, in the order they had.

    One of them is then chosen with certainty: nobody else is tried. Who is moved there is scored above the others.
    """
    first = [candidate for candidate in ranked if candidate.agent_id in prefer and candidate.score >= threshold]
    if not first:
        return tuple(ranked)
    if first == list(ranked[: len(first)]):
        return greedy(ranked)
    best = max(candidate.score for candidate in ranked)
    moved = [
        candidate.model_copy(
            update={
                "score": best + 1e-6 * (len(first) - place),
                "probability": 0.0 if place else 1.0,
                "reasons": ("preferred by a routing rule or by the task", *candidate.reasons),
            }
        )
        for place, candidate in enumerate(first)
    ]
    return (*moved, *unchosen([candidate for candidate in ranked if candidate not in first]))


def told(report: MatchReport, rules: Sequence[RoutingRule], hints: RoutingHints) -> MatchReport:
    """The report, saying which rule it was that excluded an agent that the task's own ``hints`` allow."""
    because = {
        agent: f"routing rule {rule.rule_id} excludes it: {rule.statement}"
        for rule in reversed(rules)
        if rule.effect is RuleEffect.EXCLUDE
        for agent in rule.agents
        if agent not in hints.exclude
    }
    if not because:
        return report
    excluded = [
        Excluded(agent_id=item.agent_id, reason=because[item.agent_id])
        if item.agent_id in because and item.reason == EXCLUDED_BY_TASK
        else item
        for item in report.excluded
    ]
    return report.model_copy(update={"excluded": tuple(excluded)})


def _agents(rules: Iterable[RoutingRule], effect: RuleEffect, without: Collection[str]) -> tuple[str, ...]:
    named = (agent for rule in rules if rule.effect is effect for agent in rule.agents)
    return tuple(dict.fromkeys(agent for agent in named if agent not in without))


@functools.lru_cache(maxsize=512)
def _centre(encoded: str) -> Vector:
    return np.frombuffer(base64.b64decode(encoded), dtype="<f4").astype(np.float32, copy=False)
