"""Gradient boosting as the second stages use it. Called by ``members`` and ``handovers``."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from agents.evolving.space import Bools, Floats, Ints

SEEDS = (0, 1)
"""Two models that look at different halves of the features are averaged."""
BOOSTING = {
    "max_iter": 200,
    "learning_rate": 0.05,
    "max_leaf_nodes": 15,
    "l2_regularization": 5.0,
    "max_features": 0.5,
    "early_stopping": False,
}


class Boosted:
    """The chance of yes. ``features`` is (…, features), ``right`` (…) of yes and no. Deterministic.

    Where there is only one answer to learn, that answer.
    """

    def __init__(self, features: Floats, right: Bools) -> None:
        self._always = float(right.any())
        self._models: list[HistGradientBoostingClassifier] = []
        if right.any() and not right.all():
            flat = features.reshape(-1, features.shape[-1])
            self._models = [
                HistGradientBoostingClassifier(**BOOSTING, random_state=seed).fit(flat, right.ravel()) for seed in SEEDS
            ]

    def chance(self, features: Floats) -> Floats:
        """The shape of the features but for the last axis."""
        shape = features.shape[:-1]
        if not self._models or not features.size:
            return np.full(shape, self._always)
        flat = features.reshape(-1, features.shape[-1])
        said: Floats = np.mean([model.predict_proba(flat)[:, 1] for model in self._models], axis=0)
        return said.reshape(shape)


def held_out(features: Floats, right: Bools, folds: Ints) -> Floats:
    """The chance for each row (first axis) by a model that was trained without the row's fold."""
    chance = np.zeros(right.shape)
    for fold in np.unique(folds):
        inside = folds == fold
        chance[inside] = Boosted(features[~inside], right[~inside]).chance(features[inside])
    return chance
