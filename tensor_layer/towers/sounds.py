"""Sounds that are not speech: tones, sweeps, noises, clicks, chords. Called by ``audio_corpus``."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tensor_layer.ports import SAMPLE_RATE_HZ, Sound

Wave = NDArray[np.float64]


def steady_tone(rng: np.random.Generator) -> Wave:
    """One pitch with a few overtones."""
    return _tone(rng.uniform(120, 2_000), _clock(rng), rng)


def rising_tone(rng: np.random.Generator) -> Wave:
    """A sweep upwards by one to three octaves."""
    return _sweep(rng, upwards=True)


def falling_tone(rng: np.random.Generator) -> Wave:
    """A sweep downwards by one to three octaves."""
    return _sweep(rng, upwards=False)


def beeps(rng: np.random.Generator) -> Wave:
    """The same short tone, two to five times a second."""
    clock = _clock(rng)
    on = (clock * rng.uniform(2, 5)) % 1.0 < rng.uniform(0.3, 0.6)
    return _tone(rng.uniform(500, 2_500), clock, rng) * on


def siren(rng: np.random.Generator) -> Wave:
    """A pitch that goes up and down."""
    clock = _clock(rng)
    middle, depth, pace = rng.uniform(500, 1_200), rng.uniform(0.25, 0.45), rng.uniform(0.7, 3.0)
    pitch: Wave = middle * (1 + depth * np.sin(2 * np.pi * pace * clock))
    return _following(pitch)


def chord(rng: np.random.Generator) -> Wave:
    """Three or four pitches of a chord that fade together, struck one to four times."""
    clock = _clock(rng)
    root = rng.uniform(130, 400)
    ratios = [(1, 5 / 4, 3 / 2), (1, 6 / 5, 3 / 2), (1, 5 / 4, 3 / 2, 15 / 8)][int(rng.integers(3))]
    strokes = (clock / clock[-1] * int(rng.integers(1, 5))) % 1.0
    struck: Wave = sum((_tone(root * ratio, clock, rng) for ratio in ratios), np.zeros_like(clock))
    faded: Wave = struck * np.exp(-2.5 * strokes)
    return faded


def melody(rng: np.random.Generator) -> Wave:
    """Notes of a scale one after another, three to seven a second."""
    clock = _clock(rng)
    notes = (clock * rng.uniform(3, 7)).astype(int)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12])
    steps = rng.choice(scale, notes[-1] + 1)
    pitch = rng.uniform(200, 500) * 2 ** (steps[notes] / 12)
    return _following(pitch)


def white_noise(rng: np.random.Generator) -> Wave:
    """All frequencies alike."""
    return rng.normal(0, 1, len(_clock(rng)))


def low_rumble(rng: np.random.Generator) -> Wave:
    """Noise that falls by 12 dB an octave."""
    walk = np.cumsum(rng.normal(0, 1, len(_clock(rng))))
    kernel = int(SAMPLE_RATE_HZ / rng.uniform(20, 40))
    return walk - np.convolve(walk, np.full(kernel, 1 / kernel), "same")


def clicks(rng: np.random.Generator) -> Wave:
    """Short knocks, two to ten a second."""
    clock = _clock(rng)
    since = (clock * rng.uniform(2, 10)) % 1.0 / 5
    return rng.normal(0, 1, len(clock)) * np.exp(-since * rng.uniform(150, 500))


def silence(rng: np.random.Generator) -> Wave:
    """Nothing, or next to nothing."""
    return rng.normal(0, 1, len(_clock(rng))) * 1e-5 * int(rng.integers(2))


SOUNDS: dict[str, Callable[[np.random.Generator], Wave]] = {
    "a steady tone": steady_tone,
    "a tone that rises": rising_tone,
    "a tone that falls": falling_tone,
    "short beeps": beeps,
    "a siren": siren,
    "a musical chord": chord,
    "a melody": melody,
    "white noise": white_noise,
    "a low rumble": low_rumble,
    "a series of clicks": clicks,
    "silence": silence,
}
"""A sound's caption and how it is made."""


def made(caption: str, rng: np.random.Generator) -> Sound:
    """A sound of 1 to 3 seconds with this caption, at some loudness, sometimes with a hiss below it."""
    wave = SOUNDS[caption](rng)
    peak = float(np.abs(wave).max())
    if peak > 1e-3:
        wave = wave / peak * rng.uniform(0.1, 0.9)
        wave = wave + rng.normal(0, 1, len(wave)) * rng.uniform(0, 0.004)
    return wave.astype(np.float32)


def _clock(rng: np.random.Generator) -> Wave:
    """Seconds from the start, per sample."""
    return np.arange(int(rng.uniform(1.0, 3.0) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def _tone(pitch_hz: float, clock: Wave, rng: np.random.Generator) -> Wave:
    overtones = enumerate(rng.uniform(0, 1, 4) * (1.0, 0.5, 0.3, 0.2) + (1, 0, 0, 0), start=1)
    return sum(
        (loud * np.sin(2 * np.pi * pitch_hz * number * clock) for number, loud in overtones), np.zeros_like(clock)
    )


def _following(pitch_hz: Wave) -> Wave:
    """A sine that has each of these pitches in turn."""
    wave: Wave = np.sin(2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ)
    return wave


def _sweep(rng: np.random.Generator, *, upwards: bool) -> Wave:
    clock = _clock(rng)
    octaves = rng.uniform(1, 3) * (clock / clock[-1])
    low_hz = rng.uniform(120, 500)
    pitch = low_hz * 2 ** (octaves if upwards else octaves[::-1])
    return _following(pitch)
