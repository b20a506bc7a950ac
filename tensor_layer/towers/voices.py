"""Speaks sentences with espeak-ng: which voices train, which are held out. Called by ``audio_corpus``."""

import io
import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import SAMPLE_RATE_HZ, Sound

PROGRAM = "espeak-ng"
TIMEOUT_S = 30.0

TRAINING_ACCENTS = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-x-gbclan", "en-us-nyc")
UNSEEN_ACCENT = "en-gb-scotland"
TRAINING_VARIANTS = ("m1", "m2", "m3", "m4", "m6", "m7", "f1", "f2", "f4", "f5", "Alex", "Annie", "linda", "quincy")
UNSEEN_VARIANTS = ("m5", "m8", "f3", "steph", "antonio", "belinda")


@dataclass(frozen=True, slots=True)
class Voice:
    """How somebody speaks. ``pitch`` is espeak's 0 to 99."""

    accent: str
    variant: str
    words_per_minute: int
    pitch: int


def training_voice(rng: np.random.Generator) -> Voice:
    """One of the voices that training hears, at any pace and pitch."""
    return _voice(str(rng.choice(TRAINING_ACCENTS)), str(rng.choice(TRAINING_VARIANTS)), rng)


def unseen_voice(rng: np.random.Generator) -> Voice:
    """A voice that training never hears, in an accent that it does hear."""
    return _voice(str(rng.choice(TRAINING_ACCENTS)), str(rng.choice(UNSEEN_VARIANTS)), rng)


def unseen_voice_and_accent(rng: np.random.Generator) -> Voice:
    """A voice and an accent that training never hears."""
    return _voice(UNSEEN_ACCENT, str(rng.choice(UNSEEN_VARIANTS)), rng)


def _voice(accent: str, variant: str, rng: np.random.Generator) -> Voice:
    return Voice(accent, variant, int(rng.integers(150, 215)), int(rng.integers(30, 70)))


def can_speak() -> bool:
    """Whether espeak-ng is installed."""
    return shutil.which(PROGRAM) is not None


def spoken_by(voice: Voice, sentence: str) -> Sound:
    """The sentence, mono at SAMPLE_RATE_HZ. Raises EncoderUnavailable when espeak-ng is missing or fails."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise EncoderUnavailable("training the audio tower needs espeak-ng to speak: apt-get install espeak-ng")
    manner = ["-v", f"{voice.accent}+{voice.variant}", "-s", str(voice.words_per_minute), "-p", str(voice.pitch)]
    try:
        done = subprocess.run(
            [program, *manner, "--stdout", sentence], capture_output=True, timeout=TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EncoderUnavailable(f"{PROGRAM} could not speak as {voice}: {error}") from error
    samples, rate_hz = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    return np.asarray(soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ), dtype=np.float32)
