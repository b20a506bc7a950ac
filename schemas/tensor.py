"""Tensors on the bus: raw frames or references, never JSON numbers."""

from typing import Literal

from pydantic import ConfigDict, Field

from schemas.base import Message, Token
from schemas.parts import Modality, Part
from schemas.percept import EncoderVersion

DType = Literal[
    "float32",
    "float16",
    "bfloat16",
    "float64",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
]


class TensorMessage(Message):
    """One tensor: its shape and type, and its bytes (C order, little-endian) in a frame, or where they lie.

    Without a frame ``tensor_id`` is the reference: with codec ``mapped`` it names a file of this machine.
    In JSON the frame is base64 (URL-safe alphabet); protobuf carries it as it is.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    tensor_id: Token
    dtype: DType
    shape: tuple[int, ...]
    codec: str = "raw"
    frame: bytes | None = None
    encoder: EncoderVersion | None = None


class EncodeRequest(Message):
    """Asks the perception service for vectors: ``aos.tensor.encode.<modality>``.

    Without parts the reply says which encoder answers.
    """

    modality: Modality
    parts: tuple[Part, ...] = Field(max_length=256)


class EncodeReply(Message):
    """Vectors of the request's parts: (count, dimension) float32, little-endian, C order, base64."""

    encoder: EncoderVersion | None = None
    space: str | None = Field(default=None, description="vectors of one space may be compared, whoever made them")
    dtype: str | None = Field(default=None, description="what the forward pass computes in")
    device: str | None = None
    licence: str | None = Field(default=None, description="of the weights; SPDX")
    count: int = 0
    vectors: str = ""
    familiarity: tuple[float | None, ...] = Field(
        default=(), description="of each part: the share of what the encoder was trained for that lies as far out"
    )
    error: str | None = None
