"""Looks at one part: sniff, hear the claims, decode. Called by ``perception`` for every part that it has not seen."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.parts import Modality, Part
from schemas.percept import PartPercept
from tensor_layer.errors import BlobStoreUnavailable, UnreadablePart
from tensor_layer.inspection.audio import look_at_audio
from tensor_layer.inspection.claims import agree, claims_of
from tensor_layer.inspection.content import TEXTUAL, Content, Damaged, Kind, Seen
from tensor_layer.inspection.document import look_at_docx, look_at_html
from tensor_layer.inspection.image import PIXELS_MAX, look_at_image
from tensor_layer.inspection.pdf import look_at_pdf
from tensor_layer.inspection.sniffing import Sniffed, charset_of, sniff
from tensor_layer.inspection.table import look_at_csv, look_at_json, look_at_parquet
from tensor_layer.inspection.text import look_at_text, tally_text
from tensor_layer.ports import MODALITIES_WITH_ENCODER, Blobs

THREADS = 2
ON_LOOP_CHARACTERS = 16_384
"""Counting and hashing so much text takes a tenth of a millisecond: less than a thread's round trip."""


@dataclass(frozen=True, slots=True)
class Look:
    """One part, looked at: its percept and its first words. Small, whatever the part's size: it is kept in caches."""

    percept: PartPercept
    excerpt: str | None


class PartInspector:
    """Decodes parts in threads, a bounded number at a time. Safe for concurrent use in one event loop."""

    def __init__(self, blobs: Blobs, *, threads: int = THREADS, pixels_max: int = PIXELS_MAX) -> None:
        self._blobs = blobs
        self._pixels_max = pixels_max
        self._turns = asyncio.Semaphore(threads)

    async def inspect(self, index: int, part: Part) -> Look:
        """Type and measure one part. Raises UnreadablePart, BlobNotFound, BlobStoreUnavailable."""
        try:
            if part.text is not None and len(part.text) <= ON_LOOP_CHARACTERS and _is_plain(part):
                return _look(index, *_look_at_words(part.text))
            path = await self._blobs.local_path(part.ref) if part.ref is not None else None
            async with self._turns:
                content, digest, seen = await asyncio.to_thread(self._decode, part, path)
            return _look(index, content, digest, seen)
        except Damaged as damage:
            raise UnreadablePart(index, damage.problem, damage.next_step, part.name) from damage

    def _decode(self, part: Part, path: Path | None) -> tuple[Content, str, Seen]:
        content, digest = _content(part, path)
        if part.text is not None and _is_plain(part):
            return content, digest, _look_at_words(part.text)[2]
        if content.size_bytes == 0:
            raise Damaged("the file is empty: 0 bytes.", "Send the file again.")
        claims = claims_of(part)
        head = content.head()
        sniffed = _with_charset(sniff(head), head, claimed_text=bool(claims) and claims[0].kind in TEXTUAL)
        kind = agree(sniffed, claims, part.modality)
        try:
            return content, digest, self._look_at(kind, content)
        except Damaged:
            if sniffed.certain or claims or part.modality:
                raise
            # Two bytes of a signature and nothing else that speaks for it: an unknown file, not a damaged one.
            return content, digest, Seen(Modality.FILE, "application/octet-stream")

    def _look_at(self, sniffed: Sniffed, content: Content) -> Seen:
        media_type, charset = sniffed.media_type, sniffed.charset or "utf-8"
        decoders: dict[Kind, Callable[[], Seen]] = {
            Kind.TEXT: lambda: look_at_text(content, media_type, charset),
            Kind.CSV: lambda: look_at_csv(content, media_type, charset),
            Kind.JSON: lambda: look_at_json(content, media_type, charset),
            Kind.HTML: lambda: look_at_html(content, charset),
            Kind.IMAGE: lambda: look_at_image(content, media_type, self._pixels_max),
            Kind.AUDIO: lambda: look_at_audio(content, media_type),
            Kind.PDF: lambda: look_at_pdf(content),
            Kind.DOCX: lambda: look_at_docx(content),
            Kind.PARQUET: lambda: look_at_parquet(content, media_type),
            Kind.SVG: lambda: Seen(Modality.FILE, media_type),
            Kind.OTHER: lambda: Seen(Modality.FILE, media_type),
        }
        return decoders[sniffed.kind]()


def _is_plain(part: Part) -> bool:
    """Words inside the message are text, unless their sender calls them something more."""
    return part.modality in (None, Modality.TEXT) and part.media_type in (None, "text/plain") and not part.name


def _look_at_words(text: str) -> tuple[Content, str, Seen]:
    tally = tally_text(text)
    encoded = _encoded(text)
    content = Content(encoded, len(encoded))
    return content, _digest(encoded), Seen(Modality.TEXT, "text/plain", tally.facts("utf-8"), tally.excerpt)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Damaged(
            f"its text holds half a character (a lone surrogate) at position {error.start}.", "Send valid Unicode."
        ) from error


def _content(part: Part, path: Path | None) -> tuple[Content, str]:
    if path is not None and part.ref is not None:
        return Content(path, _size_of(path)), part.ref.digest
    content = _encoded(part.text) if part.text is not None else part.inline_bytes() or b""
    return Content(content, len(content)), _digest(content)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise BlobStoreUnavailable(f"the local copy of an attachment is gone: {error}") from error


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _with_charset(sniffed: Sniffed, head: bytes, *, claimed_text: bool) -> Sniffed:
    """Text in an old charset may look like nothing; who says that it is text gets a second, more patient look."""
    if not claimed_text or sniffed.kind is not Kind.OTHER:
        return sniffed
    if b"\x00" in head:
        raise Damaged("it is sent as text but holds NUL bytes.", "Send UTF-8 text, or send it as a file.")
    charset = charset_of(head, insist=True)
    return Sniffed(Kind.TEXT, "text/plain", charset) if charset is not None else sniffed


def _look(index: int, content: Content, digest: str, seen: Seen) -> Look:
    percept = PartPercept(
        index=index,
        modality=seen.modality,
        media_type=seen.media_type,
        digest=digest,
        size_bytes=content.size_bytes,
        facts=seen.facts,
        lacks=() if seen.modality in MODALITIES_WITH_ENCODER else (seen.modality.value,),
    )
    return Look(percept, seen.excerpt)


def filled(part: Part, percept: PartPercept) -> Part:
    """The part with its true modality, media type and size, as its percept says."""
    update: dict[str, Any] = {}
    if part.modality is not percept.modality or part.media_type != percept.media_type:
        update = {"modality": percept.modality, "media_type": percept.media_type}
    if part.ref is not None and part.ref.size_bytes != percept.size_bytes:
        update["ref"] = part.ref.model_copy(update={"size_bytes": percept.size_bytes})
    return part.model_copy(update=update) if update else part
