"""One bus's experience goes to one store. Asked by the recorder (``bus``) before it takes anything, and ever after.

Recorders share a durable consumer, so two that keep different stores would get half of the records each: each would
learn from its half, and publish over what the other one learned. The consumer's metadata names the store that is
filled; who keeps another one is refused for as long as somebody fills that.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from evolution.errors import RecordedElsewhere

logger = logging.getLogger(__name__)

_STORE, _PLACE = "aos-store", "aos-store-at"
LOOKS = 12
LOOK_EVERY_S = 0.25
"""A recorder asks for more records most of the time; one that was killed asks for half a second more."""
SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where experience is kept. ``store_id`` is the same for all who keep the same store; ``at`` is for people."""

    store_id: str
    at: str

    def metadata(self) -> dict[str, str]:
        """As the consumer carries it."""
        return {_STORE: self.store_id, _PLACE: self.at}

    def check(self, info: ConsumerInfo) -> None:
        """Raises RecordedElsewhere when the consumer names another store."""
        if (other := self._other(info)) is not None:
            raise RecordedElsewhere(
                f"another evolution role records this bus's experience in {other}: {self.at} would get only a part"
            )

    async def claim(self, js: JetStreamContext, stream: str, durable: str) -> None:
        """Before the consumer gets this place's metadata. Raises RecordedElsewhere while somebody fills another store.

        Raises nats.errors.Error when the bus does not answer.
        """
        info = await _info(js, stream, durable)
        if info is None or self._other(info) is None:
            return
        await asyncio.sleep(SETTLE_S)
        for _ in range(LOOKS):
            info = await _info(js, stream, durable)
            if info is not None and info.num_waiting:
                self.check(info)
            await asyncio.sleep(LOOK_EVERY_S)
        if info is not None and (other := self._other(info)) is not None:
            logger.warning("experience was recorded in %s until now; from now on it is in %s", other, self.at)

    def _other(self, info: ConsumerInfo) -> str | None:
        told: Mapping[str, str] = info.config.metadata or {}
        return told.get(_PLACE, "another store") if told.get(_STORE, self.store_id) != self.store_id else None


async def _info(js: JetStreamContext, stream: str, durable: str) -> ConsumerInfo | None:
    try:
        info: ConsumerInfo = await js.consumer_info(stream, durable)
    except NotFoundError:
        return None
    return info
