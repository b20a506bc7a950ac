"""Fits and measures how well the towers know their own limits. Called by ``aos train towers``.

Training examples say what a tower knows, held-out ones where it ends (5 % of them may lie outside), other held-out ones
and kinds of pictures and sounds that it never met say how well that works.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tensor_layer.ports import Picture, Sound, Vector
from tensor_layer.senses import FAMILIAR_MIN
from tensor_layer.towers import audio_corpus, image_corpus
from tensor_layer.towers.audio_model import AudioTower
from tensor_layer.towers.audio_training import used_frames
from tensor_layer.towers.corpus import Corpus, Tell
from tensor_layer.towers.familiarity import Familiarity, Kinds
from tensor_layer.towers.frames import framed
from tensor_layer.towers.hearing import KINDS, kinds_heard, vocabulary
from tensor_layer.towers.image_model import ImageTower, as_inputs, as_pixels
from tensor_layer.towers.loading import load_arrays
from tensor_layer.towers.pictures import CONCEPTS
from tensor_layer.towers.sentences import split
from tensor_layer.towers.strange_pictures import STRANGE_PICTURES
from tensor_layer.towers.strange_sounds import STRANGE_SOUNDS, strange_sound
from tensor_layer.towers.weights import read_card

BATCH = 64
CALIBRATION_SEED, HELD_OUT_SEED, STRANGERS_SEED = 107, 7, 17


@dataclass(frozen=True, slots=True)
class Effort:
    """How many examples are looked at; ``strangers`` of each strange kind."""

    pictures: image_corpus.PictureCounts
    pictures_held_out: image_corpus.PictureCounts
    recordings: audio_corpus.RecordingCounts
    recordings_held_out: audio_corpus.HeldOutCounts
    strangers: int


FULL = Effort(
    pictures=image_corpus.PictureCounts(each_composition=3, digits=600, each_kind=300),
    pictures_held_out=image_corpus.PictureCounts(each_composition=4, digits=300, each_kind=200),
    recordings=audio_corpus.RecordingCounts(each_sentence=4, each_sound=70),
    recordings_held_out=audio_corpus.HeldOutCounts(each_sound=100),
    strangers=100,
)
QUICK = Effort(
    pictures=image_corpus.PictureCounts(each_composition=1, digits=60, each_kind=30),
    pictures_held_out=image_corpus.PictureCounts(each_composition=1, digits=60, each_kind=30),
    recordings=audio_corpus.RecordingCounts(each_sentence=1, each_sound=10),
    recordings_held_out=audio_corpus.HeldOutCounts(1, 0, 0, each_sound=10),
    strangers=5,
)

Seen = tuple[Vector, Kinds]
"""(n, traits) and the kinds that the tower takes them for."""


def of_pictures(
    tower_file: Path, cache: Path, seed: int, effort: Effort, tell: Tell
) -> tuple[Familiarity, dict[str, Any]]:
    """What the image tower knows, and figures. Raises EncoderUnavailable, OSError."""
    tower = ImageTower(read_card(tower_file).dimension)
    load_arrays(tower, tower_file)
    training = image_corpus.training_pictures(cache, effort.pictures, seed, tell)
    calibration = image_corpus.held_out_pictures(cache, effort.pictures_held_out, CALIBRATION_SEED, tell)
    held_out = image_corpus.held_out_pictures(cache, image_corpus.HELD_OUT, HELD_OUT_SEED, tell)
    traits, _ = _looked(tower, training.values)
    known = Familiarity.fit(traits, training.labels[:, 0], len(CONCEPTS["kind"]))
    known = known.calibrated(*_looked(tower, calibration.values))
    strange = {name: _looked(tower, pixels) for name, pixels in _strange_pictures(effort.strangers, tell)}
    kept = known.of(*_looked(tower, held_out.values)) >= FAMILIAR_MIN
    by_kind = {name: _per_cent(kept[held_out.labels[:, 0] == at]) for at, name in enumerate(CONCEPTS["kind"])}
    return known, {**_figures(known, kept, strange), "kept_by_kind": by_kind}


def of_recordings(
    tower_file: Path, cache: Path, seed: int, effort: Effort, tell: Tell
) -> tuple[Familiarity, dict[str, Any]]:
    """What the audio tower knows, and figures. Raises EncoderUnavailable, also without espeak-ng, OSError."""
    tower = AudioTower(len(vocabulary()), read_card(tower_file).dimension)
    load_arrays(tower, tower_file)
    training = audio_corpus.training_recordings(cache, effort.recordings, seed, tell)
    calibration = audio_corpus.held_out_recordings(cache, effort.recordings_held_out, CALIBRATION_SEED, tell)
    held_out = audio_corpus.held_out_recordings(cache, audio_corpus.HeldOutCounts(), HELD_OUT_SEED + 1, tell)
    # A sound's caption is numbered after those of all sentences; every sentence is of the first kind.
    kinds = np.maximum(training.labels[:, audio_corpus.CAPTION] - len(split()[0]) + 1, 0)
    known = Familiarity.fit(_heard(tower, *_frames(training))[0], kinds, KINDS)
    known = known.calibrated(*_heard(tower, *_frames(calibration)))
    strange = {
        name: _heard(tower, frames, lengths) for name, frames, lengths in _strange_sounds(effort.strangers, tell)
    }
    kept = known.of(*_heard(tower, *_frames(held_out))) >= FAMILIAR_MIN
    groups = held_out.labels[:, audio_corpus.GROUP]
    by_group = {name: _per_cent(kept[groups == at]) for at, name in enumerate(audio_corpus.GROUPS)}
    return known, {**_figures(known, kept, strange), "kept_by_group": by_group}


def _figures(known: Familiarity, kept: NDArray[np.bool_], strange: dict[str, Seen]) -> dict[str, Any]:
    """Shares in per cent: held-out examples that are kept, strangers that are caught."""
    caught = {name: known.of(*seen) < FAMILIAR_MIN for name, seen in strange.items()}
    return {
        "held_out_kept": _per_cent(kept),
        "strangers_caught": _per_cent(np.concatenate(list(caught.values()))),
        "caught": {name: _per_cent(each) for name, each in caught.items()},
    }


@torch.inference_mode()
def _looked(tower: ImageTower, pixels: NDArray[np.uint8]) -> Seen:
    batches = [tower.looked(as_inputs(pixels[at : at + BATCH])) for at in range(0, len(pixels), BATCH)]
    return torch.cat([traits for *_, traits in batches]).numpy(), torch.cat([kinds for _, kinds, _ in batches]).numpy()


@torch.inference_mode()
def _heard(tower: AudioTower, frames: NDArray[np.floating], lengths: NDArray[np.int64]) -> Seen:
    traits, kinds = [], []
    for at in range(0, len(frames), BATCH):
        filled = torch.from_numpy(lengths[at : at + BATCH])
        batch = torch.from_numpy(np.array(frames[at : at + BATCH], dtype=np.float32))[:, : used_frames(filled)]
        _, heard, traits_of_batch = tower.listened(batch, filled)
        traits.append(traits_of_batch.numpy())
        kinds.append(kinds_heard(heard.numpy()))
    return np.concatenate(traits), np.concatenate(kinds)


def _frames(corpus: Corpus) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    return corpus.values, corpus.labels[:, audio_corpus.LENGTH]


def _strange_pictures(each: int, tell: Tell) -> list[tuple[str, NDArray[np.uint8]]]:
    found = []
    for at, (name, make) in enumerate(STRANGE_PICTURES.items()):
        pictures: Sequence[Picture] = [make(_rng(at, row)) for row in range(each)]
        found.append((name, np.stack([as_pixels(picture) for picture in pictures])))
        tell("drawing strange pictures", at + 1, len(STRANGE_PICTURES))
    return found


def _strange_sounds(each: int, tell: Tell) -> list[tuple[str, NDArray[np.float32], NDArray[np.int64]]]:
    found = []
    for at, name in enumerate(STRANGE_SOUNDS):
        sounds: list[Sound] = [strange_sound(name, _rng(at, row)) for row in range(each)]
        frames, lengths = zip(*map(framed, sounds), strict=True)
        found.append((name, np.stack(frames), np.array(lengths)))
        tell("making strange sounds", at + 1, len(STRANGE_SOUNDS))
    return found


def _rng(kind: int, row: int) -> np.random.Generator:
    return np.random.default_rng((STRANGERS_SEED, kind, row))


def _per_cent(among: NDArray[np.bool_]) -> float:
    return round(100 * float(among.mean()), 1)
