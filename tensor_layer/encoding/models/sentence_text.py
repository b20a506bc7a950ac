"""Any sentence-transformers checkpoint, or a BERT of whatever kin, over texts of any length. Called by ``batching`` in
its thread.

A plain transformer's folder gets mean pooling; a sentence-transformers folder brings its own, with its default prompt
unless another is said. The shipped text encoder has a faster way of its own: ``minilm``.
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
    version_of,
)
from tensor_layer.encoding.models.loading import Compute, Once, pooled, quiet_transformers, require_all
from tensor_layer.encoding.models.sentence_folder import sentence_folder
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import EncoderCard, Vector
from tensor_layer.spoken import spoken

WINDOWS_MAX = 4
WINDOW_TOKENS_MAX = 512


class SentenceTexts:
    """Implements ``ports.Model`` for texts. ``name`` is a folder, ``package:<module>/<folder>`` or a hub name.

    ``prompt`` is put before every text instead of the folder's default one.
    """

    def __init__(self, name: str, compute: Compute | None = None, prompt: str | None = None) -> None:
        compute = (compute or Compute()).settled()
        folder = find_checkpoint(name)
        said = sentence_folder(folder, prompt)
        self._device = compute.device
        self._prompt = said.prompt
        version = EncoderVersion(
            name=folder.name, version=version_of(*said.weights, beside=said.beside), dimension=said.dimension
        )
        self.card = EncoderCard(version, Modality.TEXT, compute.dtype, compute.device, licence_of(folder))
        self._network: Once[Any] = Once(partial(_load, folder, said.transformer, compute), f"the text encoder {name}")

    def tokens_of(self, content: str) -> int:
        """A token is four characters, about."""
        return min(len(content) // 4 + 2, WINDOWS_MAX * WINDOW_TOKENS_MAX)

    def encode(self, contents: Sequence[str]) -> Vector:
        """(len(contents), dimension) float32, rows unit-norm. Raises EncoderUnavailable, DeviceFull."""
        import torch

        network = self._network()
        owners, windows = _windows(network, [self._prompt + spoken(content) for content in contents])
        batch = network.tokenizer.pad({"input_ids": windows}, return_tensors="pt")
        with memory_watched(self._device), torch.inference_mode():
            batch = batch.to(self._device)
            rows = network.forward(dict(batch))["sentence_embedding"].float().cpu().numpy()
        if rows.shape[1] != self.card.version.dimension:
            raise EncoderUnavailable(f"{self.card.version.name} makes {rows.shape[1]} numbers, not what its files say")
        return pooled(owners, rows, [len(window) for window in windows], len(contents))


def _windows(network: Any, texts: Sequence[str]) -> tuple[list[int], list[list[int]]]:  # noqa: ANN401 - untyped library
    limit = min(int(network.max_seq_length or WINDOW_TOKENS_MAX), WINDOW_TOKENS_MAX)
    encoded = network.tokenizer(list(texts), truncation=True, max_length=limit, return_overflowing_tokens=True)
    owners: list[int] = []
    windows: list[list[int]] = []
    for owner, ids in zip(encoded["overflow_to_sample_mapping"], encoded["input_ids"], strict=True):
        if owners.count(owner) < WINDOWS_MAX:
            owners.append(owner)
            windows.append(ids)
    return owners, windows


def _load(folder: Path, transformer: Path, compute: Compute) -> Any:  # noqa: ANN401 - sentence-transformers is untyped
    import torch
    from sentence_transformers import SentenceTransformer

    with quiet_transformers():
        network: Any = SentenceTransformer(str(folder), device=compute.device, local_files_only=True)
        # The library does not hand on what was missing; asking for it costs the time of a second load.
        kind = type(network[0].auto_model)
        _, report = kind.from_pretrained(transformer, local_files_only=True, output_loading_info=True)
    require_all(report["missing_keys"], unused="pooler")
    return network.eval().to(dtype=getattr(torch, compute.dtype))
