"""How a stored value of any size becomes messages that fit the bus. Called by the checkpoint stream.

A value is one head; when it is larger than the bus carries, the head only names its parts by their digest, and is
published after them. Parts of two versions of a value can so never be mixed up.
"""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

FORMAT = 1
_HEAD = struct.Struct(">BBH8s")
_NO_DIGEST = bytes(8)


@dataclass(frozen=True, slots=True)
class Value:
    """Serialised content with the word that says how it was serialised."""

    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Frames:
    """A value as messages: ``parts`` first, then ``head``."""

    head: bytes
    digest: str
    parts: tuple[bytes, ...]


def pack(value: Value, limit_bytes: int) -> Frames:
    """Messages of at most ``limit_bytes`` each."""
    kind = value.kind.encode()
    if _HEAD.size + len(kind) + len(value.body) <= limit_bytes:
        return Frames(_HEAD.pack(FORMAT, len(kind), 0, _NO_DIGEST) + kind + value.body, "", ())
    digest = hashlib.blake2b(value.body, digest_size=8).digest()
    parts = tuple(value.body[at : at + limit_bytes] for at in range(0, len(value.body), limit_bytes))
    return Frames(_HEAD.pack(FORMAT, len(kind), len(parts), digest) + kind, digest.hex(), parts)


def unpack(head: bytes, find_part: Callable[[str, int], bytes | None]) -> Value | None:
    """The value again; None when a part is gone, which means that it is just being deleted. Raises ValueError."""
    found_format, kind_length, count, digest = _HEAD.unpack_from(head)
    if found_format != FORMAT:
        raise ValueError(f"stored in format {found_format}, but this version reads {FORMAT}")
    body_at = _HEAD.size + kind_length
    kind = head[_HEAD.size : body_at].decode()
    if not count:
        return Value(kind, head[body_at:])
    parts = [find_part(digest.hex(), index) for index in range(count)]
    if None in parts:
        return None
    return Value(kind, b"".join(part for part in parts if part is not None))
