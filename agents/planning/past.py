"""What became of past steps: how long they take, what they cost, how often they come to an answer. Told by the feed.

One tenant's notebook, read by ``estimate`` and by the search for better networks. Without experience it says what its
priors say, so that a fleet nobody has used yet can be planned with.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from schemas.experience import ExperienceRecord
from schemas.network import TASK
from schemas.refinement import PairPast, PlanningPast, SkillPast
from schemas.task import counted

Skill = tuple[str, str]
"""(agent id, skill id)"""

SKILLS_MAX = 1000
PAIRS_MAX = 2000
LAST_STEPS = 32
FADE = 0.98
"""What an outcome still counts after the next one of the same skill: about fifty steps are remembered."""
PRIOR_COUNT = 5.0
"""A skill is judged as if it had so many steps before that went as the tenant's steps usually go."""
USUAL_DONE, USUAL_FAILED = 9.0, 1.0
"""And the stated prior of a tenant without experience: nine of ten steps come to an answer."""
LEAST_USUAL = 0.005
MEASURED_SHARE = 8
"""Spreads are measured again when more than one in so many of the remembered steps are new."""
USUAL_FADE = 0.995
UNMEASURED_MS = 200.0
PRIOR_SPREAD = 1.0
"""Standard deviation of the logarithm of an unmeasured step's time: a factor of 3.6 either way in 8 of 10 cases."""
PRIOR_STEPS = 2.0
Z = 1.2816
"""8 of 10 cases lie within so many standard deviations."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Low, middle and high of something measured in ms or in the fleet's cost unit."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class StepForecast:
    """What the next step of a skill will be like. ``doubt`` is the variance of the log odds of ``reliability``."""

    latency_ms: Spread
    reliability: float
    doubt: float
    cost: Spread | None
    seen: int


@dataclass(slots=True)
class _Steps:
    done: float = 0.0
    failed: float = 0.0
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LAST_STEPS))
    costs: deque[float] = field(default_factory=lambda: deque(maxlen=LAST_STEPS))
    measured: tuple[Spread, Spread | None] | None = None
    """Latency and cost, until enough new steps may have changed them."""
    unmeasured: int = 0

    def add(self, *, ok: bool) -> None:
        self.done, self.failed = self.done * FADE + ok, self.failed * FADE + (not ok)
        self.unmeasured += 1
        if self.unmeasured > len(self.latencies_ms) // MEASURED_SHARE:
            self.measured, self.unmeasured = None, 0


class StepPast:
    """Bounded; the skills that nobody used for longest are forgotten. Not thread-safe: the event loop owns it."""

    def __init__(self) -> None:
        self._skills: OrderedDict[Skill, _Steps] = OrderedDict()
        self._pairs: OrderedDict[tuple[Skill, Skill], list[float]] = OrderedDict()
        self._usual = [USUAL_DONE, USUAL_FAILED]
        self.tasks = 0

    @property
    def usual(self) -> float:
        """The share of the tenant's steps that come to an answer: what is expected of a skill nobody has tried.

        Never certain, however long nothing failed (or succeeded): certainty has no odds.
        """
        share = self._usual[0] / sum(self._usual)
        return min(max(share, LEAST_USUAL), 1.0 - LEAST_USUAL)

    def learn(self, record: ExperienceRecord) -> None:
        """Take in one task's steps."""
        self.tasks += 1
        # A node whose agent failed and whose substitute did it has two outcomes: what was handed on is the latter's.
        steps = counted(record.steps)
        outcomes = {step.node: step for step in sorted(steps, key=lambda step: step.ok)}
        for step in steps:
            past = self._of((step.agent_id, step.skill_id))
            past.add(ok=step.ok)
            self._usual = [self._usual[0] * USUAL_FADE + step.ok, self._usual[1] * USUAL_FADE + (not step.ok)]
            if step.ok:
                past.latencies_ms.append(_short(max(step.latency_ms, 0.01)))
                past.costs.append(_short(step.cost))
        for edge in record.network.edges if record.network else ():
            source, target = outcomes.get(edge.source), outcomes.get(edge.target)
            if edge.source != TASK and source and target:
                pair = ((source.agent_id, source.skill_id), (target.agent_id, target.skill_id))
                self._add_pair(pair, ok=target.ok)

    def step(self, agent_id: str, skill_id: str) -> StepForecast:
        """What the next step of that skill will be like: measured, or the prior where nothing was."""
        past = self._skills.get((agent_id, skill_id)) or _UNTRIED
        if past.measured is None:
            past.measured = _latency(np.asarray(past.latencies_ms)), _cost(past.costs)
        done = past.done + PRIOR_COUNT * self.usual
        failed = past.failed + PRIOR_COUNT * (1.0 - self.usual)
        return StepForecast(
            latency_ms=past.measured[0],
            reliability=done / (done + failed),
            doubt=1.0 / done + 1.0 / failed,
            cost=past.measured[1],
            seen=round(past.done + past.failed),
        )

    def handover(self, source: Skill, target: Skill) -> float:
        """How much better (log odds, -1.5 to 1.5) the target's steps go when that source feeds them; 0 when unknown."""
        pair = self._pairs.get((source, target))
        if pair is None:
            return 0.0
        done, failed = pair
        usual = self.step(*target).reliability
        here = (done + 4.0 * usual) / (done + failed + 4.0)
        return float(np.clip(log_odds(here) - log_odds(usual), -1.5, 1.5))

    def pairs(self) -> Iterable[tuple[Skill, Skill]]:
        """Every pair that was seen."""
        return tuple(self._pairs)

    def snapshot(self, tenant: str, forecasts: Iterable[tuple[float, bool]]) -> PlanningPast:
        """All of it as a message."""
        return PlanningPast(
            tenant=tenant,
            tasks=self.tasks,
            usual=(self._usual[0], self._usual[1]),
            skills={
                f"{agent}.{skill}": SkillPast(
                    done=past.done,
                    failed=past.failed,
                    latencies_ms=tuple(past.latencies_ms),
                    costs=tuple(past.costs),
                )
                for (agent, skill), past in self._skills.items()
            },
            pairs=tuple(
                PairPast(source=".".join(one), target=".".join(other), done=done, failed=failed)
                for (one, other), (done, failed) in self._pairs.items()
            ),
            forecasts=tuple(forecasts),
        )

    def restore(self, stored: PlanningPast) -> None:
        """Take over what another worker wrote down; what is known here already is replaced."""
        self.tasks, self._usual = stored.tasks, list(stored.usual)
        self._skills.clear()
        for name, past in stored.skills.items():
            steps = _Steps(past.done, past.failed)
            steps.latencies_ms.extend(past.latencies_ms)
            steps.costs.extend(past.costs)
            self._skills[_named(name)] = steps
        self._pairs.clear()
        for pair in stored.pairs:
            self._pairs[_named(pair.source), _named(pair.target)] = [pair.done, pair.failed]

    def _of(self, skill: Skill) -> _Steps:
        past = self._skills.setdefault(skill, _Steps())
        self._skills.move_to_end(skill)
        if len(self._skills) > SKILLS_MAX:
            self._skills.popitem(last=False)
        return past

    def _add_pair(self, pair: tuple[Skill, Skill], *, ok: bool) -> None:
        counts = self._pairs.setdefault(pair, [0.0, 0.0])
        counts[0], counts[1] = counts[0] * FADE + ok, counts[1] * FADE + (not ok)
        self._pairs.move_to_end(pair)
        if len(self._pairs) > PAIRS_MAX:
            self._pairs.popitem(last=False)


def log_odds(chance: float) -> float:
    """Of a chance, which is kept a little away from 0 and 1."""
    chance = min(max(chance, 1e-4), 1.0 - 1e-4)
    return math.log(chance / (1.0 - chance))


def _short(value: float) -> float:
    """Four digits of it: more is noise, and would not fit into a message for a large fleet."""
    return float(f"{value:.4g}")


def _cost(costs: "deque[float]") -> Spread | None:
    if not costs:
        return None
    low, middle, high = np.quantile(np.asarray(costs), (0.1, 0.5, 0.9))
    return Spread(float(low), float(middle), float(high))


def _latency(latencies_ms: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Spread:
    """Log-normal, with the prior worth ``PRIOR_STEPS``: few steps give a wide interval, many their own quantiles."""
    logs = np.log(latencies_ms) if len(latencies_ms) else np.zeros(0)
    count = len(logs) + PRIOR_STEPS
    # The middle is the median of what was measured as soon as there is anything: the prior says how wide, not where.
    middle = float(np.median(logs)) if len(logs) else math.log(UNMEASURED_MS)
    variance = (PRIOR_STEPS * PRIOR_SPREAD**2 + float(((logs - middle) ** 2).sum())) / count
    deviation = math.sqrt(variance * (1.0 + 1.0 / count))
    low, high = middle - Z * deviation, middle + Z * deviation
    if len(logs) >= LAST_STEPS // 2:
        low, high = float(np.quantile(logs, 0.1)), float(np.quantile(logs, 0.9))
    return Spread(math.exp(low), math.exp(middle), math.exp(high))


def _named(name: str) -> Skill:
    agent, _, skill = name.partition(".")
    return agent, skill


_UNTRIED = _Steps()
"""The stated prior: nothing was measured."""
