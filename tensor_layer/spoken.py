"""Which part of a text its vector is made of. Used by every encoder, by the facts of a percept and by the door."""

ENCODED_CHARACTERS_MAX = 6_000
"""Tokenising a megabyte takes a second and tells routing nothing that its first pages do not."""


def spoken(text: str) -> str:
    """The beginning of ``text`` that is encoded. Lone surrogates, which no encoder reads, become '?'."""
    return text[:ENCODED_CHARACTERS_MAX].encode(errors="replace").decode()
