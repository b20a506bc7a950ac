"""Which recorded answers tasks get when they are done again under another policy. See `aos replay run`.

Where the policy chooses whom the log chose, the recorded network is done again, step by step. Where it chooses
another agent, that agent's recorded answer to the same task is used, if the log holds one (or to a task as alike as
``alike`` says); else the outcome is unknown, and said to be. How a record is done again is the caller's to say: the
gateway runs its network as workers do.
"""

import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolution.replay.decision_log import Policy
from evolution.replay.walking import Outcome, StepChange, step_changes, walked
from evolution.validity import task_vector
from schemas.experience import ExperienceRecord

EXACTLY = 1.0


@dataclass(frozen=True, slots=True)
class Rerun:
    """One task again. ``after`` None: nobody recorded what that agent answers.

    ``same_answer`` says whether live agents answered what is stored as the task's result; None when that is not known.
    """

    task_id: str
    instruction: str
    before_agent: str
    after_agent: str
    before: Outcome
    after: Outcome | None
    same_answer: bool | None = None

    @property
    def steps(self) -> tuple[StepChange, ...]:
        """The two goes at it, step by step; of an unknown outcome none."""
        return step_changes(self.before, self.after) if self.after is not None else ()

    @property
    def unaided(self) -> bool:
        """Whether it fails now, and had succeeded only because somebody tried again or stood in."""
        helped = any(not step.ok or step.attempts > 1 for step in self.before.steps)
        return self.before.success and helped and self.after is not None and not self.after.success


@dataclass(frozen=True, slots=True)
class Totals:
    """A policy's results over the tasks whose outcome is known under both."""

    tasks: int
    success: float
    latency_ms: float
    cost: float


@dataclass(frozen=True, slots=True)
class RerunReport:
    """``before`` and ``after`` speak of the same known tasks; ``low`` and ``high`` bound success over all of them.

    ``unaided`` counts those that had succeeded by help and fail without it.
    """

    reruns: tuple[Rerun, ...]
    before: Totals
    after: Totals
    changed: int
    unknown: int
    low: float
    high: float
    unaided: int = 0


Again = Callable[[ExperienceRecord], Awaitable[Outcome]]
"""Does a recorded task again with its recorded answers. The same record, the same outcome."""


async def rerun(
    records: Sequence[ExperienceRecord], policy: Policy | None, again: Again, *, alike: float = EXACTLY
) -> RerunReport:
    """Every record with candidates and steps, oldest first; no policy: whoever did it then.

    The same records give the same report, always.
    """
    ordered = sorted(
        (record for record in records if record.candidates and record.steps and record.chosen),
        key=lambda record: (record.at, record.record_id),
    )
    answers = RecordedAnswers(ordered, alike=alike)
    return report([await _again(record, policy, answers, again) for record in ordered])


def report(reruns: Sequence[Rerun]) -> RerunReport:
    """The comparison of what was with what would be."""
    known = [one for one in reruns if one.after is not None]
    succeeded = sum(one.after.success for one in known if one.after is not None)
    unknown, count = len(reruns) - len(known), max(len(reruns), 1)
    return RerunReport(
        reruns=tuple(reruns),
        before=totals([one.before for one in known]),
        after=totals([one.after for one in known if one.after is not None]),
        changed=sum(one.before_agent != one.after_agent for one in reruns),
        unknown=unknown,
        low=succeeded / count,
        high=(succeeded + unknown) / count,
        unaided=sum(one.unaided for one in reruns),
    )


def totals(outcomes: Sequence[Outcome]) -> Totals:
    """Means; of no outcome all 0."""
    if not outcomes:
        return Totals(0, 0.0, 0.0, 0.0)
    success, latency, cost = np.array([(o.success, o.latency_ms, o.cost) for o in outcomes]).mean(axis=0)
    return Totals(len(outcomes), float(success), float(latency), float(cost))


def first_choice(record: ExperienceRecord, policy: Policy | None) -> str:
    """The agent that the policy gives the highest probability; of equals the first. No policy: who was chosen then."""
    if policy is None:
        return record.chosen[0]
    probabilities = list(policy(record))
    return record.candidates[probabilities.index(max(probabilities))].agent_id


class RecordedAnswers:
    """Who answered what, from a window of records."""

    def __init__(self, records: Iterable[ExperienceRecord], *, alike: float = EXACTLY) -> None:
        self._alike = alike
        self._same: dict[tuple[str, str], ExperienceRecord] = {}
        by_agent: dict[str, list[tuple[ExperienceRecord, NDArray[np.float32]]]] = defaultdict(list)
        for record in records:
            if len(record.chosen) != 1:
                continue
            self._same[question(record), record.chosen[0]] = record
            vector = unit_vector(record) if alike < EXACTLY else None
            if vector is not None:
                by_agent[record.chosen[0]].append((record, vector))
        self._near = {agent: _stacked(items) for agent, items in by_agent.items()}

    def of(self, agent: str, record: ExperienceRecord) -> ExperienceRecord | None:
        """The record of that agent's latest answer to the same task, or to the nearest one alike enough."""
        same = self._same.get((question(record), agent))
        if same is not None or self._alike >= EXACTLY:
            return same
        vector, recorded = unit_vector(record), self._near.get(agent, {})
        of_encoder = recorded.get((record.vector_version, len(vector))) if vector is not None else None
        if vector is None or of_encoder is None:
            return None
        records, vectors = of_encoder
        cosines = vectors @ vector
        best = int(cosines.argmax())
        return records[best] if cosines[best] >= self._alike else None


Recorded = Mapping[tuple[str | None, int], tuple[Sequence[ExperienceRecord], NDArray[np.float32]]]


def _stacked(items: Sequence[tuple[ExperienceRecord, NDArray[np.float32]]]) -> Recorded:
    """By encoder and dimension: vectors of different ones do not compare."""
    groups: dict[tuple[str | None, int], tuple[list[ExperienceRecord], list[NDArray[np.float32]]]] = {}
    for record, vector in items:
        records, vectors = groups.setdefault((record.vector_version, len(vector)), ([], []))
        records.append(record)
        vectors.append(vector)
    return {key: (records, np.stack(vectors)) for key, (records, vectors) in groups.items()}


def unit_vector(record: ExperienceRecord) -> NDArray[np.float32] | None:
    """The task vector at length one, or None."""
    vector = task_vector(record)
    length = 0.0 if vector is None else float(np.linalg.norm(vector))
    return None if vector is None or length == 0.0 else vector / np.float32(length)


def question(record: ExperienceRecord) -> str:
    """What was asked: equal for tasks of the same words and modalities. With attachments, only the task itself:

    their content is not recorded.
    """
    words = " ".join(record.instruction.split())
    kinds = sorted(modality.value for modality in record.modalities)
    own = record.task_id if not words or any(kind != "text" for kind in kinds) else ""
    return hashlib.blake2b("\x00".join((words, *kinds, own)).encode(), digest_size=16).hexdigest()


async def _again(record: ExperienceRecord, policy: Policy | None, answers: RecordedAnswers, again: Again) -> Rerun:
    after_agent = first_choice(record, policy)
    if after_agent == record.chosen[0]:
        answer: ExperienceRecord | None = record
    else:
        answer = answers.of(after_agent, record) if len(record.chosen) == 1 else None
    after = await again(answer) if answer is not None else None
    words = " ".join(record.instruction.split())[:80]
    return Rerun(record.task_id, words, record.chosen[0], after_agent, walked(record), after)
