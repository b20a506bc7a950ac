"""One part's bytes, in memory or in a file, and what a decoder says of them. Shared by every module here."""

from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Self

from schemas.parts import Modality

HEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes to look at. A large part is a file and never read whole into memory."""

    source: bytes | Path
    size_bytes: int

    @classmethod
    def of(cls, source: bytes | Path) -> Self:
        """Over bytes, or over a file that is there. Raises OSError."""
        return cls(source, len(source) if isinstance(source, bytes) else source.stat().st_size)

    def open(self) -> BinaryIO:
        """A fresh readable, seekable file over the bytes."""
        return BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")

    def head(self) -> bytes:
        """The first 64 KiB."""
        with self.open() as file:
            return file.read(HEAD_BYTES)


class Kind(StrEnum):
    """Which decoder looks at a part."""

    TEXT = "text"
    CSV = "a CSV table"
    JSON = "JSON"
    HTML = "an HTML page"
    SVG = "an SVG drawing"
    IMAGE = "an image"
    AUDIO = "a sound"
    PDF = "a PDF"
    DOCX = "a Word document"
    PARQUET = "a Parquet table"
    OTHER = "a file that is not decoded here"


TEXTUAL = frozenset({Kind.TEXT, Kind.CSV, Kind.JSON, Kind.HTML, Kind.SVG})
"""Kinds that are all made of characters: a claim may choose between them, the bytes alone cannot always."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decoder found. ``excerpt`` holds the first words of the content when it is made of words."""

    modality: Modality
    media_type: str
    facts: dict[str, Any] = field(default_factory=dict)
    excerpt: str | None = None


class Damaged(Exception):
    """The bytes are not readable as what they are. ``inspector`` turns it into ``UnreadablePart``."""

    def __init__(self, problem: str, next_step: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step
