"""How likely each candidate belongs to a task's network. Called by ``graphs``.

The second stage: what ``candidates`` gathered and ``passages`` read of them becomes one chance by gradient boosting.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from agents.evolving.prediction.boosting import Boosted, held_out
from agents.evolving.prediction.candidates import Opinions
from agents.evolving.prediction.passages import of_agents
from agents.evolving.space import Floats, Ints

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Ranked:
    """(tasks, candidates) each: agents by falling chance of belonging to the task's network.

    ``places`` says where each stood among the candidates.
    """

    agents: Ints
    chance: Floats
    places: Ints


class Members:
    """The chance of each candidate. ``members`` is (past tasks, agents) of 0 and 1.

    ``passages`` is (tasks, candidates, readers, READ): where and how clearly each candidate is spoken of.
    """

    def __init__(self, past: Opinions, passages: Floats, members: sparse.csr_matrix) -> None:
        self._agents, self._features = past.agents, _laid_out(past, passages)
        rows = np.repeat(np.arange(len(past.agents)), past.agents.shape[1])
        self._right = np.asarray(members[rows, past.agents.ravel()]).reshape(past.agents.shape) > 0
        self._model = Boosted(self._features, self._right)

    def held_out(self, folds: Ints) -> Ranked:
        """The past tasks, each answered by a second stage that was trained without its fold."""
        return _sorted(self._agents, held_out(self._features, self._right, folds))

    def ranked(self, opinions: Opinions, passages: Floats) -> Ranked:
        """New tasks."""
        return _sorted(opinions.agents, self._model.chance(_laid_out(opinions, passages)))


def _laid_out(opinions: Opinions, passages: Floats) -> Floats:
    """(tasks, candidates, features)."""
    return np.concatenate([opinions.features, of_agents(passages)], axis=-1)


def _sorted(agents: Ints, chance: Floats) -> Ranked:
    order = np.argsort(-chance, axis=1, kind="stable")
    return Ranked(np.take_along_axis(agents, order, axis=1), np.take_along_axis(chance, order, axis=1), order)
