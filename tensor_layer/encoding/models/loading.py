"""What the models share: where and how they compute, and loading once, with errors that say which checkpoint failed."""

import pickle
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from tensor_layer.encoding.devices import choose_device, choose_dtype, ready
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import Vector

Network = TypeVar("Network")

BROKEN_CHECKPOINT = (
    OSError,
    LookupError,
    ValueError,
    TypeError,
    RuntimeError,
    AssertionError,  # open_clip says so when widths differ
    SafetensorError,
    pickle.UnpicklingError,
)
"""What libraries raise for weights that are cut off, of another shape or of another model."""
FAULT_CHARACTERS_MAX = 400
"""torch lists every tensor that does not fit."""


@dataclass(frozen=True, slots=True)
class Compute:
    """Where a model computes. ``device`` and ``dtype`` may be ``auto``; ``threads`` is for CPUs."""

    device: str = "auto"
    dtype: str = "auto"
    threads: int = 1

    def settled(self) -> "Compute":
        """The same with both chosen. Imports torch. Raises EncoderUnavailable."""
        ready(self.threads)
        device = choose_device(self.device)
        return Compute(device, choose_dtype(self.dtype, device), self.threads)


class Once(Generic[Network]):
    """Loads a network when it is first asked for, in whichever thread asks. Raises EncoderUnavailable."""

    def __init__(self, load: Callable[[], Network], what: str) -> None:
        self._load = load
        self._what = what
        self._lock = threading.Lock()
        self._network: Network | None = None

    def __call__(self) -> Network:
        """The network. Raises EncoderUnavailable."""
        with self._lock:
            if self._network is None:
                try:
                    self._network = self._load()
                except ImportError as error:
                    raise EncoderUnavailable(
                        f"{self._what} needs a library that is not installed: {error}. Install aos-gateway[models]"
                    ) from error
                except BROKEN_CHECKPOINT as error:
                    raise EncoderUnavailable(f"{self._what} does not load: {fault_of(error)}") from error
            return self._network


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keeps transformers from drawing bars and tables to the terminal while it loads; errors are still told."""
    from transformers.utils import logging

    drawn, told = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(told)
        if drawn:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def require_all(missing: Iterable[str], unused: str) -> None:
    """Raises ValueError for weights that are not in a checkpoint's files, but for those of the part ``unused``.

    transformers fills such gaps with random numbers, others in every process.
    """
    lacking = sorted(name for name in missing if not name.startswith(unused))
    if lacking:
        raise ValueError(f"its weights lack {', '.join(lacking[:3])}")


def fault_of(error: Exception) -> str:
    """What is wrong with a checkpoint, in a line. torch's advice to run what a pickle asks for is left out."""
    if isinstance(error, pickle.UnpicklingError):
        return "it is damaged, or it would run code when it is read, which is never done: convert it to safetensors"
    return " ".join(str(error).split())[:FAULT_CHARACTERS_MAX]


def unit_rows(rows: NDArray[Any]) -> Vector:
    """Rows scaled to length one, float32. A row without direction (silence may be one) becomes the first axis."""
    vectors = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lost = ~(np.isfinite(lengths) & (lengths > 1e-12))[:, 0]
    if lost.any():
        vectors = vectors.copy()
        vectors[lost] = np.eye(1, vectors.shape[1], dtype=np.float32)
        lengths[lost] = 1.0
    unit: Vector = vectors / lengths
    return unit


def pooled(owners: Sequence[int], rows: NDArray[np.float32], counts: Sequence[float], contents: int) -> Vector:
    """(contents, dimension): the mean of each content's windows, weighted by ``counts``, then unit-norm."""
    sums = np.zeros((contents, rows.shape[1]), dtype=np.float32)
    np.add.at(sums, list(owners), rows * np.asarray(counts, dtype=np.float32)[:, None])
    return unit_rows(sums)
