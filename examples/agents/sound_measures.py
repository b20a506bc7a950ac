"""What can be measured in a sound, and what kind of sound the measures speak of: plain functions, asked by audio_facts.

Pitch by normalised autocorrelation (Boersma 1993, without the interpolation of candidates); noise by spectral flatness
(Johnston 1988); speech by the 2-10 Hz rhythm of syllables (Houtgast and Steeneken 1985) with a voice that moves.
"""

from dataclasses import dataclass

import numpy as np

FRAME_S = 0.032
SILENT_DBFS = -55.0
LOWEST_HZ, HIGHEST_HZ = 60.0, 2000.0
VOICED = 0.6
RISE_DB = 6.0
SAME_NOTE_CENTS = 60.0
NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True, slots=True)
class Measures:
    """Shares are between 0 and 1. ``pitches_hz`` are the successive steady notes; for a voice its median pitch."""

    duration_s: float
    loudness_dbfs: float
    peak_dbfs: float
    clipped: bool
    silent_share: float
    flatness: float
    voiced_share: float
    steady_share: float
    purity: float
    syllables_per_s: float
    pitches_hz: tuple[float, ...]
    tempo_bpm: float | None


def measure(sound: np.ndarray, rate_hz: int) -> Measures:
    """``sound``: (frames,) float32 between -1 and 1, not empty."""
    frames = _frames(sound, rate_hz)
    levels = _dbfs(np.sqrt((frames**2).mean(axis=1)))
    audible = frames[levels > max(SILENT_DBFS, levels.max() - 40)] if levels.max() > SILENT_DBFS else frames[:0]
    pitches, strengths = _pitches(audible, rate_hz)
    voiced = pitches[strengths > VOICED]
    notes, steady_share = _notes(pitches, strengths)
    spectrum = (
        (np.abs(np.fft.rfft(audible * np.hanning(frames.shape[1]), axis=1)) ** 2).mean(axis=0) if len(audible) else None
    )
    rhythm_hz, onsets_s = _rhythm(levels, rate_hz, frames.shape[1])
    return Measures(
        duration_s=len(sound) / rate_hz,
        loudness_dbfs=float(_dbfs(np.sqrt((sound**2).mean()))),
        peak_dbfs=float(_dbfs(np.abs(sound).max())),
        clipped=bool((np.abs(sound) > 0.999).sum() > 3),
        silent_share=float((levels <= SILENT_DBFS).mean()),
        flatness=_flatness(spectrum),
        voiced_share=len(voiced) / max(len(audible), 1),
        steady_share=steady_share,
        purity=_purity(spectrum),
        syllables_per_s=rhythm_hz,
        pitches_hz=tuple(notes) if notes else ((float(np.median(voiced)),) if len(voiced) else ()),
        tempo_bpm=_tempo(onsets_s),
    )


def kind_of(found: Measures) -> tuple[str, str]:
    """The kind of sound, and the measures that say so."""
    if found.loudness_dbfs <= SILENT_DBFS:
        return "Silence", f"nothing is louder than {SILENT_DBFS:.0f} dBFS"
    if found.flatness > 0.4 and found.voiced_share < 0.3:
        return (
            "Noise",
            f"its energy is spread evenly over the spectrum (flatness {found.flatness:.2f}) and it has no pitch",
        )
    if found.steady_share > 0.6 and len(found.pitches_hz) == 1:
        if found.purity > 0.9:
            return "Pure tone", f"one steady pitch holds {found.purity:.0%} of the energy"
        return "Musical note", f"one steady pitch with overtones ({found.purity:.0%} of the energy in the strongest)"
    if found.steady_share > 0.6 and len(found.pitches_hz) > 1:
        return "Music or chime", f"{len(found.pitches_hz)} steady pitches follow each other"
    if found.voiced_share > 0.25 and found.syllables_per_s > 1.5:
        return "Speech-like sound", f"a gliding voice with a rhythm of {found.syllables_per_s:.1f} syllables a second"
    if found.steady_share > 0.35:
        return "Music or chime", f"pitches hold steady for {found.steady_share:.0%} of the time"
    return "Mixed sound", f"neither steadily pitched nor even noise (flatness {found.flatness:.2f})"


def note_of(pitch_hz: float) -> str:
    """The nearest note in equal temperament at A4 = 440 Hz, such as C5."""
    number = round(69 + 12 * np.log2(pitch_hz / 440.0))
    return f"{NOTES[number % 12]}{number // 12 - 1}"


def _dbfs(amplitude: np.ndarray) -> np.ndarray:
    return 20 * np.log10(np.maximum(amplitude, 1e-6))


def _frames(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """Half-overlapping frames, (count, samples)."""
    size = max(64, int(FRAME_S * rate_hz))
    padded = np.pad(sound, (0, max(0, size - len(sound)))).astype(np.float64)
    return np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]


def _pitches(frames: np.ndarray, rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """For each frame its pitch in Hz and how periodic it is (0 to 1): the best peak of the autocorrelation."""
    if not len(frames):
        return np.zeros(0), np.zeros(0)
    size = frames.shape[1]
    centred = frames - frames.mean(axis=1, keepdims=True)
    spectra = np.abs(np.fft.rfft(centred, 2 * size, axis=1)) ** 2
    correlation = np.fft.irfft(spectra, axis=1)[:, :size]
    correlation /= np.maximum(correlation[:, :1], 1e-12) * (1 - np.arange(size) / size)
    low, high = max(2, int(rate_hz / HIGHEST_HZ)), min(int(rate_hz / LOWEST_HZ), int(size * 0.75))
    found = [_first_strong_peak(row, low, high) for row in correlation]
    return np.array([rate_hz / lag for lag, _ in found]), np.array([strength for _, strength in found])


def _first_strong_peak(row: np.ndarray, low: int, high: int) -> tuple[float, float]:
    """The shortest lag whose peak comes near the best one, so that no octave below is taken; parabola for fractions."""
    inner = row[low:high]
    peaks = low + np.flatnonzero((inner > row[low - 1 : high - 1]) & (inner >= row[low + 1 : high + 1]))
    if not len(peaks):
        return float(high), 0.0
    lag = int(peaks[row[peaks] > 0.9 * row[peaks].max()][0])
    before, at, after = row[lag - 1], row[lag], row[lag + 1]
    curve = before - 2 * at + after
    shift = 0.5 * (before - after) / curve if curve else 0.0
    return lag + float(shift), float(min(at, 1.0))


def _notes(pitches: np.ndarray, strengths: np.ndarray) -> tuple[list[float], float]:
    """Pitches that hold for at least four frames in a row, neighbours merged, and the share of frames they fill."""
    notes: list[float] = []
    held = start = 0
    for index in range(1, len(pitches) + 1):
        if index < len(pitches) and strengths[index] > VOICED and _cents(pitches[index], pitches[index - 1]) < 25:
            continue
        if index - start >= 6:
            pitch = float(np.median(pitches[start:index]))
            held += index - start
            if not notes or _cents(pitch, notes[-1]) > SAME_NOTE_CENTS:
                notes.append(pitch)
        start = index
    return notes, held / max(len(pitches), 1)


def _cents(one: float, other: float) -> float:
    return abs(1200 * float(np.log2(one / other)))


def _flatness(spectrum: np.ndarray | None) -> float:
    if spectrum is None:
        return 0.0
    inner = spectrum[1:] + 1e-15
    return float(np.exp(np.log(inner).mean()) / inner.mean())


def _purity(spectrum: np.ndarray | None) -> float:
    """The share of energy within two bins of the strongest one."""
    if spectrum is None or not spectrum.sum():
        return 0.0
    best = int(spectrum.argmax())
    return float(spectrum[max(0, best - 2) : best + 3].sum() / spectrum.sum())


def _rhythm(levels: np.ndarray, rate_hz: int, frame_size: int) -> tuple[float, np.ndarray]:
    """How often the level rises by RISE_DB out of a dip (times a second of sound), and when (s)."""
    step_s = frame_size // 2 / rate_hz
    rises: list[int] = []
    dip = peak = float(levels[0])
    falling = True
    for index, level in enumerate(levels):
        dip, peak = min(dip, level), max(peak, level)
        if falling and level > dip + RISE_DB:
            rises.append(index)
            falling, peak = False, level
        elif not falling and level < peak - RISE_DB:
            falling, dip = True, level
    audible_s = max(float((levels > SILENT_DBFS).sum()) * step_s, step_s)
    return len(rises) / audible_s, np.array(rises) * step_s


def _tempo(onsets_s: np.ndarray) -> float | None:
    """Beats a minute when at least four onsets come at even distances, folded between 60 and 180."""
    gaps = np.diff(onsets_s)
    if len(gaps) < 3 or gaps.std() > 0.12 * gaps.mean():
        return None
    tempo = 60 / float(gaps.mean())
    while tempo > 180:
        tempo /= 2
    return tempo
