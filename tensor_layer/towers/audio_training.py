"""Trains and evaluates the audio tower. Called by ``aos train towers``."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tensor_layer.towers.audio_corpus import (
    CAPTION,
    GROUP,
    GROUPS,
    LENGTH,
    HeldOutCounts,
    RecordingCounts,
    captions,
    held_out_recordings,
    training_captions,
    training_recordings,
)
from tensor_layer.towers.audio_model import STRIDE, AudioTower
from tensor_layer.towers.corpus import Corpus, Tell
from tensor_layer.towers.hearing import vocabulary, words_said
from tensor_layer.towers.recall import recall_at_1
from tensor_layer.towers.sentences import split
from tensor_layer.towers.text_space import TextSpace
from tensor_layer.towers.training import Schedule, StepLosses, Training, agreement

NAME = "audio-tower"
SCALE = 40.0
STEPS = 1_600
WORDS_WEIGHT = 0.5
EVALUATION_BATCH = 128
HELD_OUT_SEED = 8
MASK_BANDS, MASK_FRAMES = 14, 16


def schedule(seed: int, steps: int) -> Schedule:
    """What the shipped weights were trained with, for another seed or length."""
    return Schedule(steps=steps, batch=64, rate=1.5e-3, seed=seed)


class AudioBatches:
    """Losses of seeded batches over the training recordings."""

    def __init__(self, tower: AudioTower, corpus: Corpus, gallery: Tensor, plan: Schedule) -> None:
        self._tower = tower
        self._corpus = corpus
        self._gallery = gallery
        self._plan = plan
        self._words = torch.from_numpy(np.stack([words_said(caption) for caption in training_captions()]))

    def losses(self, step: int) -> StepLosses:
        """The words' binary cross-entropies, and agreement with the captions' vectors."""
        rng = np.random.default_rng((self._plan.seed, step))
        rows = np.sort(rng.choice(len(self._corpus), self._plan.batch, replace=False))
        labels = torch.from_numpy(self._corpus.labels[rows])
        lengths = labels[:, LENGTH]
        frames = augmented(np.array(self._corpus.values[rows], dtype=np.float32), rng)[:, : used_frames(lengths)]
        with torch.autocast("cpu", torch.bfloat16):
            vectors, heard = self._tower(frames, lengths)
        said = self._words[labels[:, CAPTION]]
        words = nn.functional.binary_cross_entropy_with_logits(heard, said, reduction="sum") / len(rows)
        return {
            "words": WORDS_WEIGHT * words,
            **agreement(vectors, labels[:, CAPTION], self._gallery, SCALE, smoothing=0.05),
        }


def augmented(frames: NDArray[np.float32], rng: np.random.Generator) -> Tensor:
    """(batch, FRAMES, 80): other loudness, a muted band and a muted moment each (Park et al. 2019), in place."""
    frames += rng.uniform(-0.15, 0.15, (len(frames), 1, 1)).astype(np.float32)
    for clip in frames:
        band, moment = rng.integers(0, clip.shape[1] - MASK_BANDS), rng.integers(0, clip.shape[0] - MASK_FRAMES)
        clip[:, band : band + rng.integers(0, MASK_BANDS)] = 0.0
        clip[moment : moment + rng.integers(0, MASK_FRAMES)] = 0.0
    return torch.from_numpy(frames)


def train(
    folder: Path, cache: Path, plan: Schedule, space: TextSpace, tell: Tell, *, resume: bool, counts: RecordingCounts
) -> tuple[AudioTower, list[dict[str, float]]]:
    """A trained tower and its loss curve. Raises EncoderUnavailable without espeak-ng, OSError, ValueError."""
    corpus = training_recordings(cache, counts, plan.seed, tell)
    gallery = torch.from_numpy(space.vectors(training_captions()))
    torch.manual_seed(plan.seed)
    tower = AudioTower(len(vocabulary()), gallery.shape[1])
    batches = AudioBatches(tower, corpus, gallery, plan)
    return tower, Training(NAME, tower, plan, batches.losses, folder, tell).run(resume=resume)


@torch.inference_mode()
def evaluate(tower: AudioTower, cache: Path, space: TextSpace, tell: Tell) -> dict[str, Any]:
    """Held-out figures, recall@1 in per cent."""
    corpus = held_out_recordings(cache, HeldOutCounts(), HELD_OUT_SEED, tell)
    vectors = np.concatenate(
        [_vectors(tower, corpus, at) for at in range(0, len(corpus), EVALUATION_BATCH)],
    )
    gallery = space.vectors(captions())
    heard = len(split()[0])
    right, groups = corpus.labels[:, CAPTION], corpus.labels[:, GROUP]
    among_heard = {
        f"speech_recall_at_1_{name}": recall_at_1(vectors[groups == at], gallery[:heard], right[groups == at])
        for at, name in enumerate(GROUPS[:2])
    }
    among_all = {
        f"recall_at_1_among_all_{name}": recall_at_1(vectors[groups == at], gallery, right[groups == at])
        for at, name in enumerate(GROUPS)
    }
    return {"recordings": len(corpus), "sentences": heard, "captions": len(gallery), **among_heard, **among_all}


def _vectors(tower: AudioTower, corpus: Corpus, at: int) -> NDArray[np.float32]:
    frames = torch.from_numpy(np.array(corpus.values[at : at + EVALUATION_BATCH], dtype=np.float32))
    lengths = torch.from_numpy(corpus.labels[at : at + EVALUATION_BATCH, LENGTH])
    vectors: NDArray[np.float32] = tower(frames[:, : used_frames(lengths)], lengths)[0].numpy()
    return vectors


def used_frames(lengths: Tensor) -> int:
    """The longest of a batch, up to a whole number of moments."""
    return -(-int(lengths.max()) // STRIDE) * STRIDE
