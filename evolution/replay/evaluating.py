"""Scores policies on a window of stored experience. Called by `aos replay evaluate`, reports and promotions."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evolution.errors import NothingToEvaluate
from evolution.judging import rewards
from evolution.ports import ExperienceQuery, ExperienceStore
from evolution.progress import Progress, unseen
from evolution.replay.decision_log import Policy, Reward, cross_fitted, decisions, probabilities_of, success
from evolution.replay.off_policy import Evaluation, evaluate
from schemas.experience import ExperienceRecord

MAX_DECISIONS = 200_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """Each policy's evaluation by name, on the same decisions; ``left_out`` counts other records by reason.

    ``agents`` are those that were candidates.
    """

    evaluations: Mapping[str, Evaluation]
    left_out: Mapping[str, int]
    agents: tuple[str, ...] = ()


class PolicyEvaluation:
    """Reads a window and asks what each policy would have earned there; at most ``max_decisions`` of the newest."""

    def __init__(self, store: ExperienceStore, *, max_decisions: int = MAX_DECISIONS) -> None:
        self._store = store
        self._max_decisions = max_decisions

    async def compare(
        self, query: ExperienceQuery, policies: Mapping[str, Policy], progress: Progress = unseen
    ) -> Comparison:
        """Raises NothingToEvaluate, ExperienceStoreUnavailable, and ValueError for a policy that is none."""
        records: list[ExperienceRecord] = []
        read = 0
        async for batch in self._store.scan(query):
            records += (slim(record) for record in batch)
            del records[: -self._max_decisions]
            read += len(batch)
            progress(read, 0)
        reward = await rewards(self._store, records)
        # Off the event loop: a minute of CPU for the largest window.
        found = await asyncio.to_thread(evaluated, records, policies, reward)
        if read == len(records):
            return found
        older = {f"they are older than the newest {len(records):,}": read - len(records)}
        return replace(found, left_out={**found.left_out, **older})


def slim(record: ExperienceRecord) -> ExperienceRecord:
    """Without what is only needed to run a network again: over 200,000 records it is a gigabyte."""
    return record.model_copy(update={"network": None, "steps": ()})


def evaluated(
    records: Sequence[ExperienceRecord], policies: Mapping[str, Policy], reward: Reward = success
) -> Comparison:
    """Each policy on the decisions among these records. Blocks. Raises NothingToEvaluate, ValueError."""
    taken = decisions(records, reward)
    if not taken.records:
        reasons = ", ".join(f"{count} {reason}" for reason, count in taken.left_out.items()) or "it is empty"
        raise NothingToEvaluate(f"no decision of the window can be evaluated: {reasons}. Use a longer window")
    predicted = cross_fitted(taken)
    evaluations = {
        name: evaluate(taken.log, probabilities_of(policy, taken), predicted) for name, policy in policies.items()
    }
    return Comparison(evaluations, taken.left_out, taken.agents)
