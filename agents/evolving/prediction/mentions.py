"""Where in a task's words each agent is spoken of, 0 first to 1 last: people mostly ask in the order of work.

Called by ``graphs``. A word speaks for an agent as far as a linear model of past tasks says so.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from agents.evolving.space import Floats

UNKNOWN = 0.5
FAINT = 1e-9
STRESS = 1.5
"""The few words that say most decide the place, not the many that say little."""


class Mentions:
    """Learns which words speak for which agent from past tasks; ``members`` is (past tasks, agents) of 0 and 1."""

    def __init__(self, texts: Sequence[str], members: Floats) -> None:
        self._words = TfidfVectorizer(sublinear_tf=True, min_df=2 if len(texts) > 50 else 1)
        try:
            counts = self._words.fit_transform(texts)
        except ValueError:  # no words at all
            self._weights = np.zeros((0, members.shape[1]))
            return
        model = Ridge(alpha=1.0, solver="sparse_cg").fit(counts, members)
        self._weights = np.atleast_2d(model.coef_).T * self._words.idf_[:, None]

    def places(self, texts: Sequence[str]) -> Floats:
        """(texts, agents): the mean place of the words that speak for the agent."""
        if not len(self._weights):
            return np.full((len(texts), self._weights.shape[1]), UNKNOWN)
        return np.stack([self._place(text) for text in texts])

    def _place(self, text: str) -> Floats:
        words = self._words.build_tokenizer()(text.lower())
        known = [
            (place, self._words.vocabulary_[word])
            for place, word in enumerate(words)
            if word in self._words.vocabulary_
        ]
        if not known:
            return np.full(self._weights.shape[1], UNKNOWN)
        places = np.array([place for place, _ in known]) / len(words)
        says = np.maximum(self._weights[[word for _, word in known]], 0.0) ** STRESS + FAINT
        mean: Floats = places @ says / says.sum(axis=0)
        return mean
