"""The learning loop in one process, without bus and store: the same ranker, learner and fleet, for quick looks.

Called by ``benchmarks.learning --simulate`` and for tuning. Outcomes count ``LAG_TASKS`` later, as over the bus.
"""

import copy
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.exploring import (
    affordable,
    best_probabilities,
    drawn,
    hopeful_third,
    propensities,
    shortlisted,
)
from agents.matching.live.features import Shown
from agents.matching.live.learner import Learner
from agents.matching.live.policy import LivePolicy, Outcome
from benchmarks.learning_fleet import AGENTS, FleetTruth, Work, agent_name, examples_of, succeeds
from benchmarks.learning_regret import Decision

Floats = NDArray[np.float32]

LAG_TASKS = 8
FIT_EVERY = 100
SHORTLIST = 30
CANDIDATES = 8
SUBSTITUTES = 2
"""A step whose agent fails is given to the next best: its outcomes are learned from too."""


@dataclass(slots=True)
class Run:
    """What was decided, by task number, and the policy as it was when ``watched`` tasks had come."""

    decisions: dict[int, Decision] = field(default_factory=dict)
    watched: LivePolicy | None = None


def card_vectors(vectors: Floats, work: Work, truth: FleetTruth, seed: int) -> list[Floats]:
    """Of each agent the vectors of its card's examples."""
    return [vectors[list(examples_of(work, int(truth.claims[agent]), agent, seed))] for agent in range(AGENTS)]


def simulate(vectors: Floats, work: Work, truth: FleetTruth, seed: int, bound: float, watched: int) -> Run:
    """The learned policy over all tasks. ``watched`` is the task before which a copy of it is kept."""
    cards = card_vectors(vectors, work, truth, seed)
    learner = Learner(LivePolicy.blank(vectors.shape[1]))
    rng = np.random.default_rng([seed, 3])
    waiting: deque[Outcome] = deque()
    run = Run()
    for task, row in enumerate(work.rows):
        if task == watched:
            run.watched = copy.deepcopy(learner.policy)
        vector = vectors[row]
        present = truth.present(task)
        near = np.array([(cards[agent] @ vector).max() for agent in present], dtype=np.float32)
        order = np.argsort(-near)[:SHORTLIST]
        zeros = np.zeros(len(order), dtype=np.float32)
        ids = [agent_name(int(present[place])) for place in order]
        judged = learner.policy.judge(vector, ids, Shown(near[order], zeros, zeros))
        ranked = np.argsort(-judged.chances, kind="stable")
        best = best_probabilities(judged.chances[ranked], judged.amount[ranked], judged.laid.steps[ranked])
        worth = affordable(bound, float(judged.chances[ranked[0]]))
        places = shortlisted(best, CANDIDATES)
        places = [places[at] for at in hopeful_third(best[places])]
        ranked, best = ranked[places], best[places] / best[places].sum()
        shares = propensities(best, worth)
        first = drawn(shares, float(rng.random()))
        place = int(ranked[first])
        chances = truth.strengths(task)[:, work.kinds[row]]
        tried = [place, *(int(one) for one in ranked if one != place)][: 1 + SUBSTITUTES]
        agents = [int(present[order[one]]) for one in tried]
        outcomes = [succeeds(seed, task, agent, float(chances[agent])) for agent in agents]
        asked = outcomes.index(True) + 1 if any(outcomes) else len(outcomes)
        run.decisions[task] = Decision(tuple(int(present[order[one]]) for one in ranked), agents[0])
        waiting.extend(
            Outcome(
                f"t{task}", ids[one], vector, float(done), float(near[order[one]]),
                propensity=float(shares[first]) if one == place else 1.0,
            )
            for one, done in zip(tried[:asked], outcomes[:asked], strict=True)
        )  # fmt: skip
        while len(waiting) > LAG_TASKS:
            learner.learn(waiting.popleft())
        if task % FIT_EVERY == FIT_EVERY - 1:
            learner.fit()
    return run
