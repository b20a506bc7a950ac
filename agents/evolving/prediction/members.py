"""How likely each agent belongs to a task's network. Called by ``graphs``.

Two stages: kernel ridge regressions, nearest past tasks and the agents' own descriptions each say their part; gradient
boosting over what they say, and over who usually works with whom, gives one chance. The first stage answers for past
tasks as if it had not seen them (leave-one-out in closed form), so the second learns from honest answers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from agents.evolving.prediction.texts import Alike, voted
from agents.evolving.space import Floats, Ints

CANDIDATES = 15
"""Agents looked at for one task: they hold 97 in 100 of the right ones where this was measured."""
FOLDS = 5
BOOSTING = {"max_iter": 150, "learning_rate": 0.06, "max_leaf_nodes": 15, "l2_regularization": 5.0, "random_state": 0}


@dataclass(frozen=True, slots=True)
class Ranked:
    """(tasks, candidates) each: agents by falling chance of belonging to the task's network."""

    agents: Ints
    chance: Floats


class Regression:
    """Kernel ridge regression of membership on past tasks (Saunders et al. 1998)."""

    def __init__(self, kernel: Floats, members: Floats, penalty: float) -> None:
        inverse = np.linalg.inv(kernel + penalty * np.eye(len(kernel)))
        self._weights = inverse @ members
        self.left_out: Floats = members - self._weights / np.diag(inverse)[:, None]
        """(past tasks, agents): what each past task would be told, had it not been among them."""

    def told(self, kernel: Floats) -> Floats:
        """(tasks, agents), about 0 to 1."""
        told: Floats = kernel @ self._weights
        return told


class Members:
    """The chance of each agent to be in a task's network. ``members`` is (past tasks, agents) of 0 and 1."""

    def __init__(self, past: Alike, cards: Floats, members: Floats) -> None:
        alone = past.without_self()
        self._members = members
        self._count = members.sum(axis=0)
        self._together = (members.T @ members) / (self._count[:, None] + 2.0)
        self._regressions = [
            Regression(past.radial(), members, 0.1),
            Regression(past.words, members, 0.3),
            Regression(np.exp(-2.0 * (1.0 - past.meaning)), members, 0.2),
        ]
        said = [*(one.left_out for one in self._regressions), *self._neighbours(alone), cards]
        self._features, self._agents = self._laid_out(said)
        self._right = np.take_along_axis(members, self._agents, axis=1) > 0
        self._model = _boosted(self._features, self._right)

    def held_out(self, folds: Ints) -> Ranked:
        """The past tasks, each answered by a second stage that was trained without its fold."""
        chance = np.zeros(self._agents.shape)
        for fold in np.unique(folds):
            inside = folds == fold
            chance[inside] = _chance(_boosted(self._features[~inside], self._right[~inside]), self._features[inside])
        return _sorted(self._agents, chance)

    def ranked(self, alike: Alike, cards: Floats) -> Ranked:
        """New tasks. ``cards`` is (tasks, agents): the cosine of the task to the agent's own description."""
        kernels = [alike.radial(), alike.words, np.exp(-2.0 * (1.0 - alike.meaning))]
        told = [one.told(kernel) for one, kernel in zip(self._regressions, kernels, strict=True)]
        features, agents = self._laid_out([*told, *self._neighbours(alike), cards])
        return _sorted(agents, _chance(self._model, features))

    def _neighbours(self, alike: Alike) -> list[Floats]:
        return [voted(alike.blend(), 10, self._members), voted(alike.meaning, 25, self._members)]

    def _laid_out(self, said: list[Floats]) -> tuple[Floats, Ints]:
        """(tasks, candidates, features) and (tasks, candidates): the first opinion chooses the candidates."""
        first = said[0]
        agents = np.argsort(-first, axis=1, kind="stable")[:, :CANDIDATES]
        rows = np.arange(len(first))[:, None]
        likely = np.clip(first, 0.0, 1.0)
        company = likely @ self._together - likely * np.diag(self._together)
        strangers = likely @ (self._together < 0.01)
        leader, second = agents[:, :1], agents[:, 1:2] if agents.shape[1] > 1 else agents[:, :1]
        best = -np.sort(-first, axis=1)[:, :3]
        columns = [
            *(one[rows, agents] for one in (*said, company, strangers)),
            np.broadcast_to(np.arange(agents.shape[1]), agents.shape),
            np.log1p(self._count)[agents],
            *(np.broadcast_to(best[:, place : place + 1], agents.shape) for place in range(best.shape[1])),
            np.broadcast_to(likely.sum(axis=1, keepdims=True), agents.shape),
            self._together[leader, agents],
            self._together[agents, leader],
            self._together[second, agents],
        ]
        return np.stack(columns, axis=-1), agents


def _boosted(features: Floats, right: NDArray[np.bool_]) -> HistGradientBoostingClassifier | float:
    """The second stage; where there is only one answer to learn, that answer."""
    if right.all() or not right.any():
        return float(right.any())
    return HistGradientBoostingClassifier(**BOOSTING).fit(features.reshape(-1, features.shape[-1]), right.ravel())


def _chance(model: HistGradientBoostingClassifier | float, features: Floats) -> Floats:
    if isinstance(model, float):
        return np.full(features.shape[:-1], model)
    chance: Floats = model.predict_proba(features.reshape(-1, features.shape[-1]))[:, 1]
    return chance.reshape(features.shape[:-1])


def _sorted(agents: Ints, chance: Floats) -> Ranked:
    order = np.argsort(-chance, axis=1, kind="stable")
    return Ranked(np.take_along_axis(agents, order, axis=1), np.take_along_axis(chance, order, axis=1))
