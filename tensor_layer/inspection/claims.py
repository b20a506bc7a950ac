"""What the sender says a part is, and whether its bytes agree. The second step of ``inspector``."""

from dataclasses import dataclass, replace

from schemas.parts import Modality, Part
from tensor_layer.inspection.content import TEXTUAL, Damaged, Kind
from tensor_layer.inspection.sniffing import DOCX, PARQUET, Sniffed

EXTENSIONS: dict[str, tuple[Kind, str]] = {
    "txt": (Kind.TEXT, "text/plain"),
    "log": (Kind.TEXT, "text/plain"),
    "md": (Kind.TEXT, "text/markdown"),
    "py": (Kind.TEXT, "text/x-python"),
    "sql": (Kind.TEXT, "application/sql"),
    "yaml": (Kind.TEXT, "application/yaml"),
    "yml": (Kind.TEXT, "application/yaml"),
    "xml": (Kind.TEXT, "application/xml"),
    "csv": (Kind.CSV, "text/csv"),
    "tsv": (Kind.CSV, "text/tab-separated-values"),
    "json": (Kind.JSON, "application/json"),
    "jsonl": (Kind.JSON, "application/x-ndjson"),
    "ndjson": (Kind.JSON, "application/x-ndjson"),
    "html": (Kind.HTML, "text/html"),
    "htm": (Kind.HTML, "text/html"),
    "svg": (Kind.SVG, "image/svg+xml"),
    "pdf": (Kind.PDF, "application/pdf"),
    "docx": (Kind.DOCX, DOCX),
    "parquet": (Kind.PARQUET, PARQUET),
} | {
    extension: (kind, f"{kind_name}/{subtype}")
    for kind, kind_name, extensions in (
        (Kind.IMAGE, "image", {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "gif": "gif", "webp": "webp"}),
        (Kind.IMAGE, "image", {"tif": "tiff", "tiff": "tiff", "bmp": "bmp", "avif": "avif", "heic": "heic"}),
        (Kind.AUDIO, "audio", {"wav": "wav", "flac": "flac", "ogg": "ogg", "opus": "ogg", "mp3": "mpeg"}),
        (Kind.AUDIO, "audio", {"aiff": "aiff", "aif": "aiff", "m4a": "mp4", "aac": "aac"}),
    )
    for extension, subtype in extensions.items()
}
BY_MEDIA_TYPE = {media_type: kind for kind, media_type in EXTENSIONS.values()} | {
    "application/csv": Kind.CSV,
    "application/jsonl": Kind.JSON,
    "application/xhtml+xml": Kind.HTML,
    "application/x-parquet": Kind.PARQUET,
}
MODALITY_KINDS: dict[Modality, frozenset[Kind]] = {
    Modality.TEXT: TEXTUAL,
    Modality.IMAGE: frozenset({Kind.IMAGE}),
    Modality.AUDIO: frozenset({Kind.AUDIO}),
    Modality.TABLE: frozenset({Kind.TEXT, Kind.CSV, Kind.JSON, Kind.PARQUET}),
    Modality.DOCUMENT: frozenset({Kind.TEXT, Kind.HTML, Kind.PDF, Kind.DOCX}),
}
"""DATA and FILE fit every content. Plain text as TABLE has still to parse as one."""

ACCEPTED = "Images: PNG, JPEG, GIF, WebP, TIFF, BMP, AVIF. Sounds: WAV, FLAC, OGG, MP3, AIFF."


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing the sender says: ``said`` is how to quote it back."""

    kind: Kind
    media_type: str
    said: str


def claims_of(part: Part) -> tuple[Claim, ...]:
    """What the media type and the name say, the stronger first. Unknown words claim nothing."""
    claims = []
    media_type = (part.media_type or "").partition(";")[0].strip().lower()
    kind = _kind_of_media_type(media_type)
    if kind is not None:
        claims.append(Claim(kind, media_type, f"its media type says {media_type}"))
    extension = (part.name or "").rpartition(".")[2].lower()
    if part.name and "." in part.name and extension in EXTENSIONS:
        claims.append(Claim(*EXTENSIONS[extension], f"it is named {part.name}"))
    return tuple(claims)


def agree(sniffed: Sniffed, claims: tuple[Claim, ...], modality: Modality | None) -> Sniffed:
    """The final kind: the bytes', refined by the strongest claim they allow. Raises Damaged when they contradict it."""
    for claim in claims:
        if not _fits(sniffed.kind, claim.kind):
            raise Damaged(
                f"{claim.said}, but its content is {sniffed.name}.",
                f"Send it under its true name and type, or send what the name promises. {ACCEPTED}",
            )
    allowed = MODALITY_KINDS.get(modality) if modality else None
    if allowed is not None and sniffed.kind not in allowed:
        raise Damaged(f"it is sent as {modality}, but its content is {sniffed.name}.", ACCEPTED)
    return _refined(sniffed, claims, modality)


def _refined(sniffed: Sniffed, claims: tuple[Claim, ...], modality: Modality | None) -> Sniffed:
    if sniffed.kind not in TEXTUAL or sniffed.kind is Kind.SVG:
        return sniffed
    if claims and claims[0].kind is not Kind.SVG:
        return replace(sniffed, kind=claims[0].kind, media_type=claims[0].media_type)
    if modality is Modality.TEXT:
        return replace(sniffed, kind=Kind.TEXT, media_type="text/plain")
    if modality is Modality.TABLE and sniffed.kind is Kind.TEXT:
        return replace(sniffed, kind=Kind.CSV, media_type="text/csv")
    return sniffed


def _fits(found: Kind, claimed: Kind) -> bool:
    """Whether content may carry that claim. A JPEG named .png is an image all the same; prose named .csv is not refused
    here but by the decoder that cannot read it."""
    return found is claimed or (found in TEXTUAL and claimed in TEXTUAL)


def _kind_of_media_type(media_type: str) -> Kind | None:
    known = BY_MEDIA_TYPE.get(media_type)
    if known is not None:
        return known
    family = media_type.partition("/")[0]
    return {"text": Kind.TEXT, "image": Kind.IMAGE, "audio": Kind.AUDIO}.get(family)
