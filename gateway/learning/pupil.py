"""One tenant's learner, fed with records and with what people say. Called by ``school``, in a thread.

The same records in the same order make the same policy, but for rounding, in however many lots they are studied:
learning from scratch and step by step are one code.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.features import Shown
from agents.matching.live.learner import Learner
from agents.matching.live.lessons import lessons_of
from agents.matching.live.past import CAPACITY
from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.ranker import WORDS
from agents.matching.ranking import nearness_of
from evolution.replay.comparing import spread
from gateway.learning.promotion import EFFECTIVE_AGENTS, EFFECTIVE_TASKS
from schemas.experience import ExperienceRecord, Feedback
from schemas.policy import Lineage

RECENT = 100
"""So many decisions say how much a version would change."""
FORETOLD = 1_000
RECORDS_KNOWN = 4_096
RECORD_BYTES, NOTE_BYTES = 20 * 1_024, 200
JUDGED_PER_S = 32
"""Of what happened within one second, so many outcomes are judged before they are learned; a fleet that does hundreds a
second needs no more for its weights, and its cores for the tasks. All outcomes are learned.
"""


@dataclass(frozen=True, slots=True)
class Remark:
    """What people last said of a task's result, 0 to 1."""

    at: datetime
    success: float


class Pupil:
    """Learns; for one thread at a time. ``new`` counts outcomes since the last version."""

    def __init__(self, dimension: int, encoder: str) -> None:
        self.learner = Learner(LivePolicy.blank(dimension))
        self.dimension = dimension
        self.encoder = encoder
        self.records = 0
        self.new = 0
        self._since: datetime | None = None
        self._until: datetime | None = None
        self._known: OrderedDict[str, None] = OrderedDict()
        self._said: OrderedDict[str, Remark] = OrderedDict()
        self._second = 0
        self._judged = 0
        self._recent: deque[ExperienceRecord] = deque(maxlen=RECENT)
        self._errors: deque[float] = deque(maxlen=FORETOLD)

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        noted = NOTE_BYTES * (len(self._known) + len(self._said))
        return self.learner.policy.size_bytes + RECORD_BYTES * len(self._recent) + noted

    @property
    def until(self) -> datetime | None:
        """When the latest thing was that it learned."""
        return self._until

    def study(self, record: ExperienceRecord) -> None:
        """One by itself, as if alone in a lot. In a long past some milliseconds."""
        self.study_all([record])

    def study_all(self, records: Sequence[ExperienceRecord]) -> None:
        """In the order of arrival; one that was studied already is passed over. Some 10 ms for 100 in a long past."""
        lessons: list[Outcome] = []
        judged: list[int] = []
        for record in records:
            if not self._is_news(record):
                continue
            taught = self._as_judged(record.task_id, lessons_of(record, self.dimension))
            second, places = int(record.at.timestamp()), range(len(lessons), len(lessons) + len(taught))
            judged += [place for place in places if self._is_to_be_judged(second)]
            lessons += taught
            if taught:
                self._note(record, len(taught))
        if lessons:
            self._take_in(lessons, judged)

    def heed(self, feedback: Feedback) -> None:
        """People's latest judgement replaces what a result looked like, whether it comes before its record or after."""
        success = feedback.judgement
        if success is None:
            return
        remark, known = Remark(feedback.at, success), self._said.get(feedback.task_id)
        if known is not None and (known == remark or known.at > remark.at):
            return
        self._said[feedback.task_id] = remark
        if len(self._said) > CAPACITY:
            self._said.popitem(last=False)
        if self.learner.correct(feedback.task_id, success):
            self.new += 1

    def latest_tasks(self) -> list[str]:
        """The ids of those whose judgement still counts."""
        return self.learner.policy.past.latest_tasks()

    def lineage(self, code: str) -> Lineage:
        """Where a version made now comes from. ``brier``: squared error of the chances foretold, lately."""
        metrics = {"brier": round(float(np.mean(self._errors)), 5)} if self._errors else {}
        changed = self.changed_choices()
        if changed is not None:
            metrics["changed_choices"] = round(changed, 5)
        metrics |= self.diversity()
        return Lineage(since=self._since, until=self._until, records=self.records, code=code, metrics=metrics)

    def diversity(self) -> dict[str, float]:
        """Effective numbers of different tasks and of chosen agents, of recent decisions that were open."""
        open_ones = [record for record in self._recent if len(record.candidates) > 1 and record.chosen]
        if not open_ones:
            return {}
        tasks = spread([" ".join(record.instruction.split()).lower() for record in open_ones])
        agents = spread([record.chosen[0] for record in open_ones])
        return {EFFECTIVE_TASKS: round(tasks, 2), EFFECTIVE_AGENTS: round(agents, 2)}

    def changed_choices(self) -> float | None:
        """The share of recent decisions that would go to another agent now. None: there were none to decide."""
        open_ones = [record for record in self._recent if len(record.candidates) > 1]
        if not open_ones:
            return None
        vectors = [lessons_of(record, self.dimension)[0].vector for record in open_ones]
        self.learner.policy.foresee(np.stack(vectors))
        return sum(map(self._differs, open_ones, vectors)) / len(open_ones)

    def _as_judged(self, task_id: str, lessons: list[Outcome]) -> list[Outcome]:
        """With what people said of the task before it was studied."""
        remark = self._said.get(task_id)
        return lessons if remark is None else [replace(lesson, judged=remark.success) for lesson in lessons]

    def _is_news(self, record: ExperienceRecord) -> bool:
        if record.record_id in self._known:
            return False
        self._known[record.record_id] = None
        if len(self._known) > RECORDS_KNOWN:
            self._known.popitem(last=False)
        return True

    def _is_to_be_judged(self, second: int) -> bool:
        """By the record's own clock, so that the same records make the same policy however fast they are studied."""
        if second != self._second:
            self._second, self._judged = second, 0
        self._judged += 1
        return self._judged <= JUDGED_PER_S

    def _take_in(self, lessons: Sequence[Outcome], judged: Sequence[int]) -> None:
        """Each as if by itself: whoever is judged is judged by all that came before."""
        policy = self.learner.policy
        policy.past.expect(np.stack([lesson.vector for lesson in lessons]), judged)
        learned = 0
        for place in judged:
            policy.learn_all(lessons[learned:place])
            lesson, learned = lessons[place], place + 1
            self._errors.append(self.learner.learn(lesson) ** 2)
        policy.learn_all(lessons[learned:])

    def _differs(self, record: ExperienceRecord, vector: NDArray[np.float32]) -> bool:
        ids = [candidate.agent_id for candidate in record.candidates]
        shown = Shown(
            np.array([nearness_of(one) or 0.0 for one in record.candidates], dtype=np.float32),
            np.array([one.scores.get(WORDS, 0.0) for one in record.candidates], dtype=np.float32),
            np.zeros(len(ids), dtype=np.float32),
        )
        best = ids[int(self.learner.policy.judge(vector, ids, shown).chances.argmax())]
        return best != max(record.candidates, key=lambda one: one.probability).agent_id

    def _note(self, record: ExperienceRecord, lessons: int) -> None:
        self.records += 1
        self.new += lessons
        self._since = min(self._since or record.at, record.at)
        self._until = max(self._until or record.at, record.at)
        self._recent.append(record)


def teach(
    lots: Sequence[tuple[Pupil, Sequence[ExperienceRecord]]], said: Sequence[tuple[Pupil, Sequence[Feedback]]]
) -> None:
    """For a thread. Remarks come first: they may be of what is studied now."""
    for pupil, remarks in said:
        for feedback in remarks:
            pupil.heed(feedback)
    for pupil, lot in lots:
        pupil.study_all(lot)
