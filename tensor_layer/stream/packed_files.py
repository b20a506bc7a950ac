"""Packed tensors in a folder: the cold place that `fetching` reads from when no cache has a tensor.

One file a tensor, named by its id, whole or not there. A delta names its reference, which lies in the same folder; a
chain of deltas is at most ``CHAIN_MAX`` long, so that reading one tensor never means reading a whole history.
"""

import asyncio
import contextlib
import mmap
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.base import is_token, new_id
from tensor_layer.errors import BlobStoreUnavailable, TensorDamaged, TensorNotFound, TensorRefused
from tensor_layer.stream import frames
from tensor_layer.stream.choice import COLD, Budget
from tensor_layer.stream.codecs import CODECS
from tensor_layer.stream.lossy import Lossy
from tensor_layer.stream.reader import InMemory, PackedTensor
from tensor_layer.stream.tensor import Tensor
from tensor_layer.stream.writer import Tally, pack

CHAIN_MAX = 8
_SUFFIX, _UNFINISHED = ".aost", ".unfinished"
ABANDONED_S = 3600.0
"""A file that nobody has written to for so long has lost its writer."""

CODEC_NAMES = {codec.code: codec.name for codec in CODECS}


@dataclass(frozen=True, slots=True)
class PackedFacts:
    """What is known of a packed tensor without decoding it. ``tensor_id`` is that of the values before any rounding."""

    tensor_id: str
    dtype: str
    shape: tuple[int, ...]
    raw_bytes: int
    packed_bytes: int
    codecs: dict[str, int]
    reference: str | None
    lossy: str | None


class PackedFiles:
    """Implements ``fetching.TensorSource``. Safe for any number of processes over one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def fetch(self, tensor_id: str) -> Tensor:
        """The tensor. Raises TensorNotFound, TensorDamaged."""
        return await asyncio.to_thread(self.read, tensor_id)

    async def store(self, tensor: Tensor, **how: Any) -> PackedFacts:  # noqa: ANN401 - the arguments of write
        """Pack a tensor into the folder, off the event loop."""
        return await asyncio.to_thread(self.write, tensor, **how)

    def write(
        self, tensor: Tensor, *, budget: Budget = COLD, reference: str | None = None, lossy: Lossy | None = None
    ) -> PackedFacts:
        """Pack a tensor; idempotent. A ``reference`` whose chain is full is not used. Blocking.

        A lossy tensor is stored under the id of the values that reading gives, since ids name content.
        Raises TensorRefused, TensorNotFound (the reference), BlobStoreUnavailable.
        """
        other = self.read(reference) if reference and self._chain(reference) < CHAIN_MAX else None
        self._sweep()
        unfinished = self._folder / f"{new_id()}{_UNFINISHED}"
        try:
            with unfinished.open("xb") as file:
                for piece in pack(tensor, budget=budget, reference=other, lossy=lossy, tally=Tally()):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            name = tensor.tensor_id if lossy is None else _opened(unfinished, None).tensor().tensor_id
            unfinished.replace(self._path(name))
        except OSError as error:
            raise BlobStoreUnavailable(f"the packed tensor cannot be written: {error.strerror}") from error
        finally:
            unfinished.unlink(missing_ok=True)
        return self.facts(name)

    def read(self, tensor_id: str) -> Tensor:
        """Decode a tensor, its references before it. Blocking. Raises TensorNotFound, TensorDamaged."""
        return self._read(tensor_id, CHAIN_MAX + 1)

    def facts(self, tensor_id: str) -> PackedFacts:
        """What the file says of itself. Raises TensorNotFound, TensorDamaged."""
        opened = self._headers(tensor_id)
        counts: dict[str, int] = {}
        with _named(tensor_id):
            for head in opened.frame_heads():
                name = f"{frames.FORM_NAMES.get(head.form, '?')}{CODEC_NAMES.get(head.codec, '?')}"
                counts[name] = counts.get(name, 0) + 1
        header, size = opened.header, self._path(tensor_id).stat().st_size
        return PackedFacts(
            tensor_id, header.dtype, header.shape, header.size_bytes, size, counts, header.reference, header.lossy
        )

    def ids(self) -> Iterator[str]:
        """All tensors here."""
        return (path.name.removesuffix(_SUFFIX) for path in sorted(self._folder.glob(f"*{_SUFFIX}")))

    def _read(self, tensor_id: str, depth: int) -> Tensor:
        if depth < 0:
            raise TensorDamaged(f"the deltas before {tensor_id} go round in a circle")
        needed = self._headers(tensor_id).header.reference
        try:
            reference = self._read(needed, depth - 1) if needed else None
        except TensorNotFound as error:
            raise TensorNotFound(f"{tensor_id} is stored as the difference to another: {error}") from None
        with _named(tensor_id):
            tensor = _opened(self._path(tensor_id), reference).tensor()
            if tensor.tensor_id != tensor_id:
                raise TensorDamaged("it holds another tensor")
        return tensor

    def _chain(self, tensor_id: str) -> int:
        length, current = 0, self._headers(tensor_id).header.reference
        while current is not None and length <= CHAIN_MAX:
            length, current = length + 1, self._headers(current).header.reference
        return length

    def _headers(self, tensor_id: str) -> PackedTensor:
        with _named(tensor_id):
            return _opened(self._path(tensor_id), None, heads_only=True)

    def _sweep(self) -> None:
        """Remove what writers that died have left."""
        oldest = time.time() - ABANDONED_S
        for path in self._folder.glob(f"*{_UNFINISHED}"):
            with contextlib.suppress(FileNotFoundError):  # another process may sweep too, or have finished
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _path(self, tensor_id: str) -> Path:
        if not is_token(tensor_id):
            raise TensorRefused(f"{tensor_id[:80]!r} is no tensor id")
        return self._folder / f"{tensor_id}{_SUFFIX}"


def facts_json(facts: PackedFacts) -> dict[str, Any]:
    """The facts with their ratio."""
    return {**asdict(facts), "ratio": round(facts.raw_bytes / facts.packed_bytes, 4)}


@contextlib.contextmanager
def _named(tensor_id: str) -> Iterator[None]:
    try:
        yield
    except TensorDamaged as error:
        raise TensorDamaged(f"the packed file of {tensor_id} is damaged: {error}") from error


def _opened(path: Path, reference: Tensor | None, *, heads_only: bool = False) -> PackedTensor:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise TensorDamaged("the file is empty")
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise TensorNotFound(f"no tensor {path.stem} is stored here") from None
    return PackedTensor(InMemory(memoryview(mapping)), reference=reference, heads_only=heads_only)
