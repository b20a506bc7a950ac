"""Sounds become log-mel spectrograms, as Whisper reads them (Radford et al. 2022), without importing whisper.

A parity test holds it to ``whisper.log_mel_spectrogram``. Imports torch.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from tensor_layer.ports import SAMPLE_RATE_HZ

WINDOW_SAMPLES = 400
HOP_SAMPLES = 160
RANGE_LOG10 = 8.0


@cache
def mel_filters(bands: int) -> Tensor:
    """(bands, 201) float32: triangles on Slaney's mel scale, each of area one (Slaney 1998, as in librosa)."""
    frequencies = np.linspace(0, SAMPLE_RATE_HZ / 2, WINDOW_SAMPLES // 2 + 1)
    edges = _hertz(np.linspace(0, _mel(SAMPLE_RATE_HZ / 2), bands + 2))
    slopes = edges[:, None] - frequencies[None]
    widths = np.diff(edges)
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return torch.from_numpy(triangles.astype(np.float32))


def log_mel(sounds: Tensor, bands: int) -> Tensor:
    """(batch, samples) float32 at 16 kHz, at least 201 samples, to (batch, bands, samples // 160) float32."""
    window = torch.hann_window(WINDOW_SAMPLES, device=sounds.device)
    spectrum = torch.stft(sounds, WINDOW_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
    power = spectrum[..., :-1].abs() ** 2
    logs = torch.clamp(mel_filters(bands).to(sounds.device) @ power, min=1e-10).log10()
    logs = torch.maximum(logs, logs.amax(dim=(-2, -1), keepdim=True) - RANGE_LOG10)
    return (logs + 4.0) / 4.0


def _mel(hertz: float) -> float:
    """Slaney's scale: linear below 1 kHz (15 mel), logarithmic above."""
    if hertz < 1000.0:
        return 3.0 * hertz / 200.0
    return 15.0 + 27.0 * float(np.log(hertz / 1000.0)) / float(np.log(6.4))


def _hertz(mels: np.ndarray) -> np.ndarray:
    return np.where(mels < 15.0, 200.0 * mels / 3.0, 1000.0 * np.exp(np.log(6.4) / 27.0 * (mels - 15.0)))
