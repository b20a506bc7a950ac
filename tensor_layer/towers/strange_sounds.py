"""Sounds of kinds that the audio tower never heard, to measure whether it knows that. Called by ``acquaintance``.

None of them takes part in fitting or in choosing the threshold. Speech needs espeak-ng.
"""

from collections.abc import Callable

import numpy as np

from tensor_layer.ports import SAMPLE_RATE_HZ, Sound
from tensor_layer.towers.sounds import Wave
from tensor_layer.towers.voices import UNSEEN_VARIANTS, Voice, spoken_by, unseen_voice

Maker = Callable[[np.random.Generator], Wave | Sound]

FOREIGN = (
    ("de", "Der Zug nach Hamburg fährt heute leider zehn Minuten später ab"),
    ("fr", "Je voudrais réserver une table pour quatre personnes ce soir"),
    ("es", "La casa de mi abuela está cerca del mar y tiene un jardín"),
    ("it", "Domani mattina andiamo insieme al mercato del paese"),
    ("ru", "Завтра утром мы поедем на дачу вместе"),
)
FREE = (
    "the ship left the harbour before anybody could wave goodbye",
    "my grandmother planted seven apple trees behind the barn",
    "nobody believed that the violin had been stolen twice",
    "rain was falling softly on the empty football stadium",
    "she ordered pancakes and a large glass of orange juice",
)


def music(rng: np.random.Generator) -> Wave:
    """Bass, chords, a tune and drums."""
    clock = _clock(rng)
    beat_s, root_hz, wave = rng.uniform(0.2, 0.5), rng.uniform(60, 110), np.zeros_like(clock)
    for at in np.arange(0, clock[-1], beat_s):
        bass, chord, tune = (2 ** (rng.choice(steps) / 12) for steps in ((0, 5, 7), (0, 2, 4, 7, 9), (0, 4, 7, 12)))
        wave += _note(clock, root_hz * bass, at, 0.4)
        wave += 0.5 * _note(clock, 4 * root_hz * chord, at, 0.3) + 0.4 * _note(clock, 8 * root_hz * tune, at, 0.2)
        wave += 1.2 * _fading(clock, at, 0.025) * np.sin(2 * np.pi * 55 * clock)
        wave += 0.3 * _fading(clock, at + beat_s / 2, 0.017) * rng.normal(size=len(clock))
    return wave


def plucked_string(rng: np.random.Generator) -> Wave:
    """One string after another (Karplus and Strong 1983)."""
    wave = np.zeros(len(_clock(rng)))
    for start in range(0, len(wave), int(rng.integers(4_000, 12_000))):
        period = int(SAMPLE_RATE_HZ / rng.uniform(110, 440))
        string = rng.uniform(-1, 1, period)
        for at in range(start, len(wave), period):
            wave[at : at + period] += string[: len(wave) - at]
            string = 0.498 * (string + np.roll(string, 1))
    return wave


def pink_noise(rng: np.random.Generator) -> Wave:
    """Noise that falls by 3 dB an octave."""
    return _coloured(-0.5, rng)


def blue_noise(rng: np.random.Generator) -> Wave:
    """Noise that rises by 3 dB an octave."""
    return _coloured(0.5, rng)


def surf(rng: np.random.Generator) -> Wave:
    """Dull noise that comes and goes."""
    clock = _clock(rng)
    dull = np.convolve(rng.normal(size=len(clock)), np.ones(8) / 8, "same")
    wave: Wave = dull * (1.2 + np.sin(2 * np.pi * rng.uniform(0.3, 1) * clock))
    return wave


def dialling(rng: np.random.Generator) -> Wave:
    """Keys of a telephone, two tones each."""
    clock = _clock(rng)
    wave = np.zeros_like(clock)
    for at in np.arange(0, clock[-1], 0.2):
        pair = rng.choice((697, 770, 852, 941)), rng.choice((1209, 1336, 1477))
        wave += ((clock > at) & (clock < at + 0.12)) * sum(np.sin(2 * np.pi * hertz * clock) for hertz in pair)
    return wave


def birdsong(rng: np.random.Generator) -> Wave:
    """A dozen chirps."""
    clock = _clock(rng)
    wave = np.zeros_like(clock)
    for _ in range(12):
        since = clock - rng.uniform(0, clock[-1])
        turning = rng.uniform(2_500, 6_000) * clock + rng.uniform(2e3, 2e4) * since**2
        wave += np.exp(-((since / 0.03) ** 2)) * np.sin(2 * np.pi * turning)
    return wave


def engine(rng: np.random.Generator) -> Wave:
    """A low hum with thirty overtones and some hiss."""
    clock, hertz = _clock(rng), rng.uniform(25, 60)
    hum = sum(
        rng.uniform(0.3, 1) * np.sin(2 * np.pi * hertz * number * clock + rng.uniform(0, 6)) for number in range(1, 30)
    )
    wave: Wave = hum * (1 + 0.4 * np.sin(np.pi * hertz * clock)) + 0.3 * rng.normal(size=len(clock))
    return wave


def applause(rng: np.random.Generator) -> Wave:
    """Two hundred claps a second."""
    clock = _clock(rng)
    wave = np.zeros(len(clock) + 300)
    for at in rng.integers(0, len(clock), int(200 * clock[-1])):
        wave[at : at + 300] += rng.normal(size=300) * np.exp(-np.arange(300) / 60)
    return wave[: len(clock)]


def crowd(rng: np.random.Generator) -> Sound:
    """Five people at once."""
    voices = [_said(str(rng.choice(FREE)), rng) for _ in range(5)]
    shortest = min(map(len, voices))
    together: Sound = np.sum([voice[:shortest] for voice in voices], axis=0, dtype=np.float32)
    return together


def backwards(rng: np.random.Generator) -> Sound:
    """English speech, the end first."""
    return _said(str(rng.choice(FREE)), rng)[::-1].copy()


def foreign_speech(rng: np.random.Generator) -> Sound:
    """One of five other languages."""
    language, sentence = FOREIGN[int(rng.integers(len(FOREIGN)))]
    return spoken_by(Voice(language, str(rng.choice(UNSEEN_VARIANTS)), 165, int(rng.integers(30, 70))), sentence)


def free_speech(rng: np.random.Generator) -> Sound:
    """English sentences of other words than the tower's, by voices never heard."""
    return _said(str(rng.choice(FREE)), rng)


STRANGE_SOUNDS: dict[str, Maker] = {
    make.__name__: make
    for make in (
        *(music, plucked_string, pink_noise, blue_noise, surf, dialling, birdsong, engine, applause),
        *(crowd, backwards, foreign_speech, free_speech),
    )
}


def strange_sound(kind: str, rng: np.random.Generator) -> Sound:
    """(samples,) of this kind, 1.5 to 3.3 seconds, at some loudness. Raises EncoderUnavailable without espeak-ng."""
    wave = STRANGE_SOUNDS[kind](rng)[: round(3.3 * SAMPLE_RATE_HZ)]
    return np.asarray(wave / np.abs(wave).max() * rng.uniform(0.2, 0.9), dtype=np.float32)


def _said(sentence: str, rng: np.random.Generator) -> Sound:
    return spoken_by(unseen_voice(rng), sentence)


def _clock(rng: np.random.Generator) -> Wave:
    """Seconds from the start, per sample."""
    return np.arange(int(rng.uniform(1.5, 3.3) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def _fading(clock: Wave, at_s: float, for_s: float) -> Wave:
    return np.where(clock > at_s, np.exp(-np.maximum(clock - at_s, 0) / for_s), 0)


def _note(clock: Wave, hertz: float, at_s: float, for_s: float) -> Wave:
    struck = _fading(clock, at_s, for_s) * np.clip(100 * (clock - at_s), 0, 1)
    wave: Wave = struck * sum(np.sin(2 * np.pi * hertz * number * clock) / number**1.3 for number in range(1, 7))
    return wave


def _coloured(power: float, rng: np.random.Generator) -> Wave:
    count = len(_clock(rng))
    rates = np.fft.rfftfreq(count)
    rates[0] = 1.0
    return np.fft.irfft(np.fft.rfft(rng.normal(size=count)) * rates**power, count)
