"""The forward pass of a BERT sentence encoder, straight on torch. Imported by ``minilm`` when the first text arrives.

Devlin et al. 2019 with the mean pooling of Reimers and Gurevych 2019. Measured against the two libraries that offer
the same weights, on two shared cores: ready in 3.0 s and 260 MB, against 7.2 s and 391 MB (transformers) and 14.3 s
and 508 MB (sentence-transformers), at the same speed per sentence and the same vectors (cosine 0.9999999).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

Linear = Callable[[Tensor], Tensor]
Weight = tuple[Tensor, Tensor]
Shape = tuple[int, int]

PACKED_FOR_ROWS = 256
"""Weights are laid out for batches of about so many tokens; any number may come."""
LEAST_ROWS = 8
ROWS_PER_DOUBLING = 16
"""oneDNN writes a kernel for each number of rows that it meets, and keeps it: 600 passes of up to 500 tokens took a
process from 0.37 to 1 GB, and on. So rows are filled up to one of 16 numbers for each doubling, 3 % more of them: the
same passes end at 0.47 GB, which does not grow, and take no longer.
"""


@dataclass(frozen=True, slots=True)
class _Layer:
    """One transformer block. ``query_key_value`` is three projections in one product, ``widen`` ends in gelu."""

    query_key_value: Linear
    attention_out: Linear
    attention_norm: Weight
    widen: Linear
    narrow: Linear
    out_norm: Weight


@dataclass(frozen=True, slots=True)
class _Padding:
    """How windows of different lengths lie in one rectangle, (windows, longest): made once a pass, for all layers.

    ``places``, (tokens,) int64: where each token lies. ``sources``, (windows * longest,) int64: which token lies in a
    place, any where there is none. ``mask``, (windows, 1, 1, longest) float32: 0 for tokens, -inf where there is none.
    """

    places: Tensor
    sources: Tensor
    mask: Tensor


class Bert:
    """A loaded encoder: weights are read-only, any number of threads may call ``pooled_sums`` at once."""

    def __init__(self, folder: Path, threads: int, dtype: str = "float32") -> None:
        """Read ``config.json`` and ``model.safetensors``. ``dtype`` is what the matrix products compute in.

        Raises OSError, KeyError, ValueError or SafetensorError.
        """
        torch.set_num_threads(threads)
        config = json.loads((folder / "config.json").read_text())
        if config["hidden_act"] != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
            raise ValueError(f"{folder} is not a BERT with gelu and absolute positions")
        weights = load_file(folder / "model.safetensors")
        self.dimension: int = config["hidden_size"]
        self._heads: int = config["num_attention_heads"]
        self._epsilon: float = config["layer_norm_eps"]
        self._words = weights["embeddings.word_embeddings.weight"]
        # Every token here is of the first type, so its embedding can be added to the positions once and for all.
        first_type = weights["embeddings.token_type_embeddings.weight"][0]
        self._positions = weights["embeddings.position_embeddings.weight"] + first_type
        self._norm = _pair(weights, "embeddings.LayerNorm")
        pack = partial(_linear, dtype=getattr(torch, dtype))
        self._layers = [_layer(weights, number, pack) for number in range(config["num_hidden_layers"])]

    @torch.inference_mode()
    def pooled_sums(self, windows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """(len(windows), dimension) float32: the sum of each window's token vectors.

        Padding is only there where tokens meet, in attention; all else is computed for real tokens alone.
        """
        lengths = np.array([len(window) for window in windows])
        positions = np.concatenate([np.arange(length) for length in lengths])
        shape = (len(windows), int(lengths.max()))
        padding = None if len(positions) == shape[0] * shape[1] else _padding(lengths, positions, shape)
        ids = torch.tensor([token for window in windows for token in window])
        hidden = _filled_up(self._embed(ids, torch.from_numpy(positions)), rows_for(len(ids)))
        for layer in self._layers:
            hidden = self._block(hidden, shape, padding, layer)
        owners = torch.from_numpy(np.repeat(np.arange(len(windows)), lengths))
        sums = torch.zeros(len(windows), self.dimension).index_add_(0, owners, hidden[: len(ids)])
        pooled: NDArray[np.float32] = sums.numpy()
        return pooled

    def _embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """(tokens, dimension)."""
        return self._normalised(functional.embedding(ids, self._words) + self._positions[positions], self._norm)

    def _block(self, hidden: Tensor, shape: Shape, padding: _Padding | None, layer: _Layer) -> Tensor:
        mixed = layer.attention_out(self._attention(hidden, shape, padding, layer))
        hidden = self._normalised(hidden + mixed, layer.attention_norm)
        return self._normalised(hidden + layer.narrow(layer.widen(hidden)), layer.out_norm)

    def _attention(self, hidden: Tensor, shape: Shape, padding: _Padding | None, layer: _Layer) -> Tensor:
        """(rows, dimension). ``shape`` is (windows, longest)."""
        projected = layer.query_key_value(hidden)
        width = hidden.shape[1]
        if padding is not None:
            projected = projected.index_select(0, padding.sources)
        else:
            projected = projected[: shape[0] * shape[1]]
        query, key, value = projected.view(*shape, 3, self._heads, width // self._heads).permute(2, 0, 3, 1, 4)
        attend = None if padding is None else padding.mask
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=attend)
        joined = mixed.transpose(1, 2).reshape(-1, width)
        return _filled_up(joined if padding is None else joined.index_select(0, padding.places), len(hidden))

    def _normalised(self, hidden: Tensor, norm: Weight) -> Tensor:
        return functional.layer_norm(hidden, (self.dimension,), norm[0], norm[1], self._epsilon)


def rows_for(tokens: int) -> int:
    """So many rows or a little more: one of few numbers."""
    step = max(LEAST_ROWS, (1 << tokens.bit_length() - 1) // ROWS_PER_DOUBLING)
    return -(-tokens // step) * step


def _filled_up(values: Tensor, rows: int) -> Tensor:
    """(rows, …): the values, then nothing."""
    return values if len(values) == rows else functional.pad(values, (0, 0, 0, rows - len(values)))


def _padding(lengths: NDArray[np.int64], positions: NDArray[np.int64], shape: Shape) -> _Padding:
    places = np.repeat(np.arange(shape[0]) * shape[1], lengths) + positions
    sources = np.zeros(shape[0] * shape[1], dtype=np.int64)
    sources[places] = np.arange(len(places))
    mask = np.full(len(sources), -np.inf, dtype=np.float32)
    mask[places] = 0
    return _Padding(
        torch.from_numpy(places), torch.from_numpy(sources), torch.from_numpy(mask).view(shape[0], 1, 1, shape[1])
    )


def _pair(weights: dict[str, Tensor], name: str) -> Weight:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _linear(weight: Weight, dtype: torch.dtype, *, gelu: bool = False) -> Linear:
    """A product with weights that are laid out once for oneDNN instead of in every pass, and gelu in the same kernel.

    Measured: two thirds of the CPU time for one sentence, four fifths for a batch, the same numbers. torch.compile uses
    the same two operators; where this torch has none, or the processor cannot multiply bfloat16, plain products do.
    """
    matrix, bias = weight[0].to(dtype), weight[1].to(dtype)
    if not _can_pack(dtype):
        return partial(_plain_linear, matrix=matrix, bias=bias, gelu=gelu)
    packed = torch.ops.mkldnn._reorder_linear_weight(matrix, PACKED_FOR_ROWS)
    return partial(_packed_linear, packed=packed, bias=bias, end="gelu" if gelu else "none")


def _can_pack(dtype: torch.dtype) -> bool:
    if not torch._C._has_mkldnn or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return dtype != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _packed_linear(values: Tensor, packed: Tensor, bias: Tensor, end: str) -> Tensor:
    # Between products everything stays float32: sums and norms over bfloat16 are where its error grows.
    product: Tensor = torch.ops.mkldnn._linear_pointwise(values.to(bias.dtype), packed, bias, end, [], "none")
    return product.to(torch.float32)


def _plain_linear(values: Tensor, matrix: Tensor, bias: Tensor, *, gelu: bool) -> Tensor:
    product = functional.linear(values.to(bias.dtype), matrix, bias).to(torch.float32)
    return functional.gelu(product) if gelu else product


def _layer(weights: dict[str, Tensor], number: int, pack: Callable[..., Linear]) -> _Layer:
    name = f"encoder.layer.{number}"
    projections = [_pair(weights, f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
    joined = (torch.cat([weight for weight, _ in projections]), torch.cat([bias for _, bias in projections]))
    return _Layer(
        query_key_value=pack(joined),
        attention_out=pack(_pair(weights, f"{name}.attention.output.dense")),
        attention_norm=_pair(weights, f"{name}.attention.output.LayerNorm"),
        widen=pack(_pair(weights, f"{name}.intermediate.dense"), gelu=True),
        narrow=pack(_pair(weights, f"{name}.output.dense")),
        out_norm=_pair(weights, f"{name}.output.LayerNorm"),
    )
