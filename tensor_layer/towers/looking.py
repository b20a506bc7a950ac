"""Runs the image tower on decoded pictures. Loaded by ``serving`` when the first picture arrives; imports torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tensor_layer.ports import Picture, Vector
from tensor_layer.towers.familiarity import for_tower
from tensor_layer.towers.image_model import ImageTower, as_inputs, as_pixels, concept_weights
from tensor_layer.towers.loading import load_arrays
from tensor_layer.towers.pictures import CONCEPTS
from tensor_layer.towers.weights import read_card

BATCH = 64


class Looker:
    """The tower with its weights. Any number of threads may use it: nothing changes after loading."""

    def __init__(self, file: Path, threads: int) -> None:
        """Raises EncoderUnavailable."""
        torch.set_num_threads(threads)
        self._tower = ImageTower(read_card(file).dimension)
        load_arrays(self._tower, file)
        self._familiarity = for_tower(file)

    @torch.inference_mode()
    def discerned(self, pictures: Sequence[Picture]) -> Vector:
        """(len(pictures), dimension + 1) float32: unit rows, then their familiarity, NaN where nothing tells it."""
        batches = [pictures[at : at + BATCH] for at in range(0, len(pictures), BATCH)]
        rows = [self._discerned(_inputs(batch)) for batch in batches]
        return np.concatenate(rows) if rows else np.zeros((0, self._tower.dimension + 1), dtype=np.float32)

    def _discerned(self, inputs: Tensor) -> Vector:
        vectors, kinds, traits = self._tower.looked(inputs)
        known = self._familiarity
        familiar = np.full(len(vectors), np.nan) if known is None else known.of(traits.numpy(), kinds.numpy())
        return np.column_stack([vectors.numpy(), familiar]).astype(np.float32)

    @torch.inference_mode()
    def described(self, picture: Picture) -> dict[str, tuple[str, float]]:
        """The likeliest name of each concept with its probability, given the kind of picture."""
        weights = concept_weights(self._tower.concept_logits(_inputs([picture])))[0].numpy()
        found, first = {}, 0
        for concept, names in CONCEPTS.items():
            own: NDArray[np.float32] = weights[first : first + len(names)]
            found[concept] = (names[int(own.argmax())], float(own.max()))
            first += len(names)
        return found


def _inputs(pictures: Sequence[Picture]) -> Tensor:
    return as_inputs(np.stack([as_pixels(picture) for picture in pictures]))
