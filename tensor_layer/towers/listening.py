"""Runs the audio tower on decoded sounds. Loaded by ``serving`` when the first sound arrives; imports torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tensor_layer.ports import Sound, Vector
from tensor_layer.towers.audio_model import AudioTower
from tensor_layer.towers.frames import FRAMES_SAMPLES, framed
from tensor_layer.towers.hearing import vocabulary
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

    def vectors(self, sounds: Sequence[Sound]) -> Vector:
        """(len(sounds), dimension) float32, rows unit-norm: the mean of each sound's windows by their length."""
        windows = [(owner, window) for owner, sound in enumerate(sounds) for window in windows_of(sound)]
        sums = np.zeros((len(sounds), self._dimension), dtype=np.float32)
        for at in range(0, len(windows), BATCH):
            batch = windows[at : at + BATCH]
            rows, _ = self._heard([window for _, window in batch])
            lengths = np.array([len(window) for _, window in batch], dtype=np.float32)
            np.add.at(sums, [owner for owner, _ in batch], rows * (lengths / FRAMES_SAMPLES)[:, None])
        # Windows that say opposite things would have to cancel out exactly to leave nothing: not in float32.
        unit: Vector = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return unit

    def words(self, sound: Sound) -> list[tuple[str, float]]:
        """Probable words of the first window, likely ones first."""
        _, chances = self._heard([windows_of(sound)[0]])
        named = zip(vocabulary(), chances[0].tolist(), strict=True)
        return sorted((each for each in named if each[1] >= PROBABLE), key=lambda each: -each[1])

    @torch.inference_mode()
    def _heard(self, windows: Sequence[Sound]) -> tuple[Vector, Vector]:
        """((windows, dimension) unit rows, (windows, words) probabilities)."""
        frames, lengths = zip(*map(framed, windows), strict=True)
        vectors, words = self._tower(torch.from_numpy(np.stack(frames)), torch.tensor(lengths))
        return vectors.numpy(), words.sigmoid().numpy()


def windows_of(sound: Sound) -> list[Sound]:
    """(samples,) cut into windows of equal length, at most 3.36 s each, and at most WINDOWS_MAX of them."""
    windows = np.array_split(sound, max(-(-len(sound) // FRAMES_SAMPLES), 1))
    if len(windows) <= WINDOWS_MAX:
        return windows
    return [windows[at] for at in np.linspace(0, len(windows) - 1, WINDOWS_MAX).round().astype(int)]
