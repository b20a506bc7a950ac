"""A window of sound as the audio tower hears it, log-mel frames of a fixed shape: in training and in serving alike."""

import numpy as np
import torch
from numpy.typing import NDArray

from tensor_layer.encoding.mel import HOP_SAMPLES, WINDOW_SAMPLES, log_mel
from tensor_layer.ports import Sound

BANDS = 80
FRAMES = 336
"""A window of 3.36 s. A longer recording is cut in training and heard in several windows when serving."""
FRAMES_SAMPLES = FRAMES * HOP_SAMPLES


def framed(sound: Sound) -> tuple[NDArray[np.float32], int]:
    """((FRAMES, 80) float32 padded with zeros, frames that are filled) of the first 3.36 s of (samples,) float32."""
    heard = sound[:FRAMES_SAMPLES]
    heard = np.pad(heard, (0, max(WINDOW_SAMPLES - len(heard), 0)))
    frames = log_mel(torch.from_numpy(np.ascontiguousarray(heard))[None], BANDS)[0].T.numpy()[:FRAMES]
    padded = np.zeros((FRAMES, BANDS), dtype=np.float32)
    padded[: len(frames)] = frames
    return padded, len(frames)
