"""The words that the audio tower can hear. Called by its training and, to size the network, by serving."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tensor_layer.towers.sentences import split
from tensor_layer.towers.sounds import SOUNDS


@cache
def vocabulary() -> tuple[str, ...]:
    """Words of the training sentences, sorted, then the sounds, each as one word. The order is part of the weights."""
    words = {word for sentence in split()[0] for word in sentence.split()}
    return (*sorted(words), *SOUNDS)


KINDS = 1 + len(SOUNDS)
"""Speech, then each sound."""


def kinds_heard(heard: NDArray[np.float32]) -> NDArray[np.int64]:
    """(n, words) logits to (n,) kinds: which sound it is, or 0, speech, when some word is heard more clearly."""
    words, sounds = np.split(heard, [heard.shape[1] - len(SOUNDS)], axis=1)
    kinds: NDArray[np.int64] = np.where(sounds.max(axis=1) > words.max(axis=1), 1 + sounds.argmax(axis=1), 0)
    return kinds


def words_said(caption: str) -> NDArray[np.float32]:
    """(words,) 1.0 where the caption has the word. A sound's caption is one word; unknown words are left out."""
    said = {caption} if caption in SOUNDS else set(caption.split())
    return np.array([float(word in said) for word in vocabulary()], dtype=np.float32)
