"""Hears what became of tasks, from every worker, and hands it to whatever learns from it between two versions.

The records themselves are the evolution role's; here they are only heard in passing, so that losing one loses nothing
but a little precision. Those of other workers are decoded once; a worker's own are told by its settlement, for its
connection does not hear itself (`wiring`). They are handed on in lots: what is remembered of matches and plans stays
valid in between, so that a warm one stays warm.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic import ValidationError

from agents.background_tasks import begun, ended
from schemas import subjects
from schemas.experience import ExperienceRecord

logger = logging.getLogger(__name__)

HAND_ON_EVERY_S = 0.5
AT_ONCE = 32
"""The event loop is free again after so many, some milliseconds."""
HELD_MAX = 4_096

Learn = Callable[[Sequence[ExperienceRecord]], None]


class OutcomeFeed:
    """One for each worker; every worker hears everything."""

    def __init__(self, nc: Client, learners: Sequence[Learn], hand_on_every_s: float = HAND_ON_EVERY_S) -> None:
        self._nc = nc
        self._learners = learners
        self._hand_on_every_s = hand_on_every_s
        self._heard: deque[ExperienceRecord] = deque(maxlen=HELD_MAX)
        self._subscription: Subscription | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Hear from now on."""
        self._subscription = await self._nc.subscribe(subjects.EXPERIENCE_ALL, cb=self._hear)
        self._tasks = begun((self._hand_on,), "outcomes")

    async def stop(self) -> None:
        """Hear no more."""
        if self._subscription is not None and not self._nc.is_closed:
            await self._subscription.unsubscribe()
        await ended(*self._tasks)

    def wrote(self, record: ExperienceRecord) -> None:
        """An outcome of this worker that the bus has stored."""
        self._heard.append(record)

    async def _hear(self, message: Msg) -> None:
        try:
            self._heard.append(ExperienceRecord.from_peer(message.data))
        except ValidationError as error:
            logger.warning("an experience does not read as one and teaches nothing: %s", error)

    async def _hand_on(self) -> None:
        while True:
            await asyncio.sleep(self._hand_on_every_s)
            for _ in range(-(-len(self._heard) // AT_ONCE)):
                self._tell([self._heard.popleft() for _ in range(min(AT_ONCE, len(self._heard)))])
                await asyncio.sleep(0)

    def _tell(self, records: Sequence[ExperienceRecord]) -> None:
        for learn in self._learners:
            try:
                learn(records)
            except Exception:
                logger.exception("%d outcomes could not be learned from; the next ones will be", len(records))
