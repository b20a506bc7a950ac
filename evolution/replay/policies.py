"""Simple policies to compare with: what was logged, chance, the best score, one fixed agent. See ``evaluating``."""

from collections.abc import Sequence

from evolution.replay.decision_log import Policy
from schemas.experience import ExperienceRecord


def as_logged(record: ExperienceRecord) -> Sequence[float]:
    """The probabilities with which the choice was made."""
    return _normalised([candidate.probability for candidate in record.candidates])


def uniform(record: ExperienceRecord) -> Sequence[float]:
    """Every candidate alike: what exploration alone would earn."""
    return _normalised([1.0] * len(record.candidates))


def best_scored(record: ExperienceRecord) -> Sequence[float]:
    """Always the candidate with the highest score, the first of equals."""
    scores = [candidate.score for candidate in record.candidates]
    best = scores.index(max(scores))
    return [float(number == best) for number in range(len(scores))]


def always(agent_id: str) -> Policy:
    """That agent whenever it is a candidate, else the best scored: the choice that learning must not fall below."""

    def policy(record: ExperienceRecord) -> Sequence[float]:
        agents = [candidate.agent_id for candidate in record.candidates]
        if agent_id not in agents:
            return best_scored(record)
        return [float(agent == agent_id) for agent in agents]

    return policy


def _normalised(weights: Sequence[float]) -> Sequence[float]:
    total = sum(weights)
    return [weight / total for weight in weights]
