"""Looks at sounds: duration, channels and loudness, measured on the samples. A decoder of ``inspector``."""

from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from schemas.parts import Modality
from tensor_layer.inspection.content import Content, Damaged, Seen

BLOCK_FRAMES = 65_536
MEASURED_S_MAX = 600.0
"""Loudness is measured on the first ten minutes; of a longer sound the facts say so."""
SILENCE_DBFS = -120.0
RIFF_UNKNOWN_BYTES = 0x7FFF_F000
"""Recorders that stream write sizes from here up because they do not know the size."""


def look_at_audio(content: Content, media_type: str) -> Seen:
    """Decode and measure. Raises Damaged, also for a sound without samples."""
    check_riff_size(content)
    try:
        with content.open() as file, soundfile.SoundFile(file) as sound:
            facts = _facts(sound) | _levels(sound)
    except (RuntimeError, TypeError, ValueError) as error:  # libsndfile's errors are RuntimeErrors
        raise Damaged(
            f"the sound ({media_type}) cannot be decoded: {fault_of(error)}.",
            "Export it again as WAV, FLAC, OGG or MP3.",
        ) from error
    return Seen(Modality.AUDIO, media_type, facts)


def check_riff_size(content: Content) -> None:
    """libsndfile plays what is left of a truncated WAV without a word; its header tells. Raises Damaged."""
    with content.open() as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return
    promised = int.from_bytes(head[4:8], "little") + 8
    if content.size_bytes < promised < RIFF_UNKNOWN_BYTES:
        raise Damaged(
            f"the sound is cut off: its header speaks of {promised} bytes, {content.size_bytes} are there.",
            "Send the whole file.",
        )


def fault_of(error: Exception) -> str:
    """What is wrong with a sound, in libsndfile's words, without its words for our files."""
    said = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return said.rstrip(". ") or type(error).__name__


def _facts(sound: soundfile.SoundFile) -> dict[str, Any]:
    if sound.frames == 0 or sound.samplerate <= 0:
        raise Damaged("the sound has no samples: it lasts 0 s.", "Send a recording with something in it.")
    return {
        "format": sound.format,
        "encoding": sound.subtype,
        "duration_s": round(sound.frames / sound.samplerate, 6),
        "sample_rate_hz": sound.samplerate,
        "channels": sound.channels,
    }


def _levels(sound: soundfile.SoundFile) -> dict[str, Any]:
    wanted = min(sound.frames, int(MEASURED_S_MAX * sound.samplerate))
    peak, energy, frames = 0.0, 0.0, 0
    while frames < wanted:
        block: NDArray[np.float32] = sound.read(min(BLOCK_FRAMES, wanted - frames), dtype="float32", always_2d=True)
        if not len(block):
            raise Damaged(f"the sound is cut off after {frames / sound.samplerate:.3f} s.", "Send the whole file.")
        frames += len(block)
        peak = max(peak, float(np.abs(block).max()))
        energy += float(np.square(block, dtype=np.float64).sum())
    if not np.isfinite(energy):
        raise Damaged("the sound holds samples that are not numbers.", "Export it again.")
    levels: dict[str, Any] = {
        "peak_dbfs": _dbfs(peak),
        "rms_dbfs": _dbfs((energy / (frames * sound.channels)) ** 0.5),
    }
    if wanted < sound.frames:
        levels["measured_s"] = MEASURED_S_MAX
    return levels


def _dbfs(amplitude: float) -> float:
    """Decibels below full scale; digital silence is -120."""
    return round(max(20 * float(np.log10(amplitude)), SILENCE_DBFS), 2) if amplitude > 0 else SILENCE_DBFS
