"""``aos bench route``: the best of interchangeable agents for each prompt, or always the best. Called by the CLI."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.matching.evaluation.json_lines import RowsInvalid
from agents.matching.evaluation.rows import OutcomeRows
from agents.matching.learning import routing
from agents.matching.learning.routing import Prompts, Router

Floats = NDArray[np.float32]
Scores = NDArray[np.float64]

THRIFT = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""What a full price counts against a full score, at the points of the cost-saving curve."""


@dataclass(frozen=True, slots=True)
class RouteFigures:
    """Mean scores over the test prompts."""

    mean_score: float
    best_single: float
    best_single_agent: str
    best_in_hindsight: float
    oracle: float
    random: float
    followed: float
    curve: tuple[dict[str, float], ...]
    cost_basis: str
    seed: int
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The document that ``--json`` prints."""
        return {
            "mean_score": self.mean_score,
            "best_single": self.best_single,
            "oracle": self.oracle,
            "random": self.random,
            "best_single_agent": self.best_single_agent,
            "best_in_hindsight": self.best_in_hindsight,
            "routed_elsewhere": self.followed,
            "curve": list(self.curve),
            "cost_basis": self.cost_basis,
            "seed": self.seed,
            "notes": list(self.notes),
        }


def measure(train: OutcomeRows, test: OutcomeRows, vectors: tuple[Floats, Floats], seed: int) -> RouteFigures:
    """``vectors``: those of the train and of the test prompts. Raises RowsInvalid when no agent is in both.

    Everybody chooses among the agents whose outcome on that prompt is known: the router, the best single agent (the
    next best where it was not tried), the oracle and chance. So no score is made up, and none is taken for a failure.
    """
    agents = sorted({agent for row in train.outcomes for agent in row})
    past = _scaled(_matrix(train, agents).astype(np.float32))
    truth = _matrix(test, agents)
    judged = np.isfinite(truth).any(axis=1).reshape(-1)
    if not judged.any():
        raise RowsInvalid("no agent of the test rows is in the train rows: there is nothing to choose from")
    router = routing.fit(Prompts(vectors[0], train.prompts), past, seed)
    asked = _Asked(Prompts(vectors[1], test.prompts).pick(np.flatnonzero(judged)), truth[judged])
    chosen = router.choose(asked.prompts, available=asked.tried)
    best = router.best_of(asked.tried)
    price, basis = _prices(train, agents, router.levels)
    return RouteFigures(
        mean_score=asked.mean(chosen),
        best_single=asked.mean(best),
        best_single_agent=agents[router.best],
        best_in_hindsight=max(asked.mean(np.where(row, agent, best)) for agent, row in enumerate(asked.tried.T)),
        oracle=float(np.nanmax(asked.truth, axis=1).mean()),
        random=float(np.nanmean(asked.truth, axis=1).mean()),
        followed=float(np.mean(chosen != best)),
        curve=_curve(router, asked, price),
        cost_basis=basis,
        seed=seed,
        notes=(*train.notes, *test.notes, *_gaps(asked.tried, judged)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Test prompts with ``truth`` (prompts, agents), NaN where an agent was not tried; somebody was, on each."""

    prompts: Prompts
    truth: Scores

    @property
    def tried(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.truth)

    def mean(self, chosen: NDArray[np.int64]) -> float:
        """The mean score of who was chosen."""
        return float(self.truth[np.arange(len(chosen)), chosen].mean())


def _gaps(tried: NDArray[np.bool_], judged: NDArray[np.bool_]) -> tuple[str, ...]:
    notes = []
    if not judged.all():
        notes.append(f"{int((~judged).sum())} test prompts have outcomes of unknown agents only: they are left out")
    if not tried.all():
        notes.append(f"{1 - tried.mean():.1%} of the test outcomes are missing: only agents with one are chosen from")
    return tuple(notes)


def _matrix(rows: OutcomeRows, agents: list[str]) -> Scores:
    """(prompts, agents), NaN where an agent was not tried. Agents that are not in ``agents`` are left out."""
    return np.array([[row.get(agent, np.nan) for agent in agents] for row in rows.outcomes], dtype=np.float64)


def _scaled(scores: Floats) -> Floats:
    """The scores within a range of 1: routing knows what an advantage of 0.1 is.

    Scores of 0 to 1 stay as they are.
    """
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    if (low >= 0.0 and high <= 1.0) or high == low:
        return scores
    return (scores / np.float32(high - low)).astype(np.float32)


def _prices(train: OutcomeRows, agents: list[str], levels: Floats) -> tuple[Floats, str]:
    """Each agent's price, 0-1."""
    if all(agent in train.costs for agent in agents):
        costs = np.array([train.costs[agent] for agent in agents], dtype=np.float32)
        return costs / max(float(costs.max()), 1e-9), "costs of the rows, of the dearest agent's"
    why = "the rows do not say the cost of every agent" if train.costs else "the rows carry no costs"
    order = levels.argsort(kind="stable").argsort(kind="stable")
    return (order / max(len(agents) - 1, 1)).astype(np.float32), f"rank by mean score: {why}"


def _curve(router: Router, asked: _Asked, price: Floats) -> tuple[dict[str, float], ...]:
    points = []
    best = router.best_of(asked.tried)
    for thrift in THRIFT:
        chosen = router.choose(asked.prompts, np.float32(thrift) * price, asked.tried)
        points.append(
            {
                "thrift": thrift,
                "cost": round(float(price[chosen].mean()), 4),
                "mean_score": round(asked.mean(chosen), 4),
                "best_single_share": round(float(np.mean(chosen == best)), 4),
            }
        )
    return tuple(points)
