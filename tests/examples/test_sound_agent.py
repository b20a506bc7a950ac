"""Sounds are told apart by what is measured in them."""

import base64
import io

import numpy as np
import pytest
import soundfile
from conftest import Ask
from PIL import Image

RATE_HZ = 16_000


def sound(samples: np.ndarray, rate_hz: int = RATE_HZ) -> dict:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="WAV", subtype="PCM_16")
    return {"modality": "audio", "name": "made.wav", "data": base64.b64encode(buffer.getvalue()).decode()}


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("chime.wav", "Music or chime, 2.40 s"),
        ("tone.wav", "Pure tone, 1.50 s"),
        ("speech.wav", "Speech-like sound, 5.91 s"),
        ("rain.wav", "Noise, 2.00 s"),
    ],
)
def test_the_samples_are_identified(ask: Ask, file: str, kind: str):
    assert ask("audio_facts", "Identify this sound", file).text.startswith(f"{file}: {kind}")


def test_the_notes_of_the_chime_are_named_in_order(ask: Ask):
    text = ask("audio_facts", "Which notes?", "chime.wav").text
    assert text.index("(C5)") < text.index("(E5)") < text.index("(G5)")


@pytest.mark.parametrize(("pitch_hz", "note"), [(110.0, "A2"), (261.63, "C4"), (987.77, "B5")])
def test_pitch_and_loudness_are_measured(ask: Ask, pitch_hz: float, note: str):
    seconds = np.arange(RATE_HZ) / RATE_HZ
    text = ask("audio_facts", "What is it?", sound(0.1 * np.sin(2 * np.pi * pitch_hz * seconds))).text
    assert f"({note})" in text
    assert "Loudness: -23.0 dBFS (RMS), peak -20.0 dBFS" in text


def test_silence_is_silence(ask: Ask):
    assert "Silence" in ask("audio_facts", "What is it?", sound(np.zeros(RATE_HZ))).text


def test_even_clicks_have_a_tempo(ask: Ask):
    clicks = 0.0005 * np.random.default_rng(1).normal(size=4 * RATE_HZ)
    for beat in range(8):
        start = int((0.2 + 0.5 * beat) * RATE_HZ)
        clicks[start : start + 800] += 0.5 * np.random.default_rng(beat).normal(size=800).clip(-1, 1)
    assert "Tempo: about 120 beats a minute" in ask("audio_facts", "How fast?", sound(clicks)).text


@pytest.mark.parametrize("samples", [1, 10, 300])
def test_the_shortest_sounds_are_measured_too(ask: Ask, samples: int):
    assert "dBFS" in ask("audio_facts", "What is it?", sound(np.full(samples, 0.1))).text


def test_a_spectrogram_is_a_picture(ask: Ask):
    part = ask("audio_facts", "Draw the spectrogram", "chime.wav", skill="draw_spectrogram").outputs[0]
    assert Image.open(io.BytesIO(base64.b64decode(part["data"]))).size == (800, 400)
