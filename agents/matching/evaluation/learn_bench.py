"""``aos bench learn``: learning from the success of whom one chose, as a gateway must. Called by the CLI.

The right agents in the stream are used for one thing: to say whether the agent that was chosen is among them.
"""

import time
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from agents.matching.evaluation import scores
from agents.matching.evaluation.rows import QueryRows
from agents.matching.evaluation.vector_cache import Tell, silent
from agents.matching.learning.bandit import EXPLORE_SHARE, BanditLearner
from agents.matching.learning.cards import Cards
from tensor_layer.ports import Vector

STEPS_AT_ONCE = 10
"""So many tasks are in flight together: feedback arrives so late."""
FIRST, LAST = 500, 5_000
POINTS = 40


@dataclass(frozen=True, slots=True)
class LearnFigures:
    """All shares are 0-1; recall is None where no query is of that kind. ``cold_agents`` None: nobody asked for any."""

    online_first_500: float
    online_last_5000: float
    frozen_recall_at_1: float | None
    warm_recall_at_1: float | None
    cold_recall_at_1: float | None
    curve: tuple[tuple[int, float], ...]
    update_ms: dict[str, float]
    refit_s: tuple[float, ...]
    cold_agents: int | None
    steps: int
    seed: int
    explore_share: float
    explored: float
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, object]:
        """The document that ``--json`` prints."""
        figures: dict[str, object] = {
            "online_first_500": self.online_first_500,
            "online_last_5000": self.online_last_5000,
            "frozen_recall_at_1": self.frozen_recall_at_1,
        }
        if self.cold_agents is not None:
            figures |= {"warm_recall_at_1": self.warm_recall_at_1, "cold_recall_at_1": self.cold_recall_at_1}
        return figures | {
            "curve": [list(point) for point in self.curve],
            "update_ms": self.update_ms,
            "refit_s": list(self.refit_s),
            "cold_agents": self.cold_agents or 0,
            "steps": self.steps,
            "seed": self.seed,
            "explore_share": self.explore_share,
            "explored": self.explored,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Queries with their vectors (queries, d)."""

    rows: QueryRows
    vectors: Vector


def measure(
    cards: Cards,
    stream: Asked,
    test: Asked,
    steps: int,
    seed: int,
    cold: tuple[int, ...] | None = None,
    explore_share: float = EXPLORE_SHARE,
    tell: Tell = silent,
) -> LearnFigures:
    """Walk ``steps`` queries of the stream in an order by seed (a shorter stream several times), then freeze.

    ``cold`` are agents that are never chosen; None where that is not asked.
    """
    never = set(cold or ())
    choosable = np.ones(len(cards), dtype=bool)
    choosable[list(never)] = False
    learner = BanditLearner(cards, choosable=choosable, explore_share=explore_share, seed=seed)
    walk = _Walk(learner, stream, _order(len(stream.rows.queries), steps, seed))
    walk.go(tell)
    learner.refit()
    places = _places(learner, test)
    inside = np.array(test.rows.in_scope)
    is_cold = np.array([bool(set(right) & never) for right in test.rows.gold])
    successes = np.array(walk.successes, dtype=float)
    return LearnFigures(
        online_first_500=float(successes[:FIRST].mean()),
        online_last_5000=float(successes[-LAST:].mean()),
        frozen_recall_at_1=scores.recall_at(places[inside], 1),
        warm_recall_at_1=scores.recall_at(places[inside & ~is_cold], 1) if cold is not None else None,
        cold_recall_at_1=scores.recall_at(places[is_cold], 1) if cold is not None else None,
        curve=_curve(successes),
        update_ms=scores.percentiles_ms(walk.update_s),
        refit_s=tuple(round(seconds, 2) for seconds in walk.refit_s),
        cold_agents=None if cold is None else len(never),
        steps=steps,
        seed=seed,
        explore_share=explore_share,
        explored=float(np.mean(walk.explored)),
        notes=_notes(len(stream.rows.queries), steps, inside, choosable),
    )


class _Walk:
    """The stream, a few tasks at a time."""

    def __init__(self, learner: BanditLearner, stream: Asked, order: np.ndarray) -> None:
        self._learner = learner
        self._stream = stream
        self._order = order
        self.successes: list[bool] = []
        self.explored: list[bool] = []
        self.update_s: list[float] = []
        self.refit_s: list[float] = []

    def go(self, tell: Tell) -> None:
        for start in range(0, len(self._order), STEPS_AT_ONCE):
            self._step(self._order[start : start + STEPS_AT_ONCE])
            tell(min(start + STEPS_AT_ONCE, len(self._order)), len(self._order))

    def _step(self, rows: np.ndarray) -> None:
        vectors = self._stream.vectors[rows]
        texts = tuple(self._stream.rows.queries[row] for row in rows)
        chosen = self._learner.choose(vectors, texts)
        gold = (self._stream.rows.gold[row] for row in rows)
        successes = np.array([agent in right for agent, right in zip(chosen.agents, gold, strict=True)])
        self.successes += successes.tolist()
        self.explored += (chosen.propensities < 0.5).tolist()
        began = time.perf_counter()
        self._learner.learn(vectors, texts, chosen.agents, successes)
        self.update_s.append(time.perf_counter() - began)
        if self._learner.is_due:
            began = time.perf_counter()
            self._learner.refit()
            self.refit_s.append(time.perf_counter() - began)


def _notes(rows: int, steps: int, inside: np.ndarray, choosable: np.ndarray) -> tuple[str, ...]:
    notes = []
    if steps > rows:
        notes.append(f"the stream has {rows} queries: {steps} steps meet each {steps / rows:.3g} times")
    if steps < LAST:
        notes.append(f"fewer than {LAST} steps: online_last_5000 is over all {steps}")
    if not inside.any():
        notes.append("every test query is out of scope: there is no recall")
    if not choosable.any():
        notes.append("every agent is cold: nobody could be chosen, and nothing was learned")
    return tuple(notes)


def _order(rows: int, steps: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rounds = -(-steps // rows)
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:steps]


def _places(learner: BanditLearner, test: Asked) -> np.ndarray:
    ranked = learner.model.rank(test.vectors, test.rows.queries)
    return scores.first_hits(ranked.agents, test.rows.gold)


def _curve(successes: np.ndarray) -> tuple[tuple[int, float], ...]:
    """The share of successes in each of some equal stretches, at the step where the stretch ends."""
    edges = np.linspace(0, len(successes), min(POINTS, len(successes)) + 1).astype(int)
    return tuple((int(end), round(float(successes[start:end].mean()), 4)) for start, end in pairwise(edges))
