"""Trains and evaluates the image tower. Called by ``aos train towers``."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tensor_layer.towers.corpus import Corpus, Tell
from tensor_layer.towers.image_corpus import HELD_OUT, PictureCounts, held_out_pictures, training_pictures
from tensor_layer.towers.image_model import ImageTower, as_inputs
from tensor_layer.towers.pictures import CONCEPTS, UNKNOWN, training_captions
from tensor_layer.towers.recall import recall_at_1
from tensor_layer.towers.scenes import compositions, split
from tensor_layer.towers.text_space import TextSpace
from tensor_layer.towers.training import Schedule, StepLosses, Training, agreement

NAME = "image-tower"
SCALE = 60.0
"""How sharply the contrast tells texts apart. Neighbouring captions differ by a cosine of 0.01."""
SHIFT_PX = 2
STEPS = 2_200
EVALUATION_BATCH = 256
HELD_OUT_SEED = 7


def schedule(seed: int, steps: int) -> Schedule:
    """What the shipped weights were trained with, for another seed or length."""
    return Schedule(steps=steps, batch=128, rate=3e-3, seed=seed)


class ImageBatches:
    """Losses of seeded batches over the training pictures."""

    def __init__(self, tower: ImageTower, corpus: Corpus, gallery: Tensor, plan: Schedule) -> None:
        self._tower = tower
        self._corpus = corpus
        self._gallery = gallery
        self._plan = plan

    def losses(self, step: int) -> StepLosses:
        """The concepts' cross-entropies, and agreement with the captions' vectors."""
        rng = np.random.default_rng((self._plan.seed, step))
        rows = np.sort(rng.choice(len(self._corpus), self._plan.batch, replace=False))
        labels = torch.from_numpy(self._corpus.labels[rows])
        inputs = augmented(self._corpus.values[rows], rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits = self._tower.concept_logits(inputs)
        vectors = self._tower.vectors_of(logits)
        return {
            "concepts": concept_loss(logits, labels),
            **agreement(vectors, labels[:, -1], self._gallery, SCALE),
        }


def concept_loss(logits: list[Tensor], labels: Tensor) -> Tensor:
    """The sum over concepts of the mean cross-entropy among the pictures that have the concept."""
    losses = [
        nn.functional.cross_entropy(each.float(), labels[:, column], ignore_index=UNKNOWN, reduction="sum")
        / (labels[:, column] != UNKNOWN).sum().clamp(min=1)
        for column, each in enumerate(logits)
    ]
    return torch.stack(losses).sum()


def augmented(pixels: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    """(batch, 64, 64, 3) uint8 to (batch, 3, 64, 64) float: moved a little, other light, grain."""
    down, right = rng.integers(-SHIFT_PX, SHIFT_PX + 1, 2).tolist()
    moved = np.roll(np.pad(pixels, ((0, 0), (SHIFT_PX,) * 2, (SHIFT_PX,) * 2, (0, 0)), "edge"), (down, right), (1, 2))
    inputs = as_inputs(moved[:, SHIFT_PX:-SHIFT_PX, SHIFT_PX:-SHIFT_PX])
    count = len(pixels)
    contrast = torch.from_numpy(rng.uniform(0.85, 1.1, (count, 1, 1, 1)).astype(np.float32))
    light = torch.from_numpy(rng.uniform(-0.08, 0.08, (count, 1, 1, 1)).astype(np.float32))
    grain = torch.from_numpy(np.abs(rng.normal(0.0, 0.03, (count, 1, 1, 1))).astype(np.float32))
    return inputs * contrast + light + grain * torch.randn(inputs.shape)


def train(
    folder: Path, cache: Path, plan: Schedule, space: TextSpace, tell: Tell, *, resume: bool, counts: PictureCounts
) -> tuple[ImageTower, list[dict[str, float]]]:
    """A trained tower and its loss curve. Raises OSError, ValueError when the checkpoint is of another schedule."""
    torch.manual_seed(plan.seed)
    corpus = training_pictures(cache, counts, plan.seed, tell)
    gallery = torch.from_numpy(space.vectors(training_captions()))
    tower = ImageTower(gallery.shape[1])
    tower.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # documented, not in its types
    batches = ImageBatches(tower, corpus, gallery, plan)
    return tower, Training(NAME, tower, plan, batches.losses, folder, tell).run(resume=resume)


@torch.inference_mode()
def evaluate(tower: ImageTower, cache: Path, space: TextSpace, tell: Tell) -> dict[str, Any]:
    """Held-out figures, in per cent: recall@1 of captions, and how often each concept is named right."""
    corpus = held_out_pictures(cache, HELD_OUT, HELD_OUT_SEED, tell)
    parts = [
        tower(as_inputs(corpus.values[at : at + EVALUATION_BATCH])) for at in range(0, len(corpus), EVALUATION_BATCH)
    ]
    vectors = torch.cat([vectors for vectors, _ in parts]).numpy()
    named = np.stack([torch.cat([logits[at] for _, logits in parts]).argmax(-1) for at in range(len(CONCEPTS))], axis=1)
    kinds = corpus.labels[:, 0]
    scenes, digits = kinds == 0, kinds == 1
    captions = corpus.labels[:, -1]
    new = [one.caption for one in split()[1]]
    everything = [one.caption for one in compositions()]
    positions = np.array([everything.index(caption) for caption in new])
    gallery = space.vectors(list(corpus.captions))
    wide = space.vectors(everything)
    reworded = space.vectors([f"a picture of {caption}" for caption in new])
    return {
        "pictures": len(corpus),
        "unseen_compositions": len(new),
        "scene_recall_at_1": recall_at_1(vectors[scenes], gallery[: len(new)], captions[scenes]),
        "scene_recall_at_1_among_all_1600": recall_at_1(vectors[scenes], wide, positions[captions[scenes]]),
        "scene_recall_at_1_reworded": recall_at_1(vectors[scenes], reworded, captions[scenes]),
        "digit_recall_at_1": recall_at_1(vectors[digits], gallery, captions[digits]),
        "kind_recall_at_1": recall_at_1(vectors[kinds > 1], gallery, captions[kinds > 1]),
        "named_right": {
            name: _share(named[:, column] == corpus.labels[:, column], corpus.labels[:, column] != UNKNOWN)
            for column, name in enumerate(CONCEPTS)
        },
        "kinds_named_right": {
            name: _share(named[:, 0] == kinds, kinds == number) for number, name in enumerate(CONCEPTS["kind"])
        },
    }


def _share(right: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return round(100 * float(right[among].mean()), 2)
