"""Publishes durably: the ack is the acceptance. Called by admission, and by whatever puts work back into the queue."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from agents.errors import BusUnavailable
from gateway.errors import GatewayError, Overloaded, StoreFull, TooLarge
from schemas import subjects

_ATTEMPT_S = 1.0
_RETRY_S = 0.05

# JetStream's words for "no room": insufficient resources, stream quota, storage and memory of the account or server.
_FULL = frozenset({10002, 10023, 10028, 10047, 10077, 10122})
_MESSAGE_TOO_LARGE = frozenset({10054})


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the bus said: the message's sequence, and whether somebody had published the same id before."""

    stream_seq: int
    duplicate: bool


class Publisher:
    """Publishes with an ack, again and again under one message id while the bus is away, within bounds.

    Safe for concurrent use. A message that was stored although its ack got lost is not stored twice: the bus knows
    its id.
    """

    def __init__(
        self,
        nc: Client,
        js: JetStreamContext,
        *,
        timeout_s: float = 5.0,
        in_flight: int = 256,
        waiting: int = 4096,
        observe_s: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._nc = nc
        self._js = js
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(in_flight)
        self._room = in_flight + waiting
        self._present = 0
        self._observe_s = observe_s

    async def publish(
        self, subject: str, payload: bytes, message_id: str, content_type: str = subjects.CONTENT_JSON
    ) -> Receipt:
        """Store the message. Raises BusUnavailable, StoreFull, TooLarge, Overloaded; then nothing was accepted."""
        if self._present >= self._room:
            raise Overloaded(f"{self._present} messages are being published already")
        self._present += 1
        started = time.perf_counter()
        try:
            async with self._slots:
                return await self._until_acked(subject, payload, _headers(message_id, content_type))
        finally:
            self._present -= 1
            self._observe_s(time.perf_counter() - started)

    async def _until_acked(self, subject: str, payload: bytes, headers: dict[str, str]) -> Receipt:
        deadline = time.monotonic() + self._timeout_s
        first, cause = True, "not connected"
        while (left := deadline - time.monotonic()) > 0:
            if not self._nc.is_connected:
                await asyncio.sleep(_RETRY_S)
                continue
            try:
                ack = await self._js.publish(subject, payload, timeout=min(left, _ATTEMPT_S), headers=headers)
            except (nats.errors.Error, OSError) as error:
                cause = _refused_or_silent(error)
                first = False
                await asyncio.sleep(_RETRY_S)
                continue
            # A repeat of our own whose first ack was lost is no duplicate.
            return Receipt(ack.seq, bool(ack.duplicate) and first)
        raise BusUnavailable(f"the bus did not accept the message within {self._timeout_s:g} s: {cause}")


def _refused_or_silent(error: Exception) -> str:
    """Words for an outage that may pass; raises for an answer that trying again will not change."""
    refusal = refusal_of(error)
    if refusal is not None:
        raise refusal from error
    if isinstance(error, nats.js.errors.NoStreamResponseError):
        return "no stream answers"
    return str(error) or type(error).__name__


def refusal_of(error: Exception) -> GatewayError | None:
    """What the bus means by an error that is a clear no: full, or too large. None for silence and outages."""
    if isinstance(error, nats.errors.MaxPayloadError):
        return TooLarge("the message is larger than the bus takes", code="message_too_large")
    if not isinstance(error, nats.js.errors.APIError):
        return None
    if error.err_code in _FULL:
        return StoreFull(f"the store has no room: {error.description}")
    if error.err_code in _MESSAGE_TOO_LARGE:
        return TooLarge("the message is larger than its stream takes", code="message_too_large")
    return None


def _headers(message_id: str, content_type: str) -> dict[str, str]:
    """JSON is what everybody expects, so it is not said."""
    said = {} if content_type == subjects.CONTENT_JSON else {subjects.HEADER_CONTENT_TYPE: content_type}
    return {subjects.HEADER_MESSAGE_ID: message_id, **said}
