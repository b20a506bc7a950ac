"""Two policies beside one another on the same decisions. Called by the guards of promotions and by the report.

The difference is estimated pair by pair: what makes a decision easy or hard counts for both policies alike, so it is
known much better than two overlapping intervals say.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from evolution.replay.decision_log import Decisions, Policy, cross_fitted, probabilities_of
from evolution.replay.intervals import Floats, effective_size, jackknife_interval
from evolution.replay.off_policy import ALPHA, FEW_EFFECTIVE, Estimate
from schemas.experience import ExperienceRecord

MOST_UNSUPPORTED = 0.1
"""Of a policy's choices: beyond, too much of its value would be the reward model's guess."""


def difference(taken: Decisions, policy: Policy, other: Policy, alpha: float = ALPHA) -> Estimate | None:
    """How much more ``policy`` earns than ``other``, doubly robust; None when the log says too little of either."""
    if not taken.records:
        return None
    predicted = cross_fitted(taken)
    terms, weights = [], []
    for one in (policy, other):
        target = probabilities_of(one, taken)
        weight = taken.log.chosen(target) / taken.log.chosen(taken.log.logged)
        unsupported = float(np.where(taken.log.logged > 0, 0.0, target).sum(axis=1).mean())
        if effective_size(weight) < FEW_EFFECTIVE or unsupported > MOST_UNSUPPORTED:
            return None
        residual = taken.log.rewards - taken.log.chosen(predicted)
        terms.append((target * predicted).sum(axis=1) + weight * residual)
        weights.append(weight)
    apart: Floats = terms[0] - terms[1]
    low, high = jackknife_interval(apart, np.maximum(*weights), alpha)
    return Estimate(float(apart.mean()), low, high)


def changed_choices(records: Sequence[ExperienceRecord], policy: Policy, other: Policy) -> float | None:
    """The share of choices that the two make differently (total variation); None without any choice to make."""
    apart = [
        sum(abs(a - b) for a, b in zip(policy(record), other(record), strict=True)) / 2
        for record in records
        if record.candidates
    ]
    return sum(apart) / len(apart) if apart else None


def best_single(taken: Decisions, tries: int = 30) -> str | None:
    """The agent with the highest mean reward among those tried often enough: the best fixed choice of the window."""
    counts = np.bincount(taken.chosen, minlength=len(taken.agents))
    sums = np.bincount(taken.chosen, weights=taken.log.rewards, minlength=len(taken.agents))
    often = [index for index in range(len(taken.agents)) if counts[index] >= tries]
    return taken.agents[max(often, key=lambda index: sums[index] / counts[index])] if often else None


def remembered(policy: Policy) -> Policy:
    """The same policy, asked once for each record: a learned one looks at its whole past every time."""
    answers: dict[str, Sequence[float]] = {}

    def asked_once(record: ExperienceRecord) -> Sequence[float]:
        if record.record_id not in answers:
            answers[record.record_id] = policy(record)
        return answers[record.record_id]

    return asked_once


def spread(values: Sequence[str]) -> float:
    """Effective number of different values: the exponential of their entropy (Hill 1973); 0 for none."""
    counts = np.array(list(Counter(values).values()), dtype=np.float64)
    if not len(counts):
        return 0.0
    shares = counts / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
