"""Whisper's encoder over sounds of any length, from openai-whisper's files or transformers' folders. Called by
``batching`` in its thread.

Sounds are not padded to the 30 s that Whisper's loaders make of everything: at small sizes two seconds take 2.5 ms
instead of 324. Positions are taken from the beginning, as they are for speech followed by silence.
"""

import re
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from schemas.parts import Modality
from schemas.percept import EncoderVersion
from tensor_layer.encoding.devices import memory_watched, ready
from tensor_layer.encoding.models.checkpoints import (
    find_checkpoint,
    licence_of,
    read_config,
    require_architecture,
    version_of,
    weights_file,
)
from tensor_layer.encoding.models.loading import BROKEN_CHECKPOINT, Compute, Once, fault_of, pooled
from tensor_layer.encoding.sounds import sound_windows
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import SAMPLE_RATE_HZ, EncoderCard, Sound, Vector

FRAME_SAMPLES = 320
"""One position of the encoder: two hops of 10 ms."""
STEP_SAMPLES = SAMPLE_RATE_HZ // 2
"""Windows are filled up with silence to half a second, whoever shares their batch: batching never changes a vector."""

_RENAMED = (
    (r"^model\.", ""),
    (r"^encoder\.layers\.", "encoder.blocks."),
    (r"\.self_attn\.q_proj\.", ".attn.query."),
    (r"\.self_attn\.k_proj\.", ".attn.key."),
    (r"\.self_attn\.v_proj\.", ".attn.value."),
    (r"\.self_attn\.out_proj\.", ".attn.out."),
    (r"\.self_attn_layer_norm\.", ".attn_ln."),
    (r"\.fc1\.", ".mlp.0."),
    (r"\.fc2\.", ".mlp.2."),
    (r"\.final_layer_norm\.", ".mlp_ln."),
    (r"^encoder\.layer_norm\.", "encoder.ln_post."),
    (r"^encoder\.embed_positions\.weight$", "encoder.positional_embedding"),
)


class WhisperSounds:
    """Implements ``ports.Model`` for sounds. ``name`` is openai-whisper's ``.pt`` file, or a folder or hub name in
    transformers' form (``model_type`` whisper).
    """

    def __init__(self, name: str, compute: Compute | None = None) -> None:
        compute = (compute or Compute()).settled()
        place = find_checkpoint(name)
        self._dims, weights = _described(place)
        self._window_samples = self._dims["n_audio_ctx"] * FRAME_SAMPLES
        self._device = compute.device
        version = EncoderVersion(
            name=f"whisper/{place.stem}", version=version_of(weights), dimension=self._dims["n_audio_state"]
        )
        self.card = EncoderCard(version, Modality.AUDIO, compute.dtype, compute.device, licence_of(weights.parent))
        load = partial(_load, self._dims, weights, compute)
        self._network: Once[Any] = Once(load, f"the audio encoder {name}")

    reentrant: Literal[True] = True

    def tokens_of(self, content: Sound) -> int:
        """Positions of 20 ms."""
        return len(content) // FRAME_SAMPLES + 1

    def encode(self, contents: Sequence[Sound]) -> Vector:
        """(len(contents), dimension) float32, rows unit-norm. Raises EncoderUnavailable, DeviceFull."""
        encoder = self._network()
        windows = [
            (owner, window)
            for owner, sound in enumerate(contents)
            for window in sound_windows(sound, self._window_samples)
        ]
        rows = np.zeros((len(windows), self.card.version.dimension), dtype=np.float32)
        with memory_watched(self._device):
            for length, members in _by_length([window for _, window in windows], self._window_samples).items():
                rows[members] = self._means(encoder, [windows[member][1] for member in members], length)
        return pooled([owner for owner, _ in windows], rows, [len(window) for _, window in windows], len(contents))

    def _means(self, encoder: Any, windows: Sequence[Sound], length: int) -> Vector:  # noqa: ANN401 - whisper's class
        """(windows, dimension): the mean of each window's own positions; all are filled up to ``length`` samples."""
        import torch

        from tensor_layer.encoding.mel import log_mel

        filled = np.zeros((len(windows), length), dtype=np.float32)
        for row, window in zip(filled, windows, strict=True):
            row[: len(window)] = window
        with torch.inference_mode():
            mels = log_mel(torch.from_numpy(filled).to(self._device), self._dims["n_mels"])
            states = positions_of(encoder, mels.to(getattr(torch, self.card.dtype))).float()
            own = [max(1, len(window) // FRAME_SAMPLES) for window in windows]
            return torch.stack([row[:count].mean(0) for row, count in zip(states, own, strict=True)]).cpu().numpy()


def positions_of(encoder: Any, mels: Any) -> Any:  # noqa: ANN401 - torch and whisper are untyped here
    """``whisper.model.AudioEncoder.forward`` for fewer frames than the 30 s it insists on: (batch, frames/2, state)."""
    from torch.nn import functional

    hidden = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(mels)))).permute(0, 2, 1)
    hidden = (hidden + encoder.positional_embedding[: hidden.shape[1]]).to(hidden.dtype)
    for block in encoder.blocks:
        hidden = block(hidden)
    return encoder.ln_post(hidden)


def _by_length(windows: Sequence[Sound], longest: int) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = {}
    for number, window in enumerate(windows):
        length = min(-(-len(window) // STEP_SAMPLES) * STEP_SAMPLES, max(longest, STEP_SAMPLES))
        groups.setdefault(length, []).append(number)
    return groups


def _described(place: Path) -> tuple[dict[str, int], Path]:
    """Whisper's dimensions, and the weights."""
    if place.is_dir():
        config = read_config(place)
        require_architecture(place, config, frozenset({"whisper"}))
        dims = {
            "n_mels": config["num_mel_bins"],
            "n_audio_ctx": config["max_source_positions"],
            "n_audio_state": config["d_model"],
            "n_audio_head": config["encoder_attention_heads"],
            "n_audio_layer": config["encoder_layers"],
        }
        return dims, weights_file(place)
    return {key: int(value) for key, value in _read(place)["dims"].items() if key.startswith("n_")}, place


def _read(file: Path) -> dict[str, Any]:
    """openai-whisper's file: ``dims`` and ``model_state_dict``; nothing in it is executed."""
    import torch

    ready()
    if not zipfile.is_zipfile(file):
        raise EncoderUnavailable(f"{file} is no Whisper checkpoint: torch.save has not written it, or it is cut off")
    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except BROKEN_CHECKPOINT as error:
        raise EncoderUnavailable(f"{file} is no Whisper checkpoint: {fault_of(error)}") from error
    if not isinstance(checkpoint, dict) or not {"dims", "model_state_dict"} <= checkpoint.keys():
        raise EncoderUnavailable(f"{file} is no Whisper checkpoint: it holds no dims and model_state_dict")
    return checkpoint


def _load(dims: dict[str, int], weights: Path, compute: Compute) -> Any:  # noqa: ANN401 - whisper is untyped
    import torch
    from safetensors.torch import load_file
    from whisper.model import AudioEncoder

    if weights.suffix == ".safetensors":
        named = {_openai_name(name): tensor for name, tensor in load_file(weights).items()}
    elif weights.name == "pytorch_model.bin":
        named = {_openai_name(name): tensor for name, tensor in torch.load(weights, weights_only=True).items()}
    else:
        named = _read(weights)["model_state_dict"]
    own = {name.removeprefix("encoder."): tensor for name, tensor in named.items() if name.startswith("encoder.")}
    encoder = AudioEncoder(
        *(dims[f"n_{name}"] for name in ("mels", "audio_ctx", "audio_state", "audio_head")), dims["n_audio_layer"]
    )
    encoder.load_state_dict(own)
    for module in encoder.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv1d):  # whisper's norms insist on float32
            module.to(dtype=getattr(torch, compute.dtype))
    return encoder.eval().to(compute.device)


def _openai_name(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name
