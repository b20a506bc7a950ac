"""``aos bench route``: the best of interchangeable agents for each prompt, or always the best. Called by the CLI."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.matching.evaluation.rows import OutcomeRows, RowsInvalid
from agents.matching.learning import routing
from agents.matching.learning.routing import Prompts, Router

Floats = NDArray[np.float32]

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
        }


def measure(train: OutcomeRows, test: OutcomeRows, vectors: tuple[Floats, Floats], seed: int) -> RouteFigures:
    """``vectors``: those of the train and of the test prompts. Raises RowsInvalid when no agent is in both."""
    agents = sorted({agent for row in train.outcomes for agent in row})
    if not {agent for row in test.outcomes for agent in row} & set(agents):
        raise RowsInvalid("no agent of the test rows is in the train rows: there is nothing to choose from")
    router = routing.fit(Prompts(vectors[0], train.prompts), _matrix(train, agents), seed)
    truth = _matrix(test, agents)
    prompts = Prompts(vectors[1], test.prompts)
    chosen = router.choose(prompts)
    price, basis = _prices(train, agents)
    hindsight = np.nanmean(np.where(np.isnan(truth).all(axis=0), 0.0, truth), axis=0)
    return RouteFigures(
        mean_score=_mean(truth, chosen),
        best_single=_mean(truth, np.full(len(truth), router.best)),
        best_single_agent=agents[router.best],
        best_in_hindsight=float(hindsight.max()),
        oracle=float(np.nanmax(np.where(np.isnan(truth).all(axis=1, keepdims=True), 0.0, truth), axis=1).mean()),
        random=float(np.nanmean(truth)),
        followed=float(np.mean(chosen != router.best)),
        curve=_curve(router, prompts, truth, price),
        cost_basis=basis,
        seed=seed,
    )


def _matrix(rows: OutcomeRows, agents: list[str]) -> Floats:
    """(prompts, agents), NaN where an agent was not tried. Agents that are not in ``agents`` are left out."""
    return np.array([[row.get(agent, np.nan) for agent in agents] for row in rows.outcomes], dtype=np.float32)


def _mean(truth: Floats, chosen: NDArray[np.int64]) -> float:
    """What was chosen but never tried on a prompt counts as a failure: nobody knows better."""
    return float(np.nan_to_num(truth[np.arange(len(truth)), chosen], nan=0.0).mean())


def _prices(train: OutcomeRows, agents: list[str]) -> tuple[Floats, str]:
    """Each agent's price, 0-1."""
    if all(agent in train.costs for agent in agents):
        costs = np.array([train.costs[agent] for agent in agents], dtype=np.float32)
        return costs / max(float(costs.max()), 1e-9), "costs of the rows, of the dearest agent's"
    order = np.nanmean(_matrix(train, agents), axis=0).argsort().argsort()
    return (order / max(len(agents) - 1, 1)).astype(np.float32), "rank by mean score: the rows carry no costs"


def _curve(router: Router, prompts: Prompts, truth: Floats, price: Floats) -> tuple[dict[str, float], ...]:
    points = []
    for thrift in THRIFT:
        chosen = router.choose(prompts, np.float32(thrift) * price)
        points.append(
            {
                "thrift": thrift,
                "cost": round(float(price[chosen].mean()), 4),
                "mean_score": round(_mean(truth, chosen), 4),
                "best_single_share": round(float(np.mean(chosen == router.best)), 4),
            }
        )
    return tuple(points)
