"""Orders candidates by what a policy learned of them. A ports.Ranker, beside the cosine one; called by the matcher.

The port shows a ranker the hits and no query, so what counts here is how near an agent's skill is and how its steps
went: the chance of success is ``bias + similarity * s + standing * r`` in log odds. Candidates are scored on the cosine
scale, as the similarity at which an agent of average standing would have the same chance: thresholds keep meaning.
Newcomers have average standing. Agents of the policy that are not registered any more are overlooked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from agents.matching.ranking import SCORE_DIGITS, CosineRanker, greedy
from agents.ports import SkillHit
from schemas.candidate import Candidate
from schemas.card import AgentCard
from schemas.policy import AgentStanding, PolicySnapshot

SIMILARITY, STANDING, BIAS = "similarity", "standing", "bias"
PRIOR = {SIMILARITY: 8.0, STANDING: 0.5, BIAS: -3.0}
"""Before anything happened: even odds near cosine 0.4, and a doubled odds ratio of an agent is worth 0.04 of cosine."""
PULL = 2.0
PRIOR_STEPS = 4.0
"""An agent's first steps count against so many average ones."""
STANDING_SHIFT_MAX = 0.15
"""Of cosine: reputation reorders the near, it does not make the far near."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One step that was done: how near the agent's skill was, and whether it succeeded."""

    agent_id: str
    similarity: float
    success: bool


class LearnedRanker:
    """ports.Ranker over one snapshot. Immutable; a new policy is a new ranker."""

    def __init__(self, snapshot: PolicySnapshot) -> None:
        self._snapshot = snapshot
        self._near = CosineRanker()
        self._average = _average(snapshot.standings.values())
        weights = PRIOR | snapshot.weights
        self._exchange = weights[STANDING] / max(weights[SIMILARITY], 1e-3)

    @property
    def policy(self) -> str:
        """The version that decisions record."""
        return self._snapshot.policy

    def unknown_agents(self, cards: dict[str, AgentCard]) -> frozenset[str]:
        """Agents of the policy that have no card now: what it learned of them is not used."""
        return frozenset(self._snapshot.standings) - frozenset(cards)

    def rank(self, hits: Sequence[SkillHit], cards: dict[str, AgentCard]) -> tuple[Candidate, ...]:
        """Candidates best first, one for each agent. Propensity 1.0 for the first: it does not explore."""
        scored = [self._scored(candidate) for candidate in self._near.rank(hits, cards)]
        return greedy(sorted(scored, key=lambda candidate: (-candidate.score, candidate.agent_id)))

    def _scored(self, candidate: Candidate) -> Candidate:
        standing = self._snapshot.standings.get(candidate.agent_id)
        if standing is None:
            return candidate
        shift = self._exchange * (_log_odds(standing, self._average) - _logit(self._average))
        shift = max(-STANDING_SHIFT_MAX, min(STANDING_SHIFT_MAX, shift))
        done, tried = standing.successes, standing.successes + standing.failures
        return candidate.model_copy(
            update={
                "score": round(candidate.score + shift, SCORE_DIGITS),
                "scores": {**candidate.scores, "learned": round(shift, SCORE_DIGITS)},
                "reasons": (*candidate.reasons, f"succeeded in {done:.0f} of {tried:.0f} steps ({shift:+.2f})"),
            }
        )


def learn(outcomes: Sequence[Outcome], *, policy: str, encoder: str, parent: str | None = None) -> PolicySnapshot:
    """A snapshot from scratch. No outcomes: the prior weights and no standings, which ranks as cosine does."""
    standings = _standings(outcomes)
    weights = _weights(outcomes, standings) if outcomes else PRIOR
    return PolicySnapshot(
        policy=policy, parent=parent, encoder=encoder, events=len(outcomes), weights=weights, standings=standings
    )


def _standings(outcomes: Iterable[Outcome]) -> dict[str, AgentStanding]:
    counts: dict[str, list[int]] = {}
    for outcome in outcomes:
        counts.setdefault(outcome.agent_id, [0, 0])[0 if outcome.success else 1] += 1
    return {agent: AgentStanding(successes=done, failures=failed) for agent, (done, failed) in sorted(counts.items())}


def _weights(outcomes: Sequence[Outcome], standings: dict[str, AgentStanding]) -> dict[str, float]:
    """Logistic regression pulled to the prior. Each outcome sees its agent's standing without itself."""
    average = _average(standings.values())
    rows = np.array(
        [[one.similarity, _without(standings[one.agent_id], one.success, average), 1.0] for one in outcomes]
    )
    truth = np.array([one.success for one in outcomes], dtype=np.float64)
    prior = np.array([PRIOR[SIMILARITY], PRIOR[STANDING], PRIOR[BIAS]])

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = rows @ weights
        moved = weights - prior
        value = np.logaddexp(0.0, odds).sum() - truth @ odds + PULL * moved @ moved
        return float(value), rows.T @ (1.0 / (1.0 + np.exp(-odds)) - truth) + 2 * PULL * moved

    # Nearer and better reputed is never worse: the signs hold whatever few outcomes say.
    bounds = [(1.0, None), (0.0, None), (None, None)]
    found = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds)
    return dict(zip((SIMILARITY, STANDING, BIAS), map(float, found.x), strict=True))


def _without(standing: AgentStanding, success: bool, average: float) -> float:
    rest = AgentStanding(successes=standing.successes - success, failures=standing.failures - (not success))
    return _log_odds(rest, average) - _logit(average)


def _average(standings: Iterable[AgentStanding]) -> float:
    every = list(standings)
    done = sum(standing.successes for standing in every)
    return float((done + 1.0) / (done + sum(standing.failures for standing in every) + 2.0))


def _log_odds(standing: AgentStanding, average: float) -> float:
    done = standing.successes + PRIOR_STEPS * average
    failed = standing.failures + PRIOR_STEPS * (1.0 - average)
    return float(np.log(done / failed))


def _logit(share: float) -> float:
    return float(np.log(share / (1.0 - share)))
