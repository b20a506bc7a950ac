"""Reaches agents that answer on the bus: any NATS client in any language. Called by `running` for endpoint kind nats.

The innermost hop of most tasks, so it is lean: one serialisation, one request on the shared inbox, one validation.
Late and second answers find their request gone and are dropped by the client.

An outage of the bus is no failure of an agent: a request that met one is asked again, with the same step id, when the
bus is back, and agents have a while to come back too.
"""

import time

import nats.errors
from nats.aio.client import Client
from pydantic import TypeAdapter

from agents.connectors.claim_check import BlobUrl, checked_in, lightened, with_urls
from agents.connectors.faults import timed_out, unreachable
from agents.connectors.replies import read_reply
from agents.errors import BusUnavailable, StepFailed
from schemas import subjects
from schemas.card import AgentCard
from schemas.invocation import Invocation, InvocationReply
from tensor_layer.ports import Blobs

ENVELOPE_BYTES = 16 * 1024
"""Room left in a message for everything but the inputs."""
SETTLING_S = 10.0
"""So long after a reconnection of ours an agent that is not there may still be on its way back: clients wait between
tries, two seconds in most languages."""

_INVOCATION = TypeAdapter(Invocation)
_AWAY = (nats.errors.ConnectionClosedError, nats.errors.ConnectionDrainingError, nats.errors.OutboundBufferLimitError)


class NatsConnector:
    """Implements ``ports.Connector`` over the process's one bus connection. Safe for concurrent use."""

    def __init__(self, nc: Client, blobs: Blobs, *, blob_url: BlobUrl | None = None) -> None:
        self._nc = nc
        self._blobs = blobs
        self._blob_url = blob_url
        self._subjects: dict[tuple[str, str], str] = {}
        self._reconnects = self._reconnections()
        self._reconnected_at_s = float("-inf")

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        """Ask the agent once. Raises StepTimedOut, AgentUnreachable, BadReply, and BusUnavailable for an outage."""
        payload = _INVOCATION.dump_json(with_urls(invocation, self._blob_url))
        if len(payload) > self._nc.max_payload:
            payload = await self._lighter(invocation)
        body = await self._request(self._subject(card), payload, invocation, timeout_s)
        return await checked_in(read_reply(body, invocation), invocation, self._blobs)

    async def probe(self, card: AgentCard) -> bool | None:
        """None: such agents announce themselves by heartbeat."""
        return None

    async def close(self) -> None:
        """Nothing of its own: the connection belongs to the process."""

    async def _request(self, subject: str, payload: bytes, invocation: Invocation, timeout_s: float) -> bytes:
        reconnections = self._reconnections()
        try:
            message = await self._nc.request(subject, payload, timeout=timeout_s)
        except nats.errors.NoRespondersError as error:
            if self._is_settling():
                raise BusUnavailable(f"{invocation.agent_id} is not back on the bus after its outage") from error
            raise unreachable(invocation, "nobody listens on its subject; is the agent running?") from error
        except (TimeoutError, nats.errors.TimeoutError) as error:
            if self._reconnections() != reconnections or not self._nc.is_connected:
                lost = f"the request to {invocation.agent_id}, or its answer, was lost in an outage of the bus"
                raise BusUnavailable(lost) from error
            raise timed_out(invocation, timeout_s) from error
        except _AWAY as error:
            raise BusUnavailable(f"{invocation.agent_id} cannot be asked: the bus is away ({error!r})") from error
        return bytes(message.data)

    def _reconnections(self) -> int:
        return self._nc.stats["reconnects"]

    def _is_settling(self) -> bool:
        """Whether the bus was away a moment ago. The moment begins when somebody first asks after a reconnection."""
        if self._reconnections() != self._reconnects:
            self._reconnects, self._reconnected_at_s = self._reconnections(), time.monotonic()
        return time.monotonic() - self._reconnected_at_s < SETTLING_S

    async def _lighter(self, invocation: Invocation) -> bytes:
        """The request with large inputs by reference, so that it fits one message of the bus."""
        limit = self._nc.max_payload
        lighter = await lightened(invocation, limit - ENVELOPE_BYTES, self._blobs)
        payload = _INVOCATION.dump_json(with_urls(lighter, self._blob_url))
        if len(payload) > limit:
            raise StepFailed(
                f"The request to {invocation.agent_id} has {len(payload)} bytes and the bus takes {limit}: "
                "shorten the goal or send its text as an attachment.",
                step_id=invocation.step_id,
                agent_id=invocation.agent_id,
            )
        return payload

    def _subject(self, card: AgentCard) -> str:
        """Subjects are checked token by token once for each agent, not for each request."""
        key = (card.tenant, card.id)
        subject = self._subjects.get(key)
        if subject is None:
            if len(self._subjects) > 10_000:
                self._subjects.clear()
            subject = self._subjects[key] = subjects.invoke(card.tenant, card.id)
        return subject
