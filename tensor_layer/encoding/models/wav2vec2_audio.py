"""Wav2Vec2 (and HuBERT, which shares its shape) through transformers. Called by ``batching`` in its thread."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from schemas.parts import Modality
from schemas.percept import EncoderVersion
from tensor_layer.encoding.devices import memory_watched
from tensor_layer.encoding.models.checkpoints import (
    find_checkpoint,
    licence_of,
    read_config,
    require_architecture,
    version_of,
    weights_file,
)
from tensor_layer.encoding.models.loading import Compute, Once, pooled, quiet_transformers, require_all
from tensor_layer.encoding.sounds import sound_windows
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import SAMPLE_RATE_HZ, EncoderCard, Sound, Vector

ARCHITECTURES = frozenset({"wav2vec2", "hubert"})
WINDOW_SAMPLES = 20 * SAMPLE_RATE_HZ
SAMPLES_MIN = 800
"""The convolutions need 400 samples for their first position; shorter sounds are followed by silence."""
FRAME_SAMPLES = 320


class Wav2Vec2Sounds:
    """Implements ``ports.Model`` for sounds: the mean of the last hidden states. ``name`` is a folder or hub name."""

    def __init__(self, name: str, compute: Compute | None = None) -> None:
        compute = (compute or Compute()).settled()
        folder = find_checkpoint(name)
        config = read_config(folder)
        require_architecture(folder, config, ARCHITECTURES)
        self._normalise = _wants_normalising(folder)
        self._device = compute.device
        weights = weights_file(folder)
        version = EncoderVersion(
            name=f"{config['model_type']}/{folder.name}", version=version_of(weights), dimension=config["hidden_size"]
        )
        self.card = EncoderCard(version, Modality.AUDIO, compute.dtype, compute.device, licence_of(folder))
        self._network: Once[Any] = Once(partial(_load, folder, compute), f"the audio encoder {name}")

    reentrant: Literal[True] = True

    def tokens_of(self, content: Sound) -> int:
        """Positions of 20 ms."""
        return len(content) // FRAME_SAMPLES + 1

    def encode(self, contents: Sequence[Sound]) -> Vector:
        """(len(contents), dimension) float32, rows unit-norm. Raises EncoderUnavailable, DeviceFull."""
        import torch

        network = self._network()
        windows = [(owner, each) for owner, sound in enumerate(contents) for each in _windows(sound)]
        rows = np.zeros((len(windows), self.card.version.dimension), dtype=np.float32)
        by_length: dict[int, list[int]] = {}
        for number, (_, window) in enumerate(windows):
            by_length.setdefault(len(window), []).append(number)
        # Only windows of one length share a pass: checkpoints with group norm have no way to ignore padding.
        with memory_watched(self._device), torch.inference_mode():
            for members in by_length.values():
                stacked = np.stack([self._prepared(windows[member][1]) for member in members])
                values = torch.from_numpy(stacked).to(self._device, dtype=getattr(torch, self.card.dtype))
                rows[members] = network(values).last_hidden_state.float().mean(1).cpu().numpy()
        return pooled([owner for owner, _ in windows], rows, [len(window) for _, window in windows], len(contents))

    def _prepared(self, window: Sound) -> Sound:
        return normalised(window) if self._normalise else window


def normalised(sound: Sound) -> Sound:
    """Mean zero and variance one, as ``Wav2Vec2FeatureExtractor`` does."""
    centred: Sound = ((sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)).astype(np.float32)
    return centred


def _windows(sound: Sound) -> list[Sound]:
    if len(sound) < SAMPLES_MIN:
        sound = np.pad(sound, (0, SAMPLES_MIN - len(sound)))
    return sound_windows(sound, WINDOW_SAMPLES)


def _wants_normalising(folder: Path) -> bool:
    if not (folder / "preprocessor_config.json").is_file():
        return True
    wanted = read_config(folder, "preprocessor_config.json")
    if wanted.get("sampling_rate", SAMPLE_RATE_HZ) != SAMPLE_RATE_HZ:
        raise EncoderUnavailable(f"{folder} reads {wanted['sampling_rate']} samples a second; sounds here have 16000")
    return bool(wanted.get("do_normalize", True))


def _load(folder: Path, compute: Compute) -> Any:  # noqa: ANN401 - transformers is untyped
    import torch
    from transformers import AutoModel

    with quiet_transformers():
        network, report = AutoModel.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    require_all(report["missing_keys"], unused="masked_spec_embed")
    return network.eval().to(compute.device, dtype=getattr(torch, compute.dtype))
