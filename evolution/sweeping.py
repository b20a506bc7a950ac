"""Takes what was acknowledged off the experience stream, many messages at a time. Called by the recorder (``bus``).

A work queue would remove each message as it is acknowledged, and force that to disk: a fifth of what the bus spends on
a record. So the stream keeps its messages, and all that lies below the consumer's acknowledgement floor is purged at
once.
"""

import logging
import time
from collections.abc import Callable

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo

Look = Callable[[ConsumerInfo], None]

logger = logging.getLogger(__name__)

EVERY_S = 2.0
"""How long acknowledged messages may lie in the stream while others come; a full stream is held up no longer."""


class Sweeper:
    """Keeps a stream as small as one durable consumer of it allows. Any number of processes may do so at once."""

    def __init__(self, js: JetStreamContext, stream: str, durable: str, look: Look | None = None) -> None:
        """``look`` sees the consumer each time and may raise."""
        self._js = js
        self._stream = stream
        self._durable = durable
        self._look = look
        self._swept_at = 0.0
        self._swept_below = 0
        self._dirty = True

    def acknowledged(self) -> None:
        """Something may be swept away now."""
        self._dirty = True

    async def sweep(self, *, idle: bool) -> None:
        """Purge what is below the floor, if anything is: at once when ``idle``, else every ``EVERY_S``.

        A bus that does not answer is said and asked again with the next messages: nothing is lost by waiting.
        """
        if not self._dirty or not (idle or time.monotonic() - self._swept_at >= EVERY_S):
            return
        self._swept_at = time.monotonic()
        try:
            info = await self._js.consumer_info(self._stream, self._durable)
            if self._look is not None:
                self._look(info)
            floor = info.ack_floor.stream_seq if info.ack_floor else 0
            if floor != self._swept_below:
                await self._js.purge_stream(self._stream, seq=floor + 1)
                self._swept_below = floor
            delivered = info.delivered.stream_seq if info.delivered else 0
            # Acknowledgements are on their way for a moment, and what waits for its store has none: look again.
            self._dirty = floor < delivered
        except (nats.errors.Error, nats.js.errors.Error) as error:
            logger.info("the experience stream is not swept yet (%s)", str(error) or type(error).__name__)
