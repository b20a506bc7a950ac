"""What the first bytes of a part are, whatever anybody says. The first step of ``inspector``."""

import codecs
import json
from dataclasses import dataclass

import charset_normalizer
import filetype

from tensor_layer.inspection.content import HEAD_BYTES, Kind
from tensor_layer.inspection.delimited import looks_like_csv

MEDIA_TYPES = {
    "audio/x-wav": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-aiff": "audio/aiff",
    "image/apng": "image/png",
}
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/tiff", "image/bmp", "image/avif"})
SOUNDS = frozenset({"audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", "audio/aiff"})
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PARQUET = "application/vnd.apache.parquet"

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\b\x1b")


@dataclass(frozen=True, slots=True)
class Sniffed:
    """A first judgement. ``certain`` is false for signatures of two or three bytes, which chance writes too."""

    kind: Kind
    media_type: str
    charset: str | None = None
    certain: bool = True

    @property
    def name(self) -> str:
        """In words, for messages."""
        return f"{self.kind.value} ({self.media_type})"


def sniff(head: bytes) -> Sniffed:
    """Judge the first bytes of a part. Never fails: what nobody knows is OTHER."""
    if head.startswith((b"%PDF-", b"\xef\xbb\xbf%PDF-")):
        return Sniffed(Kind.PDF, "application/pdf")
    if head.startswith(b"PAR1"):
        return Sniffed(Kind.PARQUET, PARQUET)
    charset = charset_of(head)
    if charset is not None and not head.startswith((b"GIF87a", b"GIF89a")):
        return _sniff_text(head, charset)
    return _sniff_binary(head)


def charset_of(head: bytes, *, insist: bool = False) -> str | None:
    """The character set when the bytes are text, else None. ``insist`` when the sender says that they are."""
    for mark, charset in BOMS:
        if head.startswith(mark):
            return charset if decodes(head, charset) else None
    if b"\x00" in head or sum(byte in CONTROLS for byte in head) > len(head) // 50:
        return None
    if decodes(head, "utf-8"):
        return "utf-8"
    if insist or sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in head) > 0.7 * len(head):
        best = charset_normalizer.from_bytes(head[:16_384]).best()
        return best.encoding if best is not None else None
    return None


def decodes(head: bytes, charset: str) -> bool:
    """Whether the bytes are valid in that charset; a character cut off by the end of the head is no fault."""
    decoder = codecs.getincrementaldecoder(charset)()
    try:
        decoder.decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return False
    return True


def _sniff_text(head: bytes, charset: str) -> Sniffed:
    text = head.decode(charset, errors="replace").lstrip("\ufeff \t\r\n")
    start = text[:1024].lower()
    if start.startswith(("<!doctype html", "<html")):
        return Sniffed(Kind.HTML, "text/html", charset)
    if start.startswith(("<svg", "<?xml", "<!--", "<!doctype svg")) and "<svg" in start:
        return Sniffed(Kind.SVG, "image/svg+xml", charset)
    if start.startswith(("{", "[")) and len(head) < HEAD_BYTES and _is_json(text):
        return Sniffed(Kind.JSON, "application/json", charset)
    if looks_like_csv(text, cut=len(head) == HEAD_BYTES):
        return Sniffed(Kind.CSV, "text/csv", charset)
    return Sniffed(Kind.TEXT, "text/plain", charset)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _sniff_binary(head: bytes) -> Sniffed:
    guess = filetype.guess(head)
    if guess is None:
        return Sniffed(Kind.OTHER, "application/octet-stream")
    media_type = MEDIA_TYPES.get(guess.mime, guess.mime)
    if media_type in IMAGES:
        return Sniffed(Kind.IMAGE, media_type, certain=media_type != "image/bmp")
    if media_type in SOUNDS:
        return Sniffed(Kind.AUDIO, media_type, certain=media_type != "audio/mpeg" or head.startswith(b"ID3"))
    if media_type == DOCX:
        return Sniffed(Kind.DOCX, DOCX)
    return Sniffed(Kind.OTHER, media_type)
