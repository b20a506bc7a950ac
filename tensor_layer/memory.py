"""A bounded memory of what was perceived, and what stands for a part in it. Used by `perception`."""

import hashlib
from collections import OrderedDict
from typing import Generic, TypeVar

from schemas.parts import Part

T = TypeVar("T")


class Lru(Generic[T]):
    """A bounded memory: the least recently used goes first."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._kept: OrderedDict[bytes, T] = OrderedDict()

    def get(self, key: bytes) -> T | None:
        """What is kept under ``key``, which counts as a use."""
        value = self._kept.get(key)
        if value is not None:
            self._kept.move_to_end(key)
        return value

    def put(self, key: bytes, value: T) -> None:
        """Keep ``value``."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)


def key_of(part: Part) -> bytes:
    """16 bytes that stand for everything a look at the part depends on."""
    hasher = hashlib.blake2b(digest_size=16)
    content = part.text if part.text is not None else part.data
    kind = "t" if part.text is not None else "d"
    if content is None:
        content, kind = (part.ref.digest if part.ref else ""), "r"
    hasher.update(f"{kind}\x00{part.modality}\x00{part.media_type}\x00{part.name}\x00".encode())
    hasher.update(content.encode(errors="surrogatepass"))
    return hasher.digest()
