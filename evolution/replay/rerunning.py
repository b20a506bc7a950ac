"""Tasks done again under another policy against recorded answers: deterministic, nobody is asked. See `aos replay run`.

Where the policy chooses whom the log chose, the recorded network is walked again, step by step. Where it chooses
another agent, that agent's recorded answer to the same task is used, if the log holds one (or to a task as alike as
``alike`` says); else the outcome is unknown, and said to be.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolution.replay.decision_log import Policy
from evolution.validity import task_vector
from schemas.experience import ExperienceRecord
from schemas.network import Network
from schemas.task import StepOutcome

EXACTLY = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task came to: ``answer`` names the record that it was taken from."""

    success: bool
    latency_ms: float
    cost: float
    answer: str


@dataclass(frozen=True, slots=True)
class Rerun:
    """One task again. ``after`` None: nobody recorded what that agent answers."""

    task_id: str
    instruction: str
    before_agent: str
    after_agent: str
    before: Outcome
    after: Outcome | None


@dataclass(frozen=True, slots=True)
class Totals:
    """A policy's results over the tasks whose outcome is known under both."""

    tasks: int
    success: float
    latency_ms: float
    cost: float


@dataclass(frozen=True, slots=True)
class RerunReport:
    """``before`` and ``after`` speak of the same known tasks; ``low`` and ``high`` bound success over all of them."""

    reruns: tuple[Rerun, ...]
    before: Totals
    after: Totals
    changed: int
    unknown: int
    low: float
    high: float


def rerun(records: Sequence[ExperienceRecord], policy: Policy, *, alike: float = EXACTLY) -> RerunReport:
    """Every record with candidates and steps, oldest first. The same records give the same report, always."""
    ordered = sorted(
        (record for record in records if record.candidates and record.steps and record.chosen),
        key=lambda record: (record.at, record.record_id),
    )
    answers = RecordedAnswers(ordered, alike=alike)
    return report(tuple(_again(record, policy, answers) for record in ordered))


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
    )


def totals(outcomes: Sequence[Outcome]) -> Totals:
    """Means; of no outcome all 0."""
    if not outcomes:
        return Totals(0, 0.0, 0.0, 0.0)
    success, latency, cost = np.array([(o.success, o.latency_ms, o.cost) for o in outcomes]).mean(axis=0)
    return Totals(len(outcomes), float(success), float(latency), float(cost))


def first_choice(record: ExperienceRecord, policy: Policy) -> str:
    """The agent that the policy gives the highest probability; of equals the first."""
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


def _again(record: ExperienceRecord, policy: Policy, answers: RecordedAnswers) -> Rerun:
    after_agent = first_choice(record, policy)
    before = walked(record)
    if after_agent == record.chosen[0]:
        after: Outcome | None = before
    else:
        answer = answers.of(after_agent, record) if len(record.chosen) == 1 else None
        after = walked(answer) if answer is not None else None
    words = " ".join(record.instruction.split())[:80]
    return Rerun(record.task_id, words, record.chosen[0], after_agent, before, after)


def walked(record: ExperienceRecord) -> Outcome:
    """The recorded network done again: groups one after another, steps of a group side by side, up to a failure.

    What people waited for is left out: latency is that of the stages and of the slowest step of each group.
    """
    steps = {step.node: step for step in record.steps}
    latency, cost, complete = 0.0, 0.0, True
    for group in _groups(record.network, steps):
        done = [steps[node] for node in group if node in steps]
        latency += max((step.latency_ms for step in done), default=0.0)
        cost += sum(step.cost for step in done)
        complete = len(done) == len(group) and all(step.ok for step in done)
        if not complete:
            break
    times = record.times
    overhead = times.perceive_ms + times.match_ms + times.plan_ms
    return Outcome(complete and record.success, latency + overhead, cost, record.record_id)


def _groups(network: Network | None, steps: Mapping[str, StepOutcome]) -> Sequence[Sequence[str]]:
    return network.groups() if network is not None else [(node,) for node in steps]
