"""What tasks and answers are made of: parts, each text, image, audio, table or file, inline or by reference."""

import base64
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from schemas.base import Message

INLINE_LIMIT_BYTES = 256 * 1024
"""Content past this size travels by reference (claim check), never inside a message."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class Modality(StrEnum):
    """What kind of content flows along an edge of a network: the type system of skills."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    TABLE = "table"
    DOCUMENT = "document"
    DATA = "data"
    FILE = "file"


class BlobRef(Message):
    """A claim check: content-addressed bytes in the object store."""

    digest: Digest
    size_bytes: int = Field(ge=0)
    url: str | None = Field(default=None, description="where a remote agent can GET the bytes; set when invoking")


class Part(Message):
    """One piece of content. Exactly one of ``text``, ``data`` (base64) and ``ref`` is set.

    ``modality`` may be left out by clients; perception fills it from the content itself.
    """

    modality: Modality | None = None
    media_type: str | None = Field(default=None, max_length=255, examples=["text/plain", "image/png"])
    name: str | None = Field(default=None, max_length=255, examples=["invoice.png"])
    text: str | None = None
    data: str | None = Field(default=None, description="base64")
    ref: BlobRef | None = None

    @model_validator(mode="after")
    def _exactly_one_content(self) -> Self:
        present = [name for name in ("text", "data", "ref") if getattr(self, name) is not None]
        if len(present) != 1:
            found = ", ".join(present) or "none"
            raise ValueError(f"a part carries exactly one of text, data, ref; found {found}")
        return self

    @field_validator("data")
    @classmethod
    def _data_is_base64(cls, data: str | None) -> str | None:
        if data is not None:
            base64.b64decode(data, validate=True)
        return data

    @field_validator("name")
    @classmethod
    def _name_is_no_path(cls, name: str | None) -> str | None:
        if name is not None and ("/" in name or "\\" in name or "\x00" in name or name in (".", "..")):
            raise ValueError("a part's name is a file name, not a path")
        return name

    def inline_bytes(self) -> bytes | None:
        """The content if it travels inside the message, else None."""
        if self.text is not None:
            return self.text.encode()
        if self.data is not None:
            return base64.b64decode(self.data)
        return None


def text_part(text: str, name: str | None = None) -> Part:
    """A plain-text part."""
    return Part(modality=Modality.TEXT, media_type="text/plain", text=text, name=name)


def data_part(content: bytes, modality: Modality, media_type: str, name: str | None = None) -> Part:
    """An inline binary part. ``content`` of at most INLINE_LIMIT_BYTES; larger content goes by reference."""
    encoded = base64.b64encode(content).decode()
    return Part(modality=modality, media_type=media_type, data=encoded, name=name)
