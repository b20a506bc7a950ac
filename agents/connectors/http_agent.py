"""Reaches agents behind a URL: the invocation as a JSON POST, a reply as JSON. Called by `running` for kind http."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import httpx
from pydantic import TypeAdapter

from agents.connectors.claim_check import BlobUrl, checked_in, with_urls
from agents.connectors.faults import timed_out, unreachable
from agents.connectors.replies import bounded_body, read_reply, read_reply_aside
from agents.errors import BadReply
from schemas.card import AgentCard, HttpEndpoint
from schemas.invocation import Invocation, InvocationReply
from tensor_layer.ports import Blobs

MAX_CONNECTIONS = 256
PROBE_S = 2.0
RETRYABLE_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

_INVOCATION = TypeAdapter(Invocation)


class HttpConnector:
    """Implements ``ports.Connector`` with one pool of HTTP/1.1 keep-alive connections. Safe for concurrent use."""

    def __init__(self, blobs: Blobs, *, env: Mapping[str, str], blob_url: BlobUrl | None = None) -> None:
        """``env`` holds the header values that cards name in ``headers_from_env``."""
        self._blobs = blobs
        self._env = env
        self._blob_url = blob_url
        self._client = httpx.AsyncClient(
            http1=True,
            http2=False,
            follow_redirects=False,
            trust_env=False,
            timeout=None,  # noqa: S113 - each call has one limit over all of it, in ``_post``
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
        )

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        """Ask the agent once. Raises StepTimedOut, AgentUnreachable, BadReply."""
        endpoint = _endpoint(card)
        payload = _INVOCATION.dump_json(with_urls(invocation, self._blob_url))
        status, body = await self._post(endpoint, payload, invocation, timeout_s)
        reply = await self._reply(endpoint, status, body, invocation)
        return await checked_in(reply, invocation, self._blobs)

    async def probe(self, card: AgentCard) -> bool | None:
        """Whether its health URL answers with success; without one, whether its port takes a connection."""
        endpoint = _endpoint(card)
        try:
            async with asyncio.timeout(PROBE_S):
                if endpoint.health_url is None:
                    return await _listens(endpoint)
                answer = await self._client.get(str(endpoint.health_url), headers=self._headers(endpoint))
                return answer.is_success
        except (httpx.HTTPError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _post(
        self, endpoint: HttpEndpoint, payload: bytes, invocation: Invocation, timeout_s: float
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", **self._headers(endpoint)}
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._client.stream("POST", str(endpoint.url), content=payload, headers=headers) as answer,
            ):
                return answer.status_code, await bounded_body(answer.aiter_bytes(), invocation)
        except TimeoutError as error:
            raise timed_out(invocation, timeout_s) from error
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
            raise unreachable(invocation, f"{endpoint.url}: {problem}") from error

    async def _reply(self, endpoint: HttpEndpoint, status: int, body: bytes, invocation: Invocation) -> InvocationReply:
        if status == httpx.codes.OK:
            return await read_reply_aside(body, invocation)
        with suppress(BadReply):  # an agent may say what went wrong in a reply, whatever the status
            return read_reply(body, invocation)
        said = body[:200].decode(errors="replace")
        problem = f"HTTP {status}: {said!r}{self._unset(endpoint)}"
        raise unreachable(invocation, problem, retryable=status in RETRYABLE_STATUS)

    def _headers(self, endpoint: HttpEndpoint) -> dict[str, str]:
        named = endpoint.headers_from_env.items()
        return {header: value for header, name in named if (value := self._env.get(name))}

    def _unset(self, endpoint: HttpEndpoint) -> str:
        """Which variables of the card this worker lacks: mostly the reason why a service says no."""
        lacking = [name for name in endpoint.headers_from_env.values() if not self._env.get(name)]
        return f"; the card names {', '.join(lacking)}, which this worker's environment lacks" if lacking else ""


def _endpoint(card: AgentCard) -> HttpEndpoint:
    assert isinstance(card.endpoint, HttpEndpoint), f"{card.id} is no http agent"
    return card.endpoint


async def _listens(endpoint: HttpEndpoint) -> bool:
    _, writer = await asyncio.open_connection(
        endpoint.url.host, endpoint.url.port, ssl=endpoint.url.scheme == "https" or None
    )
    writer.close()
    return True
