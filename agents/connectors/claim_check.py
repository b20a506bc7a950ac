"""Large content travels by reference in both directions. Called by every connector around its one attempt.

Outputs past INLINE_LIMIT_BYTES are put into the object store and replaced by references, so that no later message
passes the bus's limit; references that an agent returns are checked, so that no result points to nothing.
"""

import asyncio
from collections.abc import Callable

import orjson

from agents.connectors.faults import bad_reply
from schemas.invocation import Invocation, InvocationReply
from schemas.parts import INLINE_LIMIT_BYTES, BlobRef, Part
from tensor_layer.ports import Blobs

REFERENCE_BYTES = 512
"""What a reference with its digest and URL takes in a message, or somewhat more."""

BlobUrl = Callable[[BlobRef], str]
"""Where a remote agent can GET a blob: ``<gateway>/v1/blobs/<digest>``."""


async def checked_in(reply: InvocationReply, invocation: Invocation, blobs: Blobs) -> InvocationReply:
    """The reply with large outputs by reference. Raises BadReply for a reference to nothing, BlobStoreUnavailable."""
    if all(part.ref is None and _inline_chars(part) <= INLINE_LIMIT_BYTES // 4 for part in reply.outputs):
        return reply  # the usual case, decided without counting bytes
    outputs = [await _checked_in(part, invocation, blobs) for part in reply.outputs]
    return reply.model_copy(update={"outputs": tuple(outputs)})


async def lightened(invocation: Invocation, limit_bytes: int, blobs: Blobs) -> Invocation:
    """The invocation with its largest inline inputs by reference, until all of them together fit ``limit_bytes``.

    Those that are hardly larger than a reference stay: however many they are, it would make them no lighter.
    """
    inputs = list(invocation.inputs)
    sizes = {place: _json_bytes(part) for place, part in enumerate(inputs)}
    total = sum(sizes.values())
    for place in sorted(sizes, key=lambda place: -sizes[place]):
        if total <= limit_bytes or sizes[place] <= REFERENCE_BYTES:
            break
        inputs[place] = await _by_reference(inputs[place], blobs)
        total -= sizes[place]
    return invocation.model_copy(update={"inputs": tuple(inputs)})


def with_urls(invocation: Invocation, blob_url: BlobUrl | None) -> Invocation:
    """The invocation with a place to GET each referenced input from; the very same object when nothing is missing."""
    if blob_url is None or all(part.ref is None or part.ref.url for part in invocation.inputs):
        return invocation
    inputs = tuple(_with_url(part, blob_url) for part in invocation.inputs)
    return invocation.model_copy(update={"inputs": inputs})


async def _checked_in(part: Part, invocation: Invocation, blobs: Blobs) -> Part:
    if part.ref is not None:
        if not await blobs.keep(part.ref):
            lost = f"a reference to {part.ref.digest}, which is not in the object store"
            raise bad_reply(invocation, f"{lost}. Upload the bytes to /v1/blobs before answering.")
        # An agent's url is dropped: whoever reads the result asks the object store, never an address of the agent's.
        return part.model_copy(update={"ref": part.ref.model_copy(update={"url": None})})
    return await _by_reference(part, blobs) if _inline_bytes(part) > INLINE_LIMIT_BYTES else part


async def _by_reference(part: Part, blobs: Blobs) -> Part:
    content = await asyncio.to_thread(part.inline_bytes)
    if content is None:
        return part
    ref = await blobs.put_bytes(content)
    media_type = part.media_type or ("text/plain" if part.text is not None else None)
    return part.model_copy(update={"text": None, "data": None, "ref": ref, "media_type": media_type})


def _with_url(part: Part, blob_url: BlobUrl) -> Part:
    if part.ref is None or part.ref.url:
        return part
    return part.model_copy(update={"ref": part.ref.model_copy(update={"url": blob_url(part.ref)})})


def _inline_chars(part: Part) -> int:
    """A cheap bound of the inline content: characters of the message."""
    return len(part.text) if part.text is not None else len(part.data) if part.data is not None else 0


def _json_bytes(part: Part) -> int:
    """What the inline content takes in a message: a letter of Chinese is three bytes, a control character six."""
    return len(orjson.dumps(part.text)) if part.text is not None else len(part.data or "")


def _inline_bytes(part: Part) -> int:
    """The exact size of the inline content."""
    if part.text is not None:
        return len(part.text.encode())
    if part.data is not None:
        return len(part.data) * 3 // 4 - part.data[-2:].count("=")
    return 0
