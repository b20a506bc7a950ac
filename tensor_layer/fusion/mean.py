"""The fusion that needs no training: a weighted mean of the tokens. Used when no learned weights are there."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tensor_layer.ports import Fused, ModalityToken

NOTHING_LEFT = 1e-6


class MeanFusion:
    """Implements ``ports.Fusion``: each token counts its own ``weight``."""

    @property
    def version(self) -> str:
        """There are no learned weights."""
        return "mean"

    def fuse(self, tokens: Sequence[ModalityToken]) -> Fused:
        """The weighted mean. Raises ValueError without any token or with weights that are no shares."""
        return combined(tokens, shares_of(tokens))


def shares_of(tokens: Sequence[ModalityToken]) -> NDArray[np.float64]:
    """(tokens,): the tokens' own weights, scaled to sum 1; equal ones when all are zero. Raises ValueError."""
    if not tokens:
        raise ValueError("there is nothing to fuse: a task has at least one token")
    weights = np.array([token.weight for token in tokens], dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"weights of tokens are finite and not negative, these are {weights.tolist()}")
    total = weights.sum()
    return weights / total if total > 0 else np.full(len(weights), 1 / len(weights))


def combined(tokens: Sequence[ModalityToken], shares: NDArray[np.float64]) -> Fused:
    """The tokens' mean by ``shares``, unit-norm and read-only."""
    mean = shares @ np.stack([token.vector for token in tokens])
    norm = float(np.linalg.norm(mean))
    # Opposite tokens may cancel out; then the one that counts most speaks alone.
    unit = mean / norm if norm > NOTHING_LEFT else tokens[int(shares.argmax())].vector
    vector = np.array(unit, dtype=np.float32)
    vector.setflags(write=False)
    return Fused(vector, tuple(shares.tolist()))
