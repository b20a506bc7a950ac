"""Bytes become a sound as encoders want it: mono, 16 kHz, float32. Called by ``parts`` in a thread."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from tensor_layer.inspection.audio import check_riff_size, fault_of
from tensor_layer.inspection.content import Content, Damaged, Kind
from tensor_layer.inspection.sniffing import sniff
from tensor_layer.ports import SAMPLE_RATE_HZ, Sound

BLOCK_SAMPLES = 65_536
"""Samples of all channels read at a time: eight channels at 192 kHz need no more memory than one at 8 kHz."""
SECONDS_MAX = 300.0
"""Of a longer sound the beginning speaks for it: ten windows of half a minute, 19 MB."""
RATES_HZ = (1_000, 1_000_000)


def decode_sound(content: bytes | Path, seconds_max: float = SECONDS_MAX) -> Sound:
    """The first ``seconds_max`` seconds, all channels mixed, resampled (soxr, high quality), within [-1, 1] as a rule.

    Raises Damaged for what is no sound, has no samples, or holds NaN or Inf.
    """
    source = Content.of(content)
    check_riff_size(source)
    try:
        with source.open() as file, soundfile.SoundFile(file) as sound:
            _check_format(sound)
            samples = np.concatenate(list(_resampled(sound, seconds_max)))
    except (RuntimeError, TypeError, ValueError) as error:  # libsndfile's errors are RuntimeErrors
        raise _undecodable(source, error) from error
    if not len(samples):
        raise Damaged("the sound has no samples: it lasts 0 s.", "Send a recording with something in it.")
    return samples


def sound_windows(sound: Sound, window_samples: int) -> list[Sound]:
    """Consecutive windows; a last one shorter than a twentieth of a window says too little to count as much."""
    starts = range(0, len(sound), window_samples)
    windows = [sound[start : start + window_samples] for start in starts]
    if len(windows) > 1 and len(windows[-1]) < window_samples // 20:
        windows.pop()
    return windows


def _undecodable(content: Content, error: Exception) -> Damaged:
    sniffed = sniff(content.head())
    if sniffed.kind is not Kind.AUDIO:
        return Damaged(f"it is no sound: its content is {sniffed.name}.", "Send WAV, FLAC, OGG, MP3 or AIFF.")
    return Damaged(
        f"the sound ({sniffed.media_type}) is damaged or cut off: {fault_of(error)}.",
        "Export it again as WAV, FLAC, OGG, MP3 or AIFF.",
    )


def _check_format(sound: soundfile.SoundFile) -> None:
    low, high = RATES_HZ
    if not low <= sound.samplerate <= high:
        raise Damaged(f"the sound has {sound.samplerate} samples a second.", f"Send one of {low} to {high} Hz.")
    if sound.frames == 0:
        raise Damaged("the sound has no samples: it lasts 0 s.", "Send a recording with something in it.")


def _resampled(sound: soundfile.SoundFile, seconds_max: float) -> Iterator[NDArray[np.float32]]:
    stream = soxr.ResampleStream(sound.samplerate, SAMPLE_RATE_HZ, 1, dtype="float32")
    left = min(sound.frames, int(seconds_max * sound.samplerate))
    block_frames = max(1, BLOCK_SAMPLES // sound.channels)
    while left > 0:
        block: NDArray[np.float32] = sound.read(min(block_frames, left), dtype="float32", always_2d=True)
        if not len(block):
            raise Damaged("the sound is cut off.", "Send the whole file.")
        if not np.isfinite(block).all():
            raise Damaged("the sound holds samples that are not numbers.", "Export it again.")
        left -= len(block)
        mono = np.ascontiguousarray(block.mean(axis=1, dtype=np.float32))
        if sound.samplerate == SAMPLE_RATE_HZ:
            yield mono
        else:
            yield np.asarray(stream.resample_chunk(mono, last=left <= 0), dtype=np.float32)
