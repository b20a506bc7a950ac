"""Experience records as decisions that can be evaluated off-policy. Called by `aos replay evaluate`.

A decision is one choice of one agent among candidates with logged probabilities. Records without that (networks of
several agents, pinned agents, abstentions) are left out and counted by reason.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolution.replay.intervals import Floats
from evolution.replay.off_policy import DecisionLog
from schemas.experience import ExperienceRecord

FOLDS = 5
PRIOR_DECISIONS = 4.0
SUM_TOLERANCE = 1e-3
_NOTHING: NDArray[Any] = np.array(0.0)
_NOBODY: NDArray[Any] = np.array(-1, dtype=np.int32)

Reward = Callable[[ExperienceRecord], float]
"""What a record earned, 0 to 1: its own success, or what people said of it (``evolution.judging``)."""
Policy = Callable[[ExperienceRecord], Sequence[float]]
"""The probabilities that a policy gives to the record's candidates, in their order; they sum to 1."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """The log as arrays, a row for each decision, oldest first.

    Column j of every matrix is the decision's j-th candidate, ``agents[candidates[i, j]]``, and 0 (in ``candidates``
    -1) where it has fewer: with a column for each agent of a large fleet nearly all would be zeros. ``records`` are
    those of the rows, unless they were let go as they were taken; ``targets`` are what policies asked by then said.
    """

    log: DecisionLog
    agents: tuple[str, ...]
    candidates: NDArray[np.intp]
    records: tuple[ExperienceRecord, ...]
    left_out: Mapping[str, int]
    targets: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def chosen(self) -> NDArray[np.intp]:
        """(n,) the places in ``agents`` of who was chosen."""
        found: NDArray[np.intp] = self.candidates[np.arange(len(self.log.actions)), self.log.actions]
        return found


def success(record: ExperienceRecord) -> float:
    """1 for a task that succeeded, else 0."""
    return float(record.success)


def decisions(records: Sequence[ExperienceRecord], reward: Reward = success) -> Decisions:
    """The records that are decisions, oldest first. ``reward`` must lie in [0, 1]."""
    ordered = sorted(records, key=lambda item: item.at)
    taking = Taking({})
    taken = taking.decisions([taking.batch(ordered, reward)])
    return replace(taken, records=tuple(record for record in ordered if not why_no_decision(record)))


@dataclass(frozen=True, slots=True)
class Batch:
    """What is kept of some records: of each why it is no decision (empty for one that is), of decisions their rows."""

    reasons: Sequence[str]
    actions: NDArray[np.intp]
    rewards: Floats
    candidates: NDArray[np.int32]
    logged: Floats
    targets: Mapping[str, Floats]

    def newest(self, count: int) -> "Batch":
        """Of the last so many records."""
        first = max(0, len(self.reasons) - count)
        row = sum(not reason for reason in self.reasons[:first])
        targets = {name: target[row:] for name, target in self.targets.items()}
        rows = (self.actions[row:], self.rewards[row:], self.candidates[row:], self.logged[row:])
        return Batch(self.reasons[first:], *rows, targets)


class Taking:
    """Takes decisions out of records, which may go at once: a hundredth of them is kept. For one thread at a time."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self._policies = policies
        self._places: dict[str, int] = {}

    def batch(self, records: Sequence[ExperienceRecord], reward: Reward) -> Batch:
        """Of records, oldest first. Asks each policy of each decision. Raises ValueError for one that is none."""
        reasons = [why_no_decision(record) for record in records]
        kept = [record for record, reason in zip(records, reasons, strict=True) if not reason]
        width = max((len(record.candidates) for record in kept), default=0)
        candidates = np.full((len(kept), width), _NOBODY)
        logged = np.zeros((len(kept), width))
        actions = np.zeros(len(kept), dtype=np.intp)
        for row, record in enumerate(kept):
            agents = [candidate.agent_id for candidate in record.candidates]
            candidates[row, : len(agents)] = [self._places.setdefault(agent, len(self._places)) for agent in agents]
            logged[row, : len(agents)] = [candidate.probability for candidate in record.candidates]
            actions[row] = agents.index(record.chosen[0])
        logged /= logged.sum(axis=1, keepdims=True)
        rewards = np.array([reward(record) for record in kept], dtype=np.float64)
        targets = {name: _asked(policy, kept, width) for name, policy in self._policies.items()}
        return Batch(reasons, actions, rewards, candidates, logged, targets)

    def decisions(self, batches: Sequence[Batch]) -> Decisions:
        """All of the batches, the oldest first."""
        agents = tuple(sorted(self._places))
        place = np.full(len(agents) + 1, -1, dtype=np.intp)  # the last one is for no candidate
        place[[self._places[agent] for agent in agents]] = np.arange(len(agents))
        log = DecisionLog(
            np.concatenate([np.zeros(0, dtype=np.intp), *(batch.actions for batch in batches)]),
            np.concatenate([np.zeros(0), *(batch.rewards for batch in batches)]),
            _stacked([batch.logged for batch in batches]),
        )
        candidates = place[_stacked([batch.candidates for batch in batches], _NOBODY)]
        targets = {name: _stacked([batch.targets[name] for batch in batches]) for name in self._policies}
        left_out = Counter(reason for batch in batches for reason in batch.reasons if reason)
        return Decisions(log, agents, candidates, (), dict(left_out), targets)


def _stacked(matrices: Sequence[NDArray[Any]], nothing: NDArray[Any] = _NOTHING) -> NDArray[Any]:
    """One above the other, as wide as the widest, filled up with ``nothing``."""
    width = max((matrix.shape[1] for matrix in matrices), default=0)
    found = np.full((sum(map(len, matrices)), width), nothing)
    row = 0
    for matrix in matrices:
        found[row : row + len(matrix), : matrix.shape[1]] = matrix
        row += len(matrix)
    return found


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
    return _asked(policy, taken.records, taken.log.logged.shape[1])


def _asked(policy: Policy, records: Sequence[ExperienceRecord], width: int) -> Floats:
    target = np.zeros((len(records), width))
    for row, record in enumerate(records):
        for column, (_, probability) in enumerate(zip(record.candidates, policy(record), strict=True)):
            target[row, column] = probability
    return target


def cross_fitted(taken: Decisions, folds: int = FOLDS) -> Floats:
    """A simple reward model, (n, k): each agent's mean reward in the other folds, shrunk towards the mean of all.

    Every ``folds``-th decision forms a fold, so that drift touches all folds alike.
    """
    log, width, chosen = taken.log, len(taken.agents), taken.chosen
    predicted = np.zeros(log.logged.shape)
    fold = np.arange(len(log.actions)) % folds
    for number in range(folds):
        mine, others = fold == number, fold != number
        counts = np.bincount(chosen[others], minlength=width)
        sums = np.bincount(chosen[others], weights=log.rewards[others], minlength=width)
        overall = float(log.rewards[others].mean()) if others.any() else 0.5
        mean = (sums + PRIOR_DECISIONS * overall) / (counts + PRIOR_DECISIONS)
        there = taken.candidates[mine]
        predicted[mine] = np.where(there < 0, 0.0, mean[there])
    return predicted
