"""Runs the audio tower on decoded sounds. Loaded by ``serving`` when the first sound arrives; imports torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tensor_layer.ports import Sound, Vector
from tensor_layer.towers.audio_model import AudioTower
from tensor_layer.towers.familiarity import for_tower
from tensor_layer.towers.frames import FRAMES_SAMPLES, framed
from tensor_layer.towers.hearing import kinds_heard, vocabulary
from tensor_layer.towers.loading import load_arrays
from tensor_layer.towers.weights import read_card

BATCH = 32
WINDOWS_MAX = 24
"""Of a longer sound (80 s) evenly spread windows speak for the whole."""
PROBABLE = 0.3


class Listener:
    """The tower with its weights. Any number of threads may use it: nothing changes after loading."""

    def __init__(self, file: Path, threads: int) -> None:
        """Raises EncoderUnavailable."""
        torch.set_num_threads(threads)
        self._dimension = read_card(file).dimension
        self._tower = AudioTower(len(vocabulary()), self._dimension)
        load_arrays(self._tower, file)
        self._familiarity = for_tower(file)

    def discerned(self, sounds: Sequence[Sound]) -> Vector:
        """(len(sounds), dimension + 1) float32: unit rows, then their familiarity, NaN where nothing tells it. Both are
        means of each sound's windows by their length.
        """
        windows = [(owner, window) for owner, sound in enumerate(sounds) for window in windows_of(sound)]
        sums = np.zeros((len(sounds), self._dimension + 1), dtype=np.float32)
        heard_s = np.zeros(len(sounds), dtype=np.float32)
        for at in range(0, len(windows), BATCH):
            owners, batch = zip(*windows[at : at + BATCH], strict=True)
            lengths = np.array([len(window) for window in batch], dtype=np.float32) / FRAMES_SAMPLES
            np.add.at(sums, list(owners), self._discerned(batch) * lengths[:, None])
            np.add.at(heard_s, list(owners), lengths)
        # Windows that say opposite things would have to cancel out exactly to leave nothing: not in float32.
        sums[:, :-1] /= np.linalg.norm(sums[:, :-1], axis=1, keepdims=True)
        sums[:, -1] /= heard_s
        return sums

    def words(self, sound: Sound) -> list[tuple[str, float]]:
        """Probable words of the first window, likely ones first."""
        frames, lengths = _inputs([windows_of(sound)[0]])
        with torch.inference_mode():
            chances = self._tower(frames, lengths)[1].sigmoid()
        named = zip(vocabulary(), chances[0].tolist(), strict=True)
        return sorted((each for each in named if each[1] >= PROBABLE), key=lambda each: -each[1])

    @torch.inference_mode()
    def _discerned(self, windows: Sequence[Sound]) -> Vector:
        """(windows, dimension + 1), as ``discerned``."""
        vectors, heard, traits = self._tower.listened(*_inputs(windows))
        known = self._familiarity
        if known is None:
            familiar = np.full(len(vectors), np.nan, dtype=np.float32)
        else:
            familiar = known.of(traits.numpy(), kinds_heard(heard.numpy()))
        return np.column_stack([vectors.numpy(), familiar])


def _inputs(windows: Sequence[Sound]) -> tuple[torch.Tensor, torch.Tensor]:
    frames, lengths = zip(*map(framed, windows), strict=True)
    return torch.from_numpy(np.stack(frames)), torch.tensor(lengths)


def windows_of(sound: Sound) -> list[Sound]:
    """(samples,) cut into windows of equal length, at most 3.36 s each, and at most WINDOWS_MAX of them."""
    windows = np.array_split(sound, max(-(-len(sound) // FRAMES_SAMPLES), 1))
    if len(windows) <= WINDOWS_MAX:
        return windows
    return [windows[at] for at in np.linspace(0, len(windows) - 1, WINDOWS_MAX).round().astype(int)]
