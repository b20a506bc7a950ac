"""Which agents may belong to a task's network, and what everybody says of them. Called by ``graphs``.

Kernel ridge regressions, nearest past tasks, agents' own descriptions and who works with whom speak of all agents; what
they say is laid out for a few tasks at a time and kept for the candidates alone: of all tasks and all agents it would
be gigabytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from agents.evolving.prediction.regressions import Regressions, Said
from agents.evolving.prediction.texts import Alike, voted
from agents.evolving.space import Floats, Ints

CANDIDATES = 15
"""Agents looked at for one task: they hold 97 in 100 of the right ones where this was measured."""
LINKING = ("radial", "sequence", "all")
"""The regressions whose links also speak for the agents at their ends."""
STRANGERS = 0.01
"""Who was together in a smaller share of one's tasks is a stranger to it."""


@dataclass(frozen=True, slots=True)
class Opinions:
    """What is said of each task's candidates.

    ``agents`` is (tasks, candidates), ``features`` (tasks, candidates, features); ``links`` and ``orders`` are, by
    regression, (tasks, candidates, candidates).
    """

    agents: Ints
    features: Floats
    links: Mapping[str, Floats]
    orders: Mapping[str, Floats]


def joined(parts: Sequence[Opinions]) -> Opinions:
    """The opinions on all tasks, one part after the other; there is at least one."""

    def of(mappings: list[Mapping[str, Floats]]) -> dict[str, Floats]:
        return {name: np.concatenate([one[name] for one in mappings]) for name in mappings[0]}

    agents, features = [part.agents for part in parts], [part.features for part in parts]
    links, orders = of([part.links for part in parts]), of([part.orders for part in parts])
    return Opinions(np.concatenate(agents), np.concatenate(features), links, orders)


class Candidates:
    """Knows who worked with whom. ``members`` is (past tasks, agents) of 0 and 1."""

    def __init__(self, regressions: Regressions, members: sparse.csr_matrix) -> None:
        self._members, self._regressions = members, regressions
        self._count = np.asarray(members.sum(axis=0)).ravel()
        self._together = (sparse.diags(1.0 / (self._count + 2.0)) @ (members.T @ members)).tocsr()
        self._alone = self._together.diagonal()
        self._known = self._together.copy()
        self._known.data = (self._known.data >= STRANGERS).astype(np.float64)
        rows, shape = np.arange(len(regressions.links)), (len(regressions.links), members.shape[1])
        self._ends = [
            sparse.csr_matrix((np.ones(len(rows)), (rows, regressions.links.pairs[:, end])), shape=shape)
            for end in (0, 1)
        ]

    def of(self, said: Mapping[str, Said], alike: Alike, cards: Sequence[Floats]) -> Opinions:
        """The broadest opinions choose. ``cards`` are (tasks, agents): how alike the task is to what agents say of
        themselves."""
        first = (said["radial"].agents + said["all"].agents) / 2.0
        agents = np.argsort(-first, axis=1, kind="stable")[:, :CANDIDATES]
        rows = np.arange(len(first))[:, None]
        likely = np.clip(first, 0.0, 1.0)
        company = likely @ self._together - likely * self._alone
        strangers = likely.sum(axis=1, keepdims=True) - likely @ self._known
        ends = [np.clip(said[name].links, 0.0, 1.0) @ ends for name in LINKING for ends in self._ends]
        opinions = [*(one.agents for one in said.values()), *ends, *self._neighbours(alike), *cards]
        columns = [
            *(one[rows, agents] for one in (*opinions, company, strangers, first)),
            *self._of_company(agents, likely.sum(axis=1, keepdims=True), -np.sort(-first, axis=1)[:, :4]),
        ]
        pairs = self._regressions
        return Opinions(
            agents,
            np.stack(columns, axis=-1),
            {name: pairs.links.among(one.links, agents) for name, one in said.items()},
            {name: pairs.orders.among(one.orders, agents) for name, one in said.items()},
        )

    def _of_company(self, agents: Ints, likely: Floats, best: Floats) -> list[Floats]:
        """What the task's candidates are among themselves: (tasks, candidates) each."""
        leader, second = agents[:, :1], agents[:, 1:2] if agents.shape[1] > 1 else agents[:, :1]
        return [
            np.broadcast_to(np.arange(agents.shape[1]), agents.shape),
            np.log1p(self._count)[agents],
            *(np.broadcast_to(best[:, place : place + 1], agents.shape) for place in range(best.shape[1])),
            np.broadcast_to(likely, agents.shape),
            self._shared(leader, agents),
            self._shared(agents, leader),
            self._shared(second, agents),
        ]

    def _shared(self, ones: Ints, others: Ints) -> Floats:
        """Of the tasks of each one the share that the other was in too."""
        one, other = np.broadcast_arrays(ones, others)
        return np.asarray(self._together[one.ravel(), other.ravel()]).reshape(one.shape)

    def _neighbours(self, alike: Alike) -> list[Floats]:
        votes = ((alike.blend(), 10), (alike.meaning, 25), (alike.blend(1.0), 5), (alike.blend(), 40))
        return [voted(similarity, count, self._members) for similarity, count in votes]
