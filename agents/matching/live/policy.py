"""One policy at work: everything learned of a tenant's agents, asked for chances and told of outcomes.

Called by ``ranker`` in workers and by the ``learner`` of the evolution role. Both tell it every outcome; only the
learner fits weights, and workers take those from the next snapshot.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.evidence import NO_STEPS, Near, Steps
from agents.matching.live.features import NAMES, Known, Laid, Shown, lay_out, usual_success
from agents.matching.live.forgetting import forget
from agents.matching.live.groups import TaskGroups
from agents.matching.live.own_steps import OwnSteps
from agents.matching.live.past import PastTasks
from agents.matching.live.standings import Standings
from agents.matching.live.trust import claim
from agents.matching.live.weighing import PRIOR_WEIGHTS, Weights, chances
from schemas.audition import is_audition

Floats = NDArray[np.float32]

NEAR_KEPT = 100
BESIDE_THE_PAST_BYTES = 512 * 1_024
"""Groups, standings and the agents' own steps."""
WORTHLESS = 1e-3
"""What an answer counts at least: that there was one is remembered, for people may yet say otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of one agent's step. ``vector`` (dimension,) unit-norm is the task's; ``success`` is 0 to 1.

    ``nearness`` is the cosine of the agent's card; None: the agent was no candidate. ``judged`` is what people said of
    the task's result, 0 to 1.
    """

    task_id: str
    agent_id: str
    vector: Floats
    success: float
    nearness: float | None = None
    words: float = 0.0
    load: float = 0.0
    latency_ms: float = 0.0
    cost: float = 0.0
    propensity: float = 1.0
    judged: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """(candidates,) float32 each: chance of success, and how much evidence for tasks of this kind it rests on."""

    chances: Floats
    laid: Laid

    @property
    def amount(self) -> Floats:
        """See ``Laid.amount``."""
        return self.laid.amount


class LivePolicy:
    """Safe for one thread at a time. An agent that was never met is judged by its card alone."""

    def __init__(self, past: PastTasks, standings: Standings, weights: Weights = PRIOR_WEIGHTS) -> None:
        self.past = past
        self.standings = standings
        self.weights = weights
        self.groups = TaskGroups()
        self.own_steps = OwnSteps()
        self.events = 0
        self.trust = 1.0
        """How far an answer that nobody judged proves its agent right, 0 to 1: as the learner last saw it."""
        self._asked: dict[bytes, Near] = {}
        self._asked_at = 0
        self._dropped = past.dropped

    @classmethod
    def blank(cls, dimension: int) -> "LivePolicy":
        """Before anything happened."""
        return cls(PastTasks(dimension), Standings())

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        # What was looked for keeps a cosine for each row of the past.
        return BESIDE_THE_PAST_BYTES + self.past.size_bytes + 4 * self.past.count * len(self._asked)

    def judge(self, vector: Floats, agent_ids: Sequence[str], shown: Shown, apart_from: str | None = None) -> Judged:
        """The candidates' chances. ``vector`` (dimension,) unit-norm. ``apart_from`` is a task that must not count."""
        numbers = [self.standings.number(agent_id) for agent_id in agent_ids]
        known = np.array([-1 if number is None else number for number in numbers], dtype=np.int64)
        near, apart = self.near(vector), NO_STEPS
        if apart_from is not None:
            near, apart = self.past.without(near, apart_from)
        groups = self.groups.evidence(
            vector, len(self.standings), usual_success(self.standings), apart, self.standings.kept
        )
        laid = lay_out(Known(self.past, self.standings, near, groups, self._said(near, apart)), known, shown)
        return Judged(chances(laid.rows, self.weights), laid)

    def _said(self, near: Near, apart: Steps) -> Floats:
        """(agents,) what each agent's own steps say of it, those ``apart`` not counted."""
        said = np.zeros(len(self.standings), dtype=np.float32)
        heard = self.own_steps.said(near.cosines, self.past.agents, self.past.serials)
        said[: len(heard)] = heard
        np.subtract.at(said, apart.agents, self.own_steps.added(apart.rows, self.past.serials))
        return said

    def look(self) -> None:
        """Look at the agents' own steps and at groups again, as far as enough is new."""
        self.groups.find(self.past, len(self.standings), self.events)
        past, usual = self.past, usual_success(self.standings)
        self.own_steps.look(past.vectors, past.agents, past.outcomes, usual, past.serials)

    def _hear(self, new: int) -> None:
        """So many steps were added to the past."""
        past = self.past
        self.own_steps.hear(past.vectors, past.agents, past.outcomes, min(new, past.count), past.serials)
        self.events += new
        if self._dropped != past.dropped:
            self._dropped = past.dropped
            forget(past, self.standings, self.groups, self.own_steps)

    def near(self, vector: Floats) -> Near:
        """The past tasks most alike; asked again it looks once, for a long past takes a millisecond."""
        asked, key = self._asked_since(), vector.tobytes()
        if key not in asked:
            if len(asked) >= NEAR_KEPT:
                asked.clear()
            asked[key] = self.past.near(vector)
        return asked[key]

    def foresee(self, vectors: Floats) -> None:
        """Look for what lies near these tasks, at most ``NEAR_KEPT``: questions about them then cost a tenth."""
        asked = self._asked_since()
        asked.clear()
        asked.update(zip((vector.tobytes() for vector in vectors), self.past.near_all(vectors), strict=True))

    def _asked_since(self) -> dict[bytes, Near]:
        """What was looked for since the latest outcome."""
        if self._asked_at != self.events:
            self._asked_at = self.events
            self._asked.clear()
        return self._asked

    def forgetful(self) -> "LivePolicy":
        """The same weights without any past: how it judges agents that were never met."""
        return LivePolicy(PastTasks(self.past.dimension, capacity=1), Standings(), self.weights)

    def credit(self, outcome: Outcome) -> float:
        """What the outcome counts, 0 to 1: an answer as people judged it, else, as far as answers are not trusted, as

        the card claims it.
        """
        if outcome.success > 0.0 and outcome.judged is not None:
            return max(outcome.judged, WORTHLESS)
        return outcome.success * (self.trust + (1.0 - self.trust) * claim(outcome.nearness))

    def learn(self, outcome: Outcome) -> None:
        """Counts from the next question on. Some 250 µs in a long past."""
        number, success = self.standings.met(outcome.agent_id), self.credit(outcome)
        self.groups.add(outcome.vector, number, success, float(self.standings.kept[number]))
        self._count(number, success, outcome)
        self.past.add(outcome.task_id, outcome.vector, number, success)
        self._hear(1)

    def learn_all(self, outcomes: Sequence[Outcome]) -> None:
        """As if each were learned by itself, in this order; together each costs 60 to 160 µs."""
        if not outcomes:
            return
        numbers = [self.standings.met(one.agent_id) for one in outcomes]
        kept = self.standings.kept
        counted = [self.credit(one) for one in outcomes]
        for number, success, one in zip(numbers, counted, outcomes, strict=True):
            self._count(number, success, one)
        vectors = np.stack([one.vector for one in outcomes])
        agents = np.array(numbers, dtype=np.int32)
        successes = np.array(counted, dtype=np.float32)
        self.groups.add_all(vectors, agents, successes, len(self.standings), kept)
        self.past.extend([one.task_id for one in outcomes], vectors, agents, successes)
        self._hear(len(outcomes))

    def _count(self, number: int, success: float, outcome: Outcome) -> None:
        # In an audition one agent alone is asked: that says nothing of the others' being forgotten.
        asked = not is_audition(outcome.task_id)
        self.standings.add(number, success, outcome.latency_ms, outcome.cost, passes_over=asked)

    def correct(self, task_id: str, success: float) -> bool:
        """People judged a result: that replaces what its answers looked like. False when nothing changes by it."""
        counted = max(success, WORTHLESS)
        before = self.past.correct(task_id, counted)
        for number, was in before:
            self.standings.correct(number, counted - was)
            self.own_steps.outdate(number)
        self.groups.outdated = self.groups.outdated or bool(before)
        return bool(before)


def named(weights: Weights) -> dict[str, float]:
    """Weights by the names of their features."""
    return dict(zip(NAMES, map(float, weights), strict=True))


def weights_of(names: dict[str, float]) -> Weights:
    """The weights of a snapshot; features that it does not know weigh nothing."""
    return np.array([names.get(name, 0.0) for name in NAMES])
