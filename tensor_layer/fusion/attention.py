"""Fusion by attention over modality tokens, with learned weights. Called by perception for every task.

One head of dot-product attention (Vaswani et al. 2017) whose query is the task's tokens' mean, whose keys know their
modality, and whose values are the tokens themselves, so that the result stays in the text space. The tokens' own
weights enter as log-odds: with all parameters at zero it is the weighted mean.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.parts import Modality
from tensor_layer.fusion.mean import combined, shares_of
from tensor_layer.ports import Fused, ModalityToken

MODALITIES = tuple(modality.value for modality in Modality)
"""The order of the rows of ``modality``: part of the weights."""
LEAST_SHARE = 1e-6


class AttentionFusion:
    """Implements ``ports.Fusion``. Pure: numpy on a few tokens, some tens of microseconds.

    Parameters, with ``width`` columns: ``key`` and ``query`` (dimension, width), ``modality`` (modalities, width),
    ``always`` (width,), the part of the query that does not depend on the task.
    """

    def __init__(self, parameters: Mapping[str, NDArray[np.float32]], version: str) -> None:
        self._key = parameters["key"]
        self._query = parameters["query"]
        self._modality = parameters["modality"]
        self._always = parameters["always"]
        self._version = version

    @property
    def version(self) -> str:
        """The digest of the learned weights."""
        return f"attention-{self._version}"

    def fuse(self, tokens: Sequence[ModalityToken]) -> Fused:
        """The attended mean. Raises ValueError without any token."""
        shares = shares_of(tokens)
        if len(tokens) == 1:
            return combined(tokens, shares)
        odds = np.log(np.maximum(shares, LEAST_SHARE)) + self._scores(tokens, shares)
        attended = np.exp(odds - odds.max())
        return combined(tokens, attended / attended.sum())

    def _scores(self, tokens: Sequence[ModalityToken], shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """(tokens,): how well each token answers the task's query."""
        vectors = np.stack([token.vector for token in tokens])
        kinds = [MODALITIES.index(token.modality.value) for token in tokens]
        keys = vectors @ self._key + self._modality[kinds]
        query = self._always + (shares @ vectors) @ self._query
        scores: NDArray[np.float64] = keys @ query / np.sqrt(len(query))
        return scores
