"""Any BERT, RoBERTa or sentence-transformers checkpoint over texts of any length. Called by ``batching`` in its thread.

A plain BERT or RoBERTa folder gets mean pooling; a sentence-transformers folder brings its own. The shipped text
encoder has a faster way of its own: ``minilm``.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from schemas.parts import Modality
from schemas.percept import EncoderVersion
from tensor_layer.encoding.devices import memory_watched
from tensor_layer.encoding.models.checkpoints import (
    find_checkpoint,
    licence_of,
    read_config,
    version_of,
    weights_file,
)
from tensor_layer.encoding.models.loading import Compute, Once, pooled
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import EncoderCard, Vector
from tensor_layer.spoken import spoken

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model")
WINDOWS_MAX = 4
WINDOW_TOKENS_MAX = 512


class SentenceTexts:
    """Implements ``ports.Model`` for texts. ``name`` is a folder, ``package:<module>/<folder>`` or a hub name."""

    def __init__(self, name: str, compute: Compute | None = None) -> None:
        compute = (compute or Compute()).settled()
        folder = find_checkpoint(name)
        config = read_config(folder)
        if "hidden_size" not in config:
            raise EncoderUnavailable(f"{folder} holds no text encoder: its config.json says no hidden_size")
        if not any((folder / name).is_file() for name in TOKENIZER_FILES):
            raise EncoderUnavailable(f"{folder} holds no text encoder: none of {', '.join(TOKENIZER_FILES)} is there")
        self._device = compute.device
        version = EncoderVersion(
            name=folder.name, version=version_of(weights_file(folder)), dimension=_dimension(folder, config)
        )
        self.card = EncoderCard(version, Modality.TEXT, compute.dtype, compute.device, licence_of(folder))
        self._network: Once[Any] = Once(partial(_load, folder, compute), f"the text encoder {name}")

    def tokens_of(self, content: str) -> int:
        """A token is four characters, about."""
        return min(len(content) // 4 + 2, WINDOWS_MAX * WINDOW_TOKENS_MAX)

    def encode(self, contents: Sequence[str]) -> Vector:
        """(len(contents), dimension) float32, rows unit-norm. Raises EncoderUnavailable, DeviceFull."""
        import torch

        network = self._network()
        owners, windows = _windows(network, contents)
        batch = network.tokenizer.pad({"input_ids": windows}, return_tensors="pt")
        with memory_watched(self._device), torch.inference_mode():
            batch = batch.to(self._device)
            rows = network.forward(dict(batch))["sentence_embedding"].float().cpu().numpy()
        if rows.shape[1] != self.card.version.dimension:
            raise EncoderUnavailable(f"{self.card.version.name} makes {rows.shape[1]} numbers, not what its files say")
        return pooled(owners, rows, [len(window) for window in windows], len(contents))


def _dimension(folder: Path, config: dict[str, Any]) -> int:
    """What the last module says: a Dense layer after pooling changes it."""
    wide = sorted(folder.glob("*_Dense/config.json"))
    if wide:
        return int(read_config(wide[-1].parent)["out_features"])
    return int(config["hidden_size"])


def _windows(network: Any, texts: Sequence[str]) -> tuple[list[int], list[list[int]]]:  # noqa: ANN401 - untyped library
    limit = min(int(network.max_seq_length or WINDOW_TOKENS_MAX), WINDOW_TOKENS_MAX)
    encoded = network.tokenizer(
        [spoken(text) for text in texts], truncation=True, max_length=limit, return_overflowing_tokens=True
    )
    owners: list[int] = []
    windows: list[list[int]] = []
    for owner, ids in zip(encoded["overflow_to_sample_mapping"], encoded["input_ids"], strict=True):
        if owners.count(owner) < WINDOWS_MAX:
            owners.append(owner)
            windows.append(ids)
    return owners, windows


def _load(folder: Path, compute: Compute) -> Any:  # noqa: ANN401 - sentence-transformers is untyped
    import torch
    from sentence_transformers import SentenceTransformer

    network = SentenceTransformer(str(folder), device=compute.device, local_files_only=True)
    return network.eval().to(dtype=getattr(torch, compute.dtype))
