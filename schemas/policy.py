"""What routing has learned, as one small file: weights, what is known of each agent, and where it comes from.

Written by the learning role (and by evaluation), read by workers. The first line of the file is its frame: format and
checksum of the rest, so that a reader knows before parsing whether it has all of it and understands it.
"""

import hashlib
import json
import zlib
from typing import Final

from pydantic import Field, ValidationError

from schemas.base import Message, Moment, now

FORMAT: Final = 2
"""The newest that is read here. 1 is plain; 2 is the same deflated, written only where the plain file is large."""
PLAIN_BYTES_MAX: Final = 256 * 1_024
"""Some 3,000 agents. The bus takes 1 MiB at once, which plain files of 8,000 exceed."""
UNPACKED_BYTES_MAX: Final = 64 * 1_024 * 1_024
FRAME_BYTES_MAX: Final = 1_024
_KIND: Final = "aos-policy"


class PolicyUnreadable(ValueError):
    """The bytes are no policy snapshot."""

    code = "policy_unreadable"


class PolicyTruncated(PolicyUnreadable):
    """The frame is fine but the rest is not what was written: cut off or changed on the way."""

    code = "policy_truncated"


class PolicyTooNew(PolicyUnreadable):
    """Written in a format that this version does not know."""

    code = "policy_too_new"


class AgentStanding(Message):
    """What became of an agent's steps."""

    successes: float = Field(ge=0)
    failures: float = Field(ge=0)
    latency_ms: float = Field(default=0.0, ge=0, description="of a usual step; 0 when unknown")
    cost: float = Field(default=0.0, ge=0, description="of a usual step")


class Lineage(Message):
    """Where a policy comes from, so that it can be made again and judged."""

    since: Moment | None = Field(default=None, description="start of the window of experience")
    until: Moment | None = None
    records: int = Field(default=0, ge=0, description="in the window")
    code: str = Field(default="", description="version of the program that learned it")
    seed: int = 0
    metrics: dict[str, float] = Field(default_factory=dict, description="on held-out experience, by name")


class PolicySnapshot(Message):
    """One version of everything that ranking has learned. Never changed: a new version names its ``parent``."""

    policy: str = Field(min_length=1, max_length=200, description="the name that decisions record: learned-7")
    parent: str | None = Field(default=None, description="the policy that this one was learned under")
    at: Moment = Field(default_factory=now)
    encoder: str = Field(description="name and version of the text encoder whose similarities the weights are for")
    events: int = Field(ge=0, description="how many outcomes it was learned from")
    weights: dict[str, float] = Field(description="of the ranker's features, by name")
    trust: float = Field(
        default=1.0, ge=0, le=1, description="how far an answer that nobody judged proves its agent right"
    )
    standings: dict[str, AgentStanding] = Field(default_factory=dict, description="by agent id")
    artefacts: dict[str, str] = Field(
        default_factory=dict, description="what is too large for this file: name to digest in the object store"
    )
    lineage: Lineage | None = None


def dumps(snapshot: PolicySnapshot) -> bytes:
    """The file's content."""
    body, version = snapshot.model_dump_json().encode(), 1
    if len(body) > PLAIN_BYTES_MAX:
        body, version = zlib.compress(body), 2
    frame = {"kind": _KIND, "format": version, "sha256": hashlib.sha256(body).hexdigest(), "size_bytes": len(body)}
    return json.dumps(frame).encode() + b"\n" + body


def loads(content: bytes) -> PolicySnapshot:
    """The snapshot in a file's content. Raises PolicyUnreadable, PolicyTruncated, PolicyTooNew."""
    head, _, body = content.partition(b"\n")
    frame = _frame(head)
    version = frame.get("format")
    if not isinstance(version, int):
        raise PolicyUnreadable("no policy snapshot: its first line names no format")
    if version > FORMAT:
        raise PolicyTooNew(f"the policy is of format {version}; this reads up to {FORMAT}: update, or roll back")
    if hashlib.sha256(body).hexdigest() != frame.get("sha256"):
        written = frame.get("size_bytes")
        how = f"{len(body)} bytes where {written} were written" if len(body) != written else "its bytes were changed"
        raise PolicyTruncated(f"the policy is damaged: {how}; load it again")
    try:
        return PolicySnapshot.model_validate_json(_unpacked(body) if version == 2 else body)
    except (ValidationError, zlib.error) as error:
        raise PolicyUnreadable(f"the policy does not say what format {version} says: {error}") from error


def _unpacked(body: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(body, UNPACKED_BYTES_MAX)
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise zlib.error(f"it is cut off, or unpacks to more than {UNPACKED_BYTES_MAX} bytes")
    return plain


def _frame(head: bytes) -> dict[str, object]:
    try:
        frame = json.loads(head) if len(head) <= FRAME_BYTES_MAX else None
    except ValueError:
        frame = None
    if not isinstance(frame, dict) or frame.get("kind") != _KIND:
        raise PolicyUnreadable("no policy snapshot: its first line is not a policy's frame")
    return frame
