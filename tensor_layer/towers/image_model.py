"""The image tower: a small residual network that names concepts, and a head that says them in the text space.

A concept bottleneck (Koh et al. 2020): the picture is described by the probabilities of kind, colour, shape, count,
position and digit, and only these reach the head. That is why unseen compositions work: their concepts have been seen.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from tensor_layer.towers.pictures import CONCEPTS, DIGIT, SCENE

SIDE_PX = 64
WIDTHS = (24, 40, 80, 128)
FEATURES = 256
PAIR_RANK = 96
KIND = 0
STEM = 3
"""The first three modules of the trunk are one block."""


class Residual(nn.Module):
    """Two 3×3 convolutions that halve the picture, and a shortcut around them (He et al. 2015)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, 2, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1, 2, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in, side, side) to (batch, out, side / 2, side / 2)."""
        hidden = torch.relu(self.first_norm(self.first(inputs)))
        return torch.relu(self.second_norm(self.second(hidden)) + self.shortcut(inputs))


class ImageTower(nn.Module):
    """(batch, 3, 64, 64) float in [-1, 1] to concept logits and unit vectors of the text space."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        stem, *widths = WIDTHS
        blocks: list[nn.Module] = [nn.Conv2d(3, stem, 5, 2, 2, bias=False), nn.BatchNorm2d(stem), nn.ReLU()]
        for channels_in, channels_out in zip(WIDTHS, widths, strict=False):
            blocks.append(Residual(channels_in, channels_out))
        self.trunk = nn.Sequential(*blocks)
        self.features = nn.Sequential(nn.Linear(16 * WIDTHS[-1], FEATURES), nn.LayerNorm(FEATURES), nn.GELU())
        self.concepts = nn.ModuleList(nn.Linear(FEATURES, len(names)) for names in CONCEPTS.values())
        self.head = ConceptHead(sum(map(len, CONCEPTS.values())), dimension)

    def concept_logits(self, pictures: Tensor) -> list[Tensor]:
        """One (batch, names) tensor per entry of CONCEPTS."""
        features = self.features(self.trunk(pictures).flatten(1))
        return [concept(features) for concept in self.concepts]

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """((batch, dimension) unit rows, concept logits)."""
        logits = self.concept_logits(pictures)
        return self.vectors_of(logits), logits

    def looked(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """((batch, dimension) unit rows, (batch,) kinds, (batch, traits)): traits are the mean of every channel after
        each block. The penultimate features would not do: there the tower has made everything look like what it knows.
        """
        hidden, traits = pictures, []
        for number, block in enumerate(self.trunk):
            hidden = block(hidden)
            if number >= STEM - 1:
                traits.append(hidden.mean((2, 3)))
        features = self.features(hidden.flatten(1))
        logits = [concept(features) for concept in self.concepts]
        return self.vectors_of(logits), logits[KIND].argmax(-1), torch.cat(traits, dim=1)

    def vectors_of(self, logits: Sequence[Tensor]) -> Tensor:
        """(batch, dimension) unit rows for the concepts that were recognised."""
        vectors: Tensor = self.head(concept_weights(logits))
        return vectors


class ConceptHead(nn.Module):
    """Concept weights to the text space: what each says alone, and low-rank what pairs say together."""

    def __init__(self, concepts: int, dimension: int) -> None:
        super().__init__()
        self.alone = nn.Linear(concepts, dimension)
        self.left = nn.Linear(concepts, PAIR_RANK)
        self.right = nn.Linear(concepts, PAIR_RANK)
        self.together = nn.Linear(PAIR_RANK, dimension, bias=False)
        nn.init.zeros_(self.together.weight)

    def forward(self, weights: Tensor) -> Tensor:
        """(batch, concepts) to (batch, dimension) unit rows."""
        return nn.functional.normalize(self.said(weights), dim=-1)

    def said(self, weights: Tensor) -> Tensor:
        """(batch, concepts) to (batch, dimension), before they are made unit rows."""
        said: Tensor = self.alone(weights) + self.together(self.left(weights) * self.right(weights))
        return said


def concept_weights(logits: Sequence[Tensor]) -> Tensor:
    """(batch, all concepts): probabilities, where colour, shape, count and place count only as far as it is a scene."""
    kind, *details = [each.float().softmax(-1) for each in logits]
    kinds = CONCEPTS["kind"]
    scene, digit = kind[:, kinds.index(SCENE), None], kind[:, kinds.index(DIGIT), None]
    names = list(CONCEPTS)[1:]
    gated = [each * (digit if name == "digit" else scene) for name, each in zip(names, details, strict=True)]
    return torch.cat([kind, *gated], dim=-1)


def as_pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """(64, 64, 3) uint8: what the tower looks at. The whole picture, squeezed; never a part of it."""
    small = picture.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(small)


def as_inputs(pixels: NDArray[np.uint8]) -> Tensor:
    """(batch, 64, 64, 3) uint8 to (batch, 3, 64, 64) float32 in [-1, 1], channels last in memory."""
    return torch.from_numpy(np.array(pixels, dtype=np.float32)).permute(0, 3, 1, 2) / 127.5 - 1.0
