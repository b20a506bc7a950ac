"""A second look at each pair, once it is known how likely the other pairs of the task are. Called by ``handovers``.

An agent mostly feeds one other: what speaks for one of its links speaks against the rest, and for the way round.
"""

import numpy as np

from agents.evolving.prediction.boosting import Boosted, held_out
from agents.evolving.space import Bools, Floats, Ints


class Reconsidered:
    """The mean of the first look and of what it says together with those at the other pairs.

    Learns from first looks that were held out: ``first`` is (tasks, k, k), ``ends`` (tasks, k) the chance of each agent
    to be there at all, ``pairs`` (k, k) marks those that are looked at.
    """

    def __init__(self, first: Floats, ends: Floats, right: Bools, pairs: Bools) -> None:
        self._first, self._right, self._pairs = first, right, pairs
        self._features = _laid_out(first, ends)
        self._model = Boosted(self._features[:, pairs], right[:, pairs])

    def held_out(self, folds: Ints) -> Floats:
        """The past tasks, each by a model that was trained without its fold."""
        return self._mean(self._first, held_out(self._features[:, self._pairs], self._right[:, self._pairs], folds))

    def chances(self, first: Floats, ends: Floats) -> Floats:
        """New tasks."""
        return self._mean(first, self._model.chance(_laid_out(first, ends)[:, self._pairs]))

    def _mean(self, first: Floats, second: Floats) -> Floats:
        mean = first.copy()
        mean[:, self._pairs] = (first[:, self._pairs] + second) / 2.0
        return mean


def best_other(said: Floats, axis: int) -> Floats:
    """For each pair the most that is said of another pair with the same target (axis 1) or source (axis 2)."""
    falling = -np.sort(-said, axis=axis)
    best, second = (np.take(falling, [min(place, said.shape[axis] - 1)], axis=axis) for place in (0, 1))
    return np.where(said >= best, second, best)


def _laid_out(first: Floats, ends: Floats) -> Floats:
    """(tasks, k, k, features)."""
    back = first.swapaxes(1, 2)
    through = (first[:, :, None, :] * back[:, None, :, :]).max(axis=-1)
    touched = first.sum(axis=1) + first.sum(axis=2)
    columns = [first, back, *(best_other(said, axis) for said in (first, back) for axis in (1, 2))]
    columns += [through, through.swapaxes(1, 2)]
    columns += [first.sum(axis=(1, 2))[:, None, None], first.max(axis=(1, 2))[:, None, None]]
    columns += [of_agent for agents in (ends, touched) for of_agent in (agents[:, :, None], agents[:, None, :])]
    return np.stack([np.broadcast_to(column, first.shape) for column in columns], axis=-1)
