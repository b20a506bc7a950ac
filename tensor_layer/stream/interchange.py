"""Tensors as other programs keep them: safetensors, Arrow IPC and .npy files, in and out. Called by the command line.

Names travel along. Pickles are refused wherever they could hide: .npy files of objects, .pt and .pkl files.
"""

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from schemas.base import new_id
from schemas.tensor import DType
from tensor_layer.errors import TensorRefused
from tensor_layer.stream.tensor import STORED_AS, Tensor, from_numpy, size_of, to_torch

SUFFIXES = (".safetensors", ".arrow", ".npy")
PICKLED = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".npz")
_SAFE: Mapping[str, DType] = {
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F64": "float64",
    "I8": "int8",
    "U8": "uint8",
    "I16": "int16",
    "U16": "uint16",
    "I32": "int32",
    "U32": "uint32",
    "I64": "int64",
    "U64": "uint64",
    "BOOL": "bool",
}


def read(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Each named tensor of a file, one at a time, memory-mapped where the format allows. Raises TensorRefused."""
    readers = {".safetensors": _read_safetensors, ".arrow": _read_arrow, ".npy": _read_npy}
    reader = readers.get(path.suffix)
    if reader is None:
        why = " (it may hold a pickle, which is a program)" if path.suffix in PICKLED else ""
        raise TensorRefused(
            f"{path.name}: {path.suffix or 'no suffix'} is not read{why}; accepted: {', '.join(SUFFIXES)}"
        )
    if not path.is_file():
        raise TensorRefused(f"{path} is no file")
    return reader(path)


def write(path: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Write named tensors in the format of the file's suffix; the file appears whole. Raises TensorRefused."""
    check_target(path)
    writers = {".safetensors": _write_safetensors, ".arrow": _write_arrow, ".npy": _write_npy}
    whole = path.resolve()  # what a link points to is written, not the link
    unfinished = whole.with_name(f".{new_id()}{path.suffix}")
    try:
        writers[path.suffix](unfinished, tensors)
        unfinished.replace(whole)
    except (OSError, SafetensorError) as error:
        raise TensorRefused(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def check_target(path: Path) -> None:
    """Whether tensors can be written there, before any are fetched. Raises TensorRefused."""
    if path.suffix not in SUFFIXES:
        raise TensorRefused(
            f"{path.name}: {path.suffix or 'no suffix'} is not written; accepted: {', '.join(SUFFIXES)}"
        )
    if not path.resolve().parent.is_dir():
        raise TensorRefused(f"{path} cannot be written: there is no folder {path.parent}")
    if path.exists() and not path.is_file():
        raise TensorRefused(f"{path} cannot be written: it is no ordinary file")


def _read_safetensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
        yield from _mapped_safetensors(path, names)
    except (SafetensorError, json.JSONDecodeError, KeyError, ValueError) as error:
        raise TensorRefused(f"{path.name} is no readable safetensors file: {error}") from error


def _mapped_safetensors(path: Path, names: list[str]) -> Iterator[tuple[str, Tensor]]:
    """numpy cannot hold bfloat16, so the library's own reader stops there: the bytes are mapped by its index instead,
    after it has checked the file.
    """
    content = np.memmap(path, np.uint8, "r")
    start = 8 + int(content[:8].view("<u8")[0])
    index = json.loads(bytes(content[8:start]))
    for name in names:
        entry = index[name]
        dtype = _SAFE.get(entry["dtype"])
        if dtype is None:
            raise TensorRefused(f"{path.name}: {name} is {entry['dtype']}, which is not stored")
        first, last = entry["data_offsets"]
        values = np.frombuffer(content[start + first : start + last].tobytes(), STORED_AS[dtype])
        yield name, from_numpy(values.reshape(entry["shape"]), dtype)


def _write_safetensors(path: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    named = dict(tensors)
    if any(tensor.dtype == "bfloat16" for tensor in named.values()):
        from safetensors.torch import save_file as save_torch  # lazy: only torch knows bfloat16

        save_torch({name: to_torch(tensor) for name, tensor in named.items()}, path)
        return
    save_file({name: tensor.array for name, tensor in named.items()}, path)


def to_arrow(tensors: Iterable[tuple[str, Tensor]]) -> pa.Table:
    """One row a tensor: name, dtype, shape, values (bytes, little-endian, C order). The values are not copied."""
    names, dtypes, shapes, values = [], [], [], []
    for name, tensor in tensors:
        names.append(name)
        dtypes.append(tensor.dtype)
        shapes.append(list(tensor.shape))
        values.append(_as_arrow_bytes(tensor))
    joined = pa.chunked_array(values, pa.large_binary()) if values else pa.chunked_array([], pa.large_binary())
    fixed = [pa.array(names, pa.string()), pa.array(dtypes, pa.string()), pa.array(shapes, pa.list_(pa.int64()))]
    return pa.table([*fixed, joined], names=["name", "dtype", "shape", "values"])


def from_arrow(table: pa.Table) -> Iterator[tuple[str, Tensor]]:
    """The tensors of such a table, views of its memory. Raises TensorRefused."""
    try:
        table.validate(full=True)  # without it pyarrow reads outside its memory where a damaged file says so
        names = table.column_names
    except (pa.ArrowException, ValueError) as error:
        raise TensorRefused(f"the Arrow table is damaged: {error}") from error
    if names != ["name", "dtype", "shape", "values"]:
        raise TensorRefused(f"an Arrow table of tensors has columns name, dtype, shape, values; not {names}")
    told = zip(*(table.column(column).to_pylist() for column in range(3)), _arrow_bytes(table.column(3)), strict=True)
    for name, dtype, shape, values in told:
        if not isinstance(dtype, str) or dtype not in STORED_AS:
            raise TensorRefused(f"{name} is {dtype}, which is not stored")
        if not isinstance(shape, list) or not all(isinstance(length, int) for length in shape):
            raise TensorRefused(f"{name}: {shape} is no shape")
        if values.nbytes != size_of(dtype, shape):
            raise TensorRefused(f"{name}: its values do not fill its shape {shape}")
        yield name, from_numpy(values.view(STORED_AS[dtype]).reshape(shape), dtype)


def _arrow_bytes(column: Any) -> Iterator[NDArray[np.uint8]]:  # noqa: ANN401 - pyarrow has no types
    """Each value's bytes without a copy, which pyarrow's own scalars would make."""
    if column.type != pa.large_binary() or column.null_count:
        raise TensorRefused(f"values of tensors are large_binary and never null, not {column.type}")
    for chunk in filter(len, column.chunks):
        _, places, content = chunk.buffers()
        offsets = np.frombuffer(places, "<i8", len(chunk) + 1, 8 * chunk.offset)
        everything = np.frombuffer(content, np.uint8) if content is not None else np.empty(0, np.uint8)
        for start, stop in itertools.pairwise(offsets):
            yield everything[start:stop]


def _as_arrow_bytes(tensor: Tensor) -> Any:  # noqa: ANN401 - pyarrow has no types
    offsets = pa.py_buffer(np.array([0, tensor.size_bytes], "<i8"))
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(tensor.content())])


def _read_arrow(path: Path) -> Iterator[tuple[str, Tensor]]:
    try:
        table = pyarrow.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (pa.ArrowException, ValueError, OSError) as error:
        raise TensorRefused(f"{path.name} is no readable Arrow file: {error}") from error
    yield from from_arrow(table)


def _write_arrow(path: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    table = to_arrow(tensors)
    with pyarrow.ipc.new_file(str(path), table.schema) as file:
        file.write_table(table)


def _read_npy(path: Path) -> Iterator[tuple[str, Tensor]]:
    try:  # np.load would look for archives and pickles too
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, OSError, OverflowError, TypeError, TokenError) as error:
        if "Python objects" in str(error):
            raise TensorRefused(f"{path.name} holds Python objects: only a pickle could store them") from None
        raise TensorRefused(f"{path.name} is no plain .npy file: {error}") from error
    try:
        tensor = from_numpy(np.asarray(array))
    except TensorRefused as error:
        raise TensorRefused(f"{path.name}: {error}") from None
    yield path.stem, tensor


def _write_npy(path: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    named = list(tensors)
    if len(named) != 1:
        raise TensorRefused(f"a .npy file holds one tensor, not {len(named)}; use .safetensors or .arrow")
    if named[0][1].dtype == "bfloat16":
        raise TensorRefused("a .npy file cannot say bfloat16; use .safetensors or .arrow")
    np.save(path, named[0][1].array, allow_pickle=False)
