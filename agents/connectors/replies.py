"""Reads an agent's answer: a valid InvocationReply to this very step, or BadReply. Called by every connector."""

import asyncio
from collections.abc import AsyncIterator

from pydantic import TypeAdapter, ValidationError

from agents.connectors.faults import bad_reply
from agents.errors import BadReply
from schemas.invocation import Invocation, InvocationReply

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""No answer travels inline past this size; larger outputs are uploaded and returned by reference."""

EXCERPT_CHARS = 200
PARSE_IN_THREAD_BYTES = 512 * 1024

_REPLY = TypeAdapter(InvocationReply)


def read_reply(body: bytes, invocation: Invocation) -> InvocationReply:
    """The reply in ``body``. Raises BadReply: garbage is not retryable (the agent would say it again at the same cost),
    an answer to another step is (the agent mixed up two requests; this one was not answered yet).
    """
    try:
        reply = _REPLY.validate_json(body)
    except ValidationError as error:
        said = body[:EXCERPT_CHARS].decode(errors="replace")
        raise bad_reply(
            invocation, f"something that is not a reply: {_first_problem(error)}. It said: {said!r}"
        ) from error
    if reply.step_id != invocation.step_id:
        other = f"step {reply.step_id[:100]!r} when asked for {invocation.step_id!r}"
        raise bad_reply(invocation, other, retryable=True)
    return reply


async def read_reply_aside(body: bytes, invocation: Invocation) -> InvocationReply:
    """``read_reply`` without holding the event loop when the body is large."""
    if len(body) > PARSE_IN_THREAD_BYTES:
        return await asyncio.to_thread(read_reply, body, invocation)
    return read_reply(body, invocation)


async def bounded_body(chunks: AsyncIterator[bytes], invocation: Invocation) -> bytes:
    """All of an answer that comes in chunks. Raises BadReply for one past MAX_REPLY_BYTES, not heard out."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            raise too_large(invocation, len(body))
    return bytes(body)


def too_large(invocation: Invocation, size_bytes: int) -> BadReply:
    """The error for an answer past MAX_REPLY_BYTES."""
    advice = "Upload large outputs to /v1/blobs and answer with references."
    return bad_reply(invocation, f"{size_bytes} bytes; at most {MAX_REPLY_BYTES} travel inline. {advice}")


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(place) for place in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
