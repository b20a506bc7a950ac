"""How likely each agent belongs to a task's network. Called by ``graphs``.

Two stages: kernel ridge regressions, passages of the words, nearest past tasks and the agents' own descriptions each
say their part; gradient boosting over what they say, and over who usually works with whom, gives one chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from agents.evolving.prediction.boosting import Boosted, held_out
from agents.evolving.prediction.passages import of_agents
from agents.evolving.prediction.regressions import Regressions, Said
from agents.evolving.prediction.texts import Alike, voted
from agents.evolving.space import Floats, Ints

CANDIDATES = 15
"""Agents looked at for one task: they hold 97 in 100 of the right ones where this was measured."""
FOLDS = 5
LINKING = ("radial", "sequence", "all")
"""The regressions whose links also speak for the agents at their ends."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """(tasks, candidates) each: agents by falling chance of belonging to the task's network."""

    agents: Ints
    chance: Floats


class Members:
    """The chance of each agent to be in a task's network. ``members`` is (past tasks, agents) of 0 and 1."""

    def __init__(
        self, past: Alike, regressions: Regressions, cards: Sequence[Floats], passages: Floats, members: Floats
    ) -> None:
        self._members = members
        self._ends = regressions.links.pairs
        self._count = members.sum(axis=0)
        self._together = (members.T @ members) / (self._count[:, None] + 2.0)
        self._features, self._agents = self._laid_out(regressions.left_out, past.without_self(), cards, passages)
        self._right = np.take_along_axis(members, self._agents, axis=1) > 0
        self._model = Boosted(self._features, self._right)

    def held_out(self, folds: Ints) -> Ranked:
        """The past tasks, each answered by a second stage that was trained without its fold."""
        return _sorted(self._agents, held_out(self._features, self._right, folds))

    def ranked(self, said: Mapping[str, Said], alike: Alike, cards: Sequence[Floats], passages: Floats) -> Ranked:
        """New tasks. ``cards`` are (tasks, agents): how alike the task is to the agent's own description.

        ``passages`` is (tasks, agents, readers, READ): where and how clearly each agent is spoken of.
        """
        features, agents = self._laid_out(said, alike, cards, passages)
        return _sorted(agents, self._model.chance(features))

    def _neighbours(self, alike: Alike) -> list[Floats]:
        votes = ((alike.blend(), 10), (alike.meaning, 25), (alike.blend(1.0), 5), (alike.blend(), 40))
        return [voted(similarity, count, self._members) for similarity, count in votes]

    def _as_ends(self, links: Floats) -> list[Floats]:
        """(tasks, agents) twice: how much is said for links that leave the agent, and for those that reach it."""
        said = np.clip(links, 0.0, 1.0)
        rows, agents = np.arange(len(self._ends)), self._members.shape[1]
        return [
            said @ sparse.csr_matrix((np.ones(len(rows)), (rows, self._ends[:, end])), shape=(len(rows), agents))
            for end in (0, 1)
        ]

    def _laid_out(
        self, said: Mapping[str, Said], alike: Alike, cards: Sequence[Floats], passages: Floats
    ) -> tuple[Floats, Ints]:
        """(tasks, candidates, features) and (tasks, candidates): the broadest opinions choose the candidates."""
        first = (said["radial"].agents + said["all"].agents) / 2.0
        agents = np.argsort(-first, axis=1, kind="stable")[:, :CANDIDATES]
        rows = np.arange(len(first))[:, None]
        likely = np.clip(first, 0.0, 1.0)
        company = likely @ self._together - likely * np.diag(self._together)
        strangers = likely @ (self._together < 0.01)
        ends = [end for name in LINKING for end in self._as_ends(said[name].links)]
        opinions = [*(one.agents for one in said.values()), *ends, *self._neighbours(alike), *cards]
        leader, second = agents[:, :1], agents[:, 1:2] if agents.shape[1] > 1 else agents[:, :1]
        best = -np.sort(-first, axis=1)[:, :4]
        columns = [
            *(one[rows, agents] for one in (*opinions, company, strangers, first)),
            np.broadcast_to(np.arange(agents.shape[1]), agents.shape),
            np.log1p(self._count)[agents],
            *(np.broadcast_to(best[:, place : place + 1], agents.shape) for place in range(best.shape[1])),
            np.broadcast_to(likely.sum(axis=1, keepdims=True), agents.shape),
            self._together[leader, agents],
            self._together[agents, leader],
            self._together[second, agents],
        ]
        return np.concatenate([np.stack(columns, axis=-1), of_agents(passages[rows, agents])], axis=-1), agents


def _sorted(agents: Ints, chance: Floats) -> Ranked:
    order = np.argsort(-chance, axis=1, kind="stable")
    return Ranked(np.take_along_axis(agents, order, axis=1), np.take_along_axis(chance, order, axis=1))
