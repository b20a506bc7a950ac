"""Looks at plain text: characters, words, lines. A decoder of ``inspector``."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from schemas.parts import Modality
from tensor_layer.inspection.content import Content, Damaged, Seen
from tensor_layer.spoken import ENCODED_CHARACTERS_MAX

READ_BYTES = 1024 * 1024


@dataclass(slots=True)
class Tally:
    """Counts a text as it passes by in pieces."""

    characters: int = 0
    words: int = 0
    newlines: int = 0
    replaced: int = 0
    excerpt: str = ""
    last: str = "\n"

    def add(self, piece: str) -> None:
        """Count one more piece. Raises Damaged at a NUL character."""
        if not piece:
            return
        nul = piece.find("\x00")
        if nul >= 0:
            raise Damaged(
                f"it holds a NUL character at position {self.characters + nul}: that is not text.",
                "Remove it, or send the content as a file (base64 in 'data', or an upload).",
            )
        glued = not self.last.isspace() and not piece[0].isspace()
        self.words += len(piece.split()) - glued
        self.characters += len(piece)
        self.newlines += piece.count("\n")
        self.replaced += piece.count("\ufffd")
        self.excerpt += piece[: ENCODED_CHARACTERS_MAX - len(self.excerpt)]
        self.last = piece[-1]

    def facts(self, charset: str) -> dict[str, Any]:
        """What was counted, in a percept's words."""
        lines = self.newlines + (self.last != "\n")
        facts: dict[str, Any] = {"characters": self.characters, "words": self.words, "lines": lines, "charset": charset}
        if self.replaced:
            facts["unreadable_characters"] = self.replaced
        return facts


def tally_text(text: str) -> Tally:
    """Count a text that is in memory. Raises Damaged."""
    tally = Tally()
    tally.add(text)
    return tally


def look_at_text(content: Content, media_type: str, charset: str) -> Seen:
    """Count a text of any size in bounded memory. Raises Damaged."""
    tally = Tally()
    for piece in pieces(content, charset):
        tally.add(piece)
    return Seen(Modality.TEXT, media_type, tally.facts(charset), tally.excerpt)


def pieces(content: Content, charset: str) -> Iterator[str]:
    """The text in pieces of about a megabyte; bytes that are no characters become U+FFFD."""
    decoder = codecs.getincrementaldecoder(charset)(errors="replace")
    with content.open() as file:
        while chunk := file.read(READ_BYTES):
            yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)
