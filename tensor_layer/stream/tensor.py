"""What the stream moves: one immutable tensor in canonical form, and the way in from numpy and torch arrays.

Canonical means little-endian, C order, a dtype of ours. bfloat16, which numpy lacks, is held as its uint16 words.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from schemas.tensor import DType
from tensor_layer.errors import TensorRefused

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]

Words = NDArray[Any]
"""(n,) unsigned little-endian words of the element's own size, C-contiguous."""

DIMENSIONS_MAX = 32
"""numpy's own limit is 64; nothing real comes near, and a damaged header cannot ask for thousands."""

CONTENT_ID = "blake3-"
"""How ids begin that name content; names for one handover do not. 256 bits in hex would make it longer than a token."""

STORED_AS: dict[DType, str] = {
    name: {"bfloat16": "<u2", "bool": "|b1"}.get(name) or np.dtype(name).newbyteorder("<").str
    for name in get_args(DType)
}
"""The numpy dtype that holds each of our dtypes."""

_NAMED: dict[str, DType] = {stored: name for name, stored in STORED_AS.items() if name != "bfloat16"}

FLOATS: frozenset[DType] = frozenset({"float16", "bfloat16", "float32", "float64"})


@dataclass(frozen=True)
class Tensor:
    """One tensor. ``array`` is C-contiguous, little-endian and read-only by convention; it may be a mapped file."""

    dtype: DType
    array: Array = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis; () for one number."""
        return cast(tuple[int, ...], self.array.shape)

    @property
    def size_bytes(self) -> int:
        """How many bytes the values take."""
        return int(self.array.nbytes)

    @cached_property
    def content_digest(self) -> str:
        """BLAKE3-256 of the values' bytes, 64 hex digits: the same values always have the same digest."""
        return blake3(self.content()).hexdigest()

    @cached_property
    def tensor_id(self) -> str:
        """The tensor's name, ``blake3-`` and 52 characters of base32: its dtype, shape and values, nothing else."""
        return identify(self.dtype, self.shape, self.content_digest)

    def content(self) -> memoryview:
        """The values' bytes, not copied."""
        return self.words(np.uint8).data

    def words(self, kind: type[np.unsignedinteger[Any]] | None = None) -> NDArray[Any]:
        """The values as a flat array of unsigned words of their own size (or of ``kind``), not copied."""
        flat = self.array.reshape(-1)
        return flat.view(kind or f"<u{self.array.dtype.itemsize}")


def identify(dtype: DType, shape: Sequence[int], content_digest: str) -> str:
    """A tensor's id from what describes it."""
    axes = "x".join(str(length) for length in shape)
    digest = blake3(f"{dtype}|{axes}|{content_digest}".encode()).digest()
    return CONTENT_ID + base64.b32encode(digest).decode().rstrip("=").lower()


def from_numpy(array: Array, dtype: DType | None = None) -> Tensor:
    """Any plain numeric array: big-endian, Fortran-ordered and strided ones are copied into canonical form.

    ``dtype="bfloat16"`` takes uint16 words. Raises TensorRefused for objects, structures, strings, dates and complex.
    """
    name = dtype or _NAMED.get(array.dtype.newbyteorder("<").str)
    if name is None:
        raise TensorRefused(f"arrays of {_kind(array.dtype)} are not stored; accepted: {', '.join(STORED_AS)}")
    stored = np.dtype(STORED_AS[name])
    if array.dtype.newbyteorder("<") != stored:
        raise TensorRefused(f"{name} is held as {stored}, not as {array.dtype}")
    _check_axes(array.shape)
    return Tensor(name, np.require(array, stored, "C").view(np.ndarray).reshape(array.shape))


def with_digest(dtype: DType, array: Array, content_digest: str) -> Tensor:
    """A tensor whose digest is known already, so that its values need not be hashed again."""
    tensor = Tensor(dtype, array)
    tensor.__dict__["content_digest"] = content_digest
    return tensor


def with_name(dtype: DType, array: Array, tensor_id: str) -> Tensor:
    """A tensor passed on once under a name of its own, its values never hashed."""
    tensor = Tensor(dtype, array)
    tensor.__dict__["tensor_id"] = tensor_id
    return tensor


def from_torch(tensor: "torch.Tensor") -> Tensor:
    """A dense CPU tensor, not copied when contiguous. Raises TensorRefused for other kinds."""
    import torch  # lazy: half a second that callers without torch need not pay

    if tensor.device.type != "cpu" or tensor.layout is not torch.strided or tensor.is_quantized:
        raise TensorRefused(f"a {tensor.layout} tensor on {tensor.device} is not stored; give .to('cpu').to_dense()")
    tensor = tensor.detach().contiguous().resolve_conj().resolve_neg()
    if tensor.dtype is torch.bfloat16:
        return from_numpy(tensor.view(torch.int16).numpy().view("<u2"), "bfloat16")
    if tensor.dtype.is_complex or str(tensor.dtype).removeprefix("torch.") not in STORED_AS:
        raise TensorRefused(f"{tensor.dtype} is not stored; accepted: {', '.join(STORED_AS)}")
    return from_numpy(tensor.numpy())


def to_torch(tensor: Tensor) -> "torch.Tensor":
    """A torch view over the same memory, not copied; it must not be written to when the memory is a mapped file."""
    import torch  # lazy, as above

    array = tensor.array
    if not array.flags.writeable:
        array = _writable_alias(array)
    if tensor.dtype == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def size_of(dtype: DType, shape: Sequence[int]) -> int:
    """How many bytes such a tensor takes. Raises TensorRefused for impossible shapes."""
    _check_axes(shape)
    itemsize = np.dtype(STORED_AS[dtype]).itemsize
    if (
        math.prod(length or 1 for length in shape) * itemsize >= 2**63
    ):  # numpy has no empty arrays of such shapes either
        raise TensorRefused(f"a {dtype} tensor of shape {tuple(shape)} does not exist")
    return math.prod(shape) * itemsize


def _check_axes(shape: Sequence[int]) -> None:
    if len(shape) > DIMENSIONS_MAX:
        raise TensorRefused(f"{len(shape)} dimensions; at most {DIMENSIONS_MAX} are accepted")
    if any(length < 0 for length in shape):
        raise TensorRefused(f"a shape has no negative lengths: {tuple(shape)}")


def _kind(dtype: np.dtype[Any]) -> str:
    kinds = {"O": "Python objects", "V": "structures", "U": "strings", "S": "byte strings", "c": "complex numbers"}
    return kinds.get(dtype.kind, str(dtype))


def _writable_alias(array: Array) -> Array:
    """The same memory without the read-only mark, which torch does not know and warns about."""
    interface = dict(array.__array_interface__)
    interface["data"] = (interface["data"][0], False)
    return np.asarray(_Alias(interface, array))


class _Alias:
    """Keeps the owner of the memory alive as long as an array over it."""

    def __init__(self, interface: dict[str, Any], owner: Array) -> None:
        self.__array_interface__ = interface
        self.owner = owner
