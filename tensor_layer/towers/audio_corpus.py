"""Which recordings training hears and which are held out, as rendered log-mel frames. Called by ``audio_training``."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tensor_layer.ports import SAMPLE_RATE_HZ, Sound
from tensor_layer.towers.corpus import Corpus, Example, Recipe, Tell, rendered
from tensor_layer.towers.frames import BANDS, FRAMES, framed
from tensor_layer.towers.sentences import split
from tensor_layer.towers.sounds import SOUNDS, made
from tensor_layer.towers.voices import Voice, spoken_by, training_voice, unseen_voice, unseen_voice_and_accent

SPEAKERS_AT_ONCE = 4
"""espeak-ng is a process for each sentence: waiting for one at a time would take most of the time."""
LEAD_IN_S = 0.25
RECORDING_REVISION = 1

LENGTH, CAPTION, GROUP = 0, 1, 2
"""The label columns: frames that are filled, the caption's number, and the number in GROUPS."""
GROUPS = ("unseen_voice", "unseen_voice_and_accent", "unseen_sentence", "sound")


@dataclass(frozen=True, slots=True)
class RecordingCounts:
    """How often each sentence is spoken, and how many of each other sound there are."""

    each_sentence: int = 14
    each_sound: int = 70


@dataclass(frozen=True, slots=True)
class HeldOutCounts:
    """Recordings of each known sentence by unseen voices, and in an unseen accent; of unseen sentences; of sounds."""

    unseen_voice: int = 3
    unseen_accent: int = 1
    unseen_sentence: int = 6
    each_sound: int = 30


Maker = Callable[[np.random.Generator], Sound]
_Planned = tuple[Maker, int, int]


def captions() -> list[str]:
    """Every caption: sentences heard in training, sounds, and last the sentences that are never heard."""
    heard, never = split()
    return [*heard, *SOUNDS, *never]


def training_captions() -> list[str]:
    """The captions that training sees: the first ones of ``captions``."""
    return captions()[: len(split()[0]) + len(SOUNDS)]


def training_recordings(folder: Path, counts: RecordingCounts, seed: int, tell: Tell) -> Corpus:
    """Sentences by training voices, half of them with noise, and sounds. Raises EncoderUnavailable."""
    planned = _spoken(split()[0], counts.each_sentence, training_voice, 0)
    planned += _sounding(counts.each_sound)
    return _corpus("recordings", folder, planned, {"counts": asdict(counts), "seed": seed}, seed, tell)


def held_out_recordings(folder: Path, counts: HeldOutCounts, seed: int, tell: Tell) -> Corpus:
    """Known sentences by voices never heard, sentences never heard, new sounds. Raises EncoderUnavailable."""
    heard, never = split()
    planned = _spoken(heard, counts.unseen_voice, unseen_voice, 0)
    planned += _spoken(heard, counts.unseen_accent, unseen_voice_and_accent, 1)
    planned += _spoken(never, counts.unseen_sentence, unseen_voice, 2)
    planned += _sounding(counts.each_sound)
    return _corpus("held-out-recordings", folder, planned, {"counts": asdict(counts), "seed": seed}, seed, tell)


def recorded(speak: Callable[[], Sound], rng: np.random.Generator) -> Sound:
    """A sentence as a microphone might get it: some silence first, some loudness, in half the cases some noise."""
    speech = speak()
    speech = speech[np.abs(speech).cumsum() > 0] if speech.any() else speech
    lead_in = np.zeros(int(rng.uniform(0, LEAD_IN_S) * SAMPLE_RATE_HZ), dtype=np.float32)
    sound = np.concatenate([lead_in, speech]) * rng.uniform(0.1, 0.9)
    if rng.random() < 0.5:
        loudness = float(np.sqrt(np.mean(sound**2)))
        sound = sound + rng.normal(0, loudness * 10 ** (-rng.uniform(10, 35) / 20), len(sound))
    return np.clip(sound, -1, 1).astype(np.float32)


def _spoken(
    texts: tuple[str, ...], each: int, voice: Callable[[np.random.Generator], Voice], group: int
) -> list[_Planned]:
    numbers = {text: number for number, text in enumerate(captions())}

    def say(text: str, rng: np.random.Generator) -> Sound:
        speaker = voice(rng)
        return recorded(partial(spoken_by, speaker, text), rng)

    return [(partial(say, text), numbers[text], group) for text in texts for _ in range(each)]


def _sounding(each: int) -> list[_Planned]:
    first = len(split()[0])
    group = GROUPS.index("sound")
    return [(partial(made, name), first + at, group) for at, name in enumerate(SOUNDS) for _ in range(each)]


def _corpus(
    name: str, folder: Path, planned: list[_Planned], facts: dict[str, object], seed: int, tell: Tell
) -> Corpus:
    recipe = Recipe(
        name=name,
        examples=len(planned),
        shape=(FRAMES, BANDS),
        dtype="float16",
        label_columns=3,
        captions=tuple(captions()),
        facts={**facts, "revision": RECORDING_REVISION},
    )

    def example(row: int) -> Example:
        make, caption, group = planned[row]
        frames, filled = framed(make(np.random.default_rng((seed, group, row))))
        return frames, (filled, caption, group)

    def examples() -> Iterator[Example]:
        with ThreadPoolExecutor(SPEAKERS_AT_ONCE) as pool:
            yield from pool.map(example, range(len(planned)))

    return rendered(recipe, folder, examples, tell)
