"""How alike tasks are to what agents say of themselves, by meaning and by words. Called by ``graphs``."""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from agents.evolving.prediction.texts import Tasks
from agents.evolving.space import Floats

LETTERS = r"[a-z]{2,}"
"""Ids are cut at underscores and digits: ``file_write`` says file and write."""


class Cards:
    """``cards`` are the agents' own texts and vectors; how rare a word is, these and past tasks say."""

    def __init__(self, cards: Tasks, past: Tasks) -> None:
        self._vectors = cards.vectors
        self._terms = TfidfVectorizer(token_pattern=LETTERS, stop_words="english", sublinear_tf=True)
        try:
            self._terms.fit([*cards.texts, *past.texts])
            self._words = self._terms.transform(cards.texts)
        except ValueError:  # no words at all
            self._words = None

    def of(self, tasks: Tasks) -> tuple[Floats, Floats]:
        """(tasks, agents) each: cosine of meaning, and of words."""
        meaning = (tasks.vectors @ self._vectors.T).astype(np.float64)
        if self._words is None:
            return meaning, np.zeros_like(meaning)
        words: Floats = (self._terms.transform(tasks.texts) @ self._words.T).toarray()
        return meaning, words
