"""The route that makes vectors: OpenAI's ``/v1/embeddings``, and beyond texts also pictures and sounds."""

import base64
import binascii
import re
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from gateway.embedding_desk import Embedded
from gateway.errors import SchemaInvalid
from gateway.http.bodies import read_model, tenant_of
from gateway.http.doors import doors_of
from gateway.http.openapi import answers, body_of
from schemas.parts import BlobRef, Modality, Part, data_part, text_part
from schemas.problem import FieldProblem
from tensor_layer.ports import Vector

router = APIRouter(tags=["embeddings"])

INPUTS_MAX = 2048
_DATA_URL = re.compile(r"data:(image|audio)/|data:[\w.+-]+/[\w.+-]+(;[^,;]*)*;base64,", re.IGNORECASE)
"""Pictures and sounds, and whatever else travels as base64: its letters are no text to encode."""


class _Item(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TextInput(_Item):
    """A text, as in chat messages."""

    type: Literal["text"]
    text: str


class ImageUrl(_Item):
    """Where a picture is: a data URL. Addresses elsewhere are not fetched."""

    url: str
    detail: str | None = Field(default=None, description="ignored")


class ImageInput(_Item):
    """A picture, as in chat messages."""

    type: Literal["image_url"]
    image_url: ImageUrl


class AudioData(_Item):
    """A sound: base64 of a WAV, FLAC, OGG, MP3 or AIFF file."""

    data: str
    format: str = "wav"


class AudioInput(_Item):
    """A sound, as in chat messages."""

    type: Literal["input_audio"]
    input_audio: AudioData


class StoredInput(_Item):
    """A picture or a sound that was uploaded with POST /v1/blobs: the way for what is too large for a body."""

    type: Literal["ref"]
    modality: Literal[Modality.IMAGE, Modality.AUDIO]
    ref: BlobRef = Field(description="the answer of POST /v1/blobs")


Item = Annotated[TextInput | ImageInput | AudioInput | StoredInput, Field(discriminator="type")]
Tokens = list[int]


class EmbeddingRequest(BaseModel):
    """What to encode. A string that is a data URL of a picture or a sound is that picture or sound."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        examples=["all-MiniLM-L6-v2"], description="an encoder's name; 'aos' for whichever is there"
    )
    input: str | Item | list[str | Item | Tokens | int] = Field(examples=["read a scanned page"])
    dimensions: int | None = Field(
        default=None, ge=1, description="keep so many numbers and scale to length 1 again; unset, all", examples=[256]
    )
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="base64 is little-endian float32", examples=["base64"]
    )
    user: str | None = Field(default=None, description="ignored")


@router.post(
    "/v1/embeddings",
    summary="Encode texts, pictures and sounds",
    description="OpenAI-compatible. Beside strings, input takes chat parts (text, image_url with a data URL, "
    "input_audio), data URLs, and what was uploaded before (ref). Vectors are unit-norm; those of one space may be "
    "compared.",
    responses=answers({}),
    openapi_extra=body_of(EmbeddingRequest),
    response_model=None,
)
async def embed(request: Request) -> Response:
    """Encode what was sent."""
    tenant_of(request)
    doors = doors_of(request)
    asked = await read_model(request, EmbeddingRequest, doors.limits.json_body_bytes)
    parts = parts_of(asked)
    embedded = await doors.embeddings.embed(asked.model, parts)
    return Response(_reply(asked, embedded), media_type="application/json")


def parts_of(asked: EmbeddingRequest) -> list[Part]:
    """The inputs as parts, in order. Raises SchemaInvalid."""
    items = asked.input if isinstance(asked.input, list) else [asked.input]
    if not 1 <= len(items) <= INPUTS_MAX:
        raise _refused("input", f"{len(items)} inputs", f"1 to {INPUTS_MAX}")
    return [_part(index, item) for index, item in enumerate(items)]


def _part(index: int, item: str | Item | Tokens | int) -> Part:
    field = f"input[{index}]"
    if isinstance(item, int | list):
        raise _refused(field, "token numbers mean something to one tokenizer only", "the text itself")
    if isinstance(item, StoredInput):
        return Part(modality=item.modality, ref=item.ref)
    if isinstance(item, AudioInput):
        return _data(field, item.input_audio.data, Modality.AUDIO, f"audio/{item.input_audio.format}")
    if isinstance(item, ImageInput):
        return _from_data_url(field, item.image_url.url)
    text = item.text if isinstance(item, TextInput) else item
    if _DATA_URL.match(text):
        return _from_data_url(field, text)
    if not text.strip():
        raise _refused(field, "an empty text has no meaning to encode", "at least one word")
    return text_part(text)


def _from_data_url(field: str, url: str) -> Part:
    head, comma, content = url.partition(",")
    head = head.lower()
    media_type, *parameters = head.removeprefix("data:").split(";")
    kinds = {"image": Modality.IMAGE, "audio": Modality.AUDIO}
    kind = kinds.get(media_type.partition("/")[0])
    if not head.startswith("data:") or not comma or "base64" not in parameters or kind is None:
        raise _refused(
            field, "no data URL of a picture or a sound; other addresses are not fetched", "data:image/png;base64,…"
        )
    return _data(field, content, kind, media_type)


def _data(field: str, content: str, modality: Modality, media_type: str) -> Part:
    try:
        decoded = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused(field, f"its base64 is damaged: {error}", "standard base64") from error
    if not decoded:
        raise _refused(field, "it is empty: 0 bytes", "the content of a file")
    return data_part(decoded, modality, media_type[:255])


def _reply(asked: EmbeddingRequest, embedded: Embedded) -> bytes:
    data = [
        {"object": "embedding", "index": index, "embedding": _told(row, asked)}
        for index, row in enumerate(embedded.rows)
    ]
    body: dict[str, Any] = {
        "object": "list",
        "data": data,
        "model": embedded.encoders[0].card.version.name,
        "encoders": [encoder.as_json() for encoder in embedded.encoders],
        "usage": {"prompt_tokens": embedded.text_tokens, "total_tokens": embedded.text_tokens},
    }
    if embedded.cut:
        body["cut"] = embedded.cut
    if embedded.unfamiliar:
        body["unfamiliar"] = embedded.unfamiliar
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def _told(row: Vector, asked: EmbeddingRequest) -> Vector | str:
    if asked.dimensions is not None:
        row = shortened(row, asked.dimensions)
    if asked.encoding_format == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    return np.ascontiguousarray(row)


def shortened(row: Vector, dimensions: int) -> Vector:
    """The first ``dimensions`` numbers, unit-norm again. Raises SchemaInvalid when there are not so many."""
    if dimensions > len(row):
        raise _refused("dimensions", f"{dimensions}, but the vectors have {len(row)}", f"1 to {len(row)}")
    head = row[:dimensions]
    length = float(np.linalg.norm(head))
    short: Vector = head / length if length > 0 else head
    return short


def _refused(field: str, problem: str, expected: str) -> SchemaInvalid:
    return SchemaInvalid(f"{field}: {problem}", fields=(FieldProblem(field=field, problem=problem, expected=expected),))
