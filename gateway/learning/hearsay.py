"""What a school heard and has not passed on: remarks of people, and which answers of newcomers were learned already.

Kept by ``school``. Bounded, whoever speaks: what is dropped here lies in the store and in the bucket of auditions.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence

from agents.matching.live.past import CAPACITY
from schemas import subjects
from schemas.audition import Audition
from schemas.experience import ExperienceRecord, Feedback

REMARKED_TENANTS = 1_000


class Remarks:
    """By tenant, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Feedback]] = OrderedDict()

    def note(self, said: Sequence[Feedback]) -> None:
        """Keep these until somebody asks for them. Of too many tenants those are dropped that came first."""
        for feedback in said:
            self._waiting.setdefault(feedback.tenant, deque(maxlen=CAPACITY)).append(feedback)
        while len(self._waiting) > REMARKED_TENANTS:
            self._waiting.popitem(last=False)

    def take(self, tenant: str) -> deque[Feedback] | None:
        """The tenant's, if there are any, to be heeded now."""
        return self._waiting.pop(tenant, None)


class Answers:
    """By key of the bucket of auditions, what was learned of each one that is there."""

    def __init__(self) -> None:
        self._learned: dict[str, set[str]] = {}
        self._done: set[str] = set()

    def news(self, audition: Audition) -> list[ExperienceRecord]:
        """Those answers that were not told before."""
        learned = self._learned.setdefault(subjects.record_key(audition.tenant, audition.agent_id), set())
        news = [record for record in audition.records if record.record_id not in learned]
        learned |= {record.record_id for record in news}
        return news

    def has_ended(self, audition: Audition) -> bool:
        """Whether the last answer has come, and this was not told before."""
        key = subjects.record_key(audition.tenant, audition.agent_id)
        ended = audition.done and key not in self._done
        if ended:
            self._done.add(key)
        return ended

    def forget(self, key: str) -> None:
        """It was taken out of the bucket."""
        self._learned.pop(key, None)
        self._done.discard(key)
