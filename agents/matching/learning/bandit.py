"""Learns from whom it chose: only the chosen agent's success is seen. Called by ``aos bench learn``.

A choice is greedy but for a bounded share of exploration, in which an agent is drawn by its chance of being right
(probability matching, Thompson 1933); the propensity of every choice is known exactly. What happened is remembered at
once, for and against the agent; what generalises from it is fitted anew, in batch, each time the memory has grown by
``REFIT_GROWTH``, which a deployment does in another process.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.matching.learning.cards import Cards
from agents.matching.learning.model import MatchModel, train
from agents.matching.learning.solved import Solved, joined

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Truths = NDArray[np.bool_]

EXPLORE_SHARE = 0.05
FIRST_REFIT = 100
REFIT_GROWTH = 1.6
PLACES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """``agents`` (queries,), -1 where nobody may be chosen, each with its propensity (queries,)."""

    agents: Rows
    propensities: Floats


class BanditLearner:
    """For one thread. ``choosable`` (agents,) says who may be chosen; everybody is ranked all the same."""

    def __init__(
        self, cards: Cards, *, choosable: Truths | None = None, explore_share: float = EXPLORE_SHARE, seed: int = 0
    ) -> None:
        self._cards = cards
        self._choosable = np.ones(len(cards), dtype=bool) if choosable is None else choosable
        self._explore_share = explore_share
        self._seed = seed
        self._rng = np.random.default_rng(seed)
        self._learned = Solved(np.zeros((0, cards.both.shape[1]), dtype=np.float32), (), ())
        self._recent: list[Solved] = []
        self._events = 0
        self._refit_at = float(FIRST_REFIT)
        self.model = MatchModel.untrained(cards)

    @property
    def is_due(self) -> bool:
        """Whether enough is new to fit again."""
        return self._events >= self._refit_at

    def choose(self, vectors: Floats, texts: tuple[str, ...]) -> Choices:
        """One agent for each query."""
        ranked = self.model.rank(vectors, texts, PLACES)
        chances = np.where(self._choosable[ranked.agents], ranked.chances + 1e-9, 0.0)
        matching = chances / np.maximum(chances.sum(axis=1, keepdims=True), 1e-30)
        propensities = self._explore_share * matching
        greedy = (np.arange(len(texts)), (chances > 0).argmax(axis=1))
        propensities[greedy] += 1.0 - self._explore_share
        drawn = (propensities.cumsum(axis=1) > self._rng.random((len(texts), 1))).argmax(axis=1)
        places = (np.arange(len(texts)), drawn)
        nobody = ~chances.any(axis=1)
        return Choices(
            np.where(nobody, -1, ranked.agents[places]),
            np.where(nobody, 0.0, propensities[places]).astype(np.float32),
        )

    def learn(self, vectors: Floats, texts: tuple[str, ...], agents: Rows, successes: Truths) -> None:
        """Remember what the chosen agents made of the queries. Milliseconds; counts from the next choice on."""
        chosen = [(int(agent),) if agent >= 0 else () for agent in agents]
        solved = tuple(agent if success else () for agent, success in zip(chosen, successes, strict=True))
        failed = tuple(() if success else agent for agent, success in zip(chosen, successes, strict=True))
        self._recent.append(Solved(vectors, texts, solved, failed))
        self._events += len(texts)
        if self.model.experienced:
            self._recent = [joined(self._recent)]
            self.model = replace(self.model, featuriser=self.model.featuriser.with_recent(self._recent[0]))

    def refit(self, *, with_scope: bool = False) -> None:
        """Fit everything anew from all that is remembered. Seconds."""
        self._learned = self.experience
        self._recent = []
        self.model = train(self._cards, self._learned, self._seed, with_scope=with_scope)
        self._refit_at = max(self._refit_at, self._events) * REFIT_GROWTH

    @property
    def experience(self) -> Solved:
        """All events so far."""
        return joined([self._learned, *self._recent])
