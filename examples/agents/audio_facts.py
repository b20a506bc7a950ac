"""Sound examiner: duration, loudness, pitch, and what kind of sound it is; measured in sound_measures, said here."""

import io

import numpy as np
import soundfile
from parts import (
    CannotDo,
    Invocation,
    Lacks,
    Part,
    answering,
    bytes_of,
    bytes_output,
    label,
    renamed,
    text_output,
    the_first,
)
from sound_measures import Measures, kind_of, measure, note_of

LONGEST_S = 600


@answering
def run(invocation: Invocation) -> list[Part]:
    """The facts in words; for the spectrogram skill, a picture of the sound."""
    recording = the_first(invocation, "audio", "a recording in WAV, FLAC or OGG")
    samples, rate_hz, channels, encoding = _decoded(recording)
    if invocation.get("skill_id") == "draw_spectrogram":
        picture = _spectrogram(samples.mean(axis=1), rate_hz, label(recording))
        return [bytes_output(picture, "image", "image/png", renamed(recording, "-spectrogram.png", "sound"))]
    found = measure(samples.mean(axis=1), rate_hz)
    width = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
    shape = f"Format: {rate_hz:,} Hz, {width}, {encoding}"
    return [text_output(f"{label(recording)}: {_said(found)}\n{shape}", "sound-facts.txt")]


def _decoded(recording: Part) -> tuple[np.ndarray, int, int, str]:
    """Samples as (frames, channels) float32 between -1 and 1, at most LONGEST_S of them."""
    content = bytes_of(recording)
    if not content:
        raise Lacks(f"{label(recording)} is empty: it has no bytes at all.")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as opened:
            frames = opened.read(LONGEST_S * opened.samplerate, dtype="float32", always_2d=True)
            rate_hz, channels, encoding = opened.samplerate, opened.channels, f"{opened.format} {opened.subtype}"
    except soundfile.LibsndfileError as problem:
        message = f"{label(recording)} is not a sound that can be read. Send it as WAV, FLAC, OGG or MP3."
        raise CannotDo("unreadable", message) from problem
    if not len(frames):
        raise Lacks(f"{label(recording)} has a header and no sound in it.")
    return frames, rate_hz, channels, encoding


def _said(found: Measures) -> str:
    kind, why = kind_of(found)
    lines = [f"{kind}, {found.duration_s:.2f} s", f"Why: {why}"]
    level = f"Loudness: {found.loudness_dbfs:.1f} dBFS (RMS), peak {found.peak_dbfs:.1f} dBFS"
    lines.append(level + (", clipped" if found.clipped else ""))
    if found.pitches_hz and kind not in ("Noise", "Silence"):
        notes = [f"{pitch:.0f} Hz ({note_of(pitch)})" for pitch in found.pitches_hz[:6]]
        lines.append("Pitch: " + ("about " + notes[0] if kind == "Speech-like sound" else ", then ".join(notes)))
    lines.append(f"Silent for {found.silent_share:.0%} of the time")
    if found.tempo_bpm:
        lines.append(f"Tempo: about {found.tempo_bpm:.0f} beats a minute")
    return "\n".join(lines)


def _spectrogram(sound: np.ndarray, rate_hz: int, title: str) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, and only drawings need it
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    padded = np.pad(sound, (0, max(0, 1024 - len(sound)))) + 1e-9
    axes.specgram(padded, NFFT=512, Fs=rate_hz, noverlap=384)
    axes.set(title=title, xlabel="seconds", ylabel="Hz")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
