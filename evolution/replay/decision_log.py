"""Experience records as decisions that can be evaluated off-policy. Called by `aos replay evaluate`.

A decision is one choice of one agent among candidates with logged probabilities. Records without that (networks of
several agents, pinned agents, abstentions) are left out and counted by reason.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evolution.replay.intervals import Floats
from evolution.replay.off_policy import DecisionLog
from schemas.experience import ExperienceRecord

FOLDS = 5
PRIOR_DECISIONS = 4.0
SUM_TOLERANCE = 1e-3

Reward = Callable[[ExperienceRecord], float]
"""What a record earned, 0 to 1: its own success, or what people said of it (``evolution.judging``)."""
Policy = Callable[[ExperienceRecord], Sequence[float]]
"""The probabilities that a policy gives to the record's candidates, in their order; they sum to 1."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """The log as arrays; column j of every matrix is ``agents[j]``; row i is ``records[i]``."""

    log: DecisionLog
    agents: tuple[str, ...]
    records: tuple[ExperienceRecord, ...]
    left_out: Mapping[str, int]


def success(record: ExperienceRecord) -> float:
    """1 for a task that succeeded, else 0."""
    return float(record.success)


def decisions(records: Sequence[ExperienceRecord], reward: Reward = success) -> Decisions:
    """The records that are decisions, oldest first. ``reward`` must lie in [0, 1]."""
    left_out: Counter[str] = Counter()
    kept = []
    for record in sorted(records, key=lambda item: item.at):
        reason = why_no_decision(record)
        if reason:
            left_out[reason] += 1
        else:
            kept.append(record)
    agents = tuple(sorted({candidate.agent_id for record in kept for candidate in record.candidates}))
    column = {agent: number for number, agent in enumerate(agents)}
    logged = np.zeros((len(kept), len(agents)))
    for row, record in enumerate(kept):
        for candidate in record.candidates:
            logged[row, column[candidate.agent_id]] = candidate.probability
    logged /= logged.sum(axis=1, keepdims=True)
    actions = np.array([column[record.chosen[0]] for record in kept], dtype=np.intp)
    rewards = np.array([reward(record) for record in kept], dtype=np.float64)
    return Decisions(DecisionLog(actions, rewards, logged), agents, tuple(kept), dict(left_out))


def why_no_decision(record: ExperienceRecord) -> str:
    """Why a record cannot be evaluated, in words; empty when it can."""
    if len(record.chosen) != 1:
        return "no agent was chosen" if not record.chosen else "several agents worked together"
    probabilities = {candidate.agent_id: candidate.probability for candidate in record.candidates}
    if len(probabilities) != len(record.candidates):
        return "an agent is a candidate twice"
    if probabilities.get(record.chosen[0], 0.0) <= 0.0:
        return "the chosen agent has no logged probability"
    if not math.isclose(sum(probabilities.values()), 1.0, abs_tol=SUM_TOLERANCE):
        return "the logged probabilities do not sum to 1"
    return ""


def probabilities_of(policy: Policy, taken: Decisions) -> Floats:
    """The policy's probabilities for every decision, (n, k)."""
    target = np.zeros(taken.log.logged.shape)
    column = {agent: number for number, agent in enumerate(taken.agents)}
    for row, record in enumerate(taken.records):
        for candidate, probability in zip(record.candidates, policy(record), strict=True):
            target[row, column[candidate.agent_id]] = probability
    return target


def cross_fitted(taken: Decisions, folds: int = FOLDS) -> Floats:
    """A simple reward model, (n, k): each agent's mean reward in the other folds, shrunk towards the mean of all.

    Every ``folds``-th decision forms a fold, so that drift touches all folds alike.
    """
    log, width = taken.log, len(taken.agents)
    predicted = np.zeros(log.logged.shape)
    fold = np.arange(len(log.actions)) % folds
    for number in range(folds):
        others = fold != number
        counts = np.bincount(log.actions[others], minlength=width)
        sums = np.bincount(log.actions[others], weights=log.rewards[others], minlength=width)
        overall = float(log.rewards[others].mean()) if others.any() else 0.5
        predicted[fold == number] = (sums + PRIOR_DECISIONS * overall) / (counts + PRIOR_DECISIONS)
    return predicted
