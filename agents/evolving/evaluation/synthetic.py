"""Fleets and tasks made up from a seed, whose true objective is known. Called by ``networks``.

They are made to be deceptive for greed: specialists cost more, some handovers help and others hurt, goals build on each
other, and not everybody reads what the task carries.
"""

import numpy as np

from agents.errors import NoNetworkFits
from agents.evolving.objectives import WEIGHTS, Preference, Problem, problem_of
from agents.evolving.quality import GoalQuality
from agents.evolving.space import SLOTS_MAX, Floats, Space, space_of
from agents.planning.offers import Kinds, Offer
from schemas.parts import Modality

KINDS = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO, Modality.TABLE, Modality.DOCUMENT)
SMALL = 8
GOALS_SMALL, GOALS_LARGE = (2, 3), (4, 6)
"""How many goals the tasks of small and of larger fleets have, at least and at most."""


def made_up(agents: int, seed: int, preference: Preference = Preference.QUALITY) -> tuple[Problem, GoalQuality]:
    """A problem for so many agents, the same for the same seed. The predictor is exact: it is the objective."""
    rng = np.random.default_rng([agents, seed])
    while True:
        try:
            space = _space(agents, rng)
        except NoNetworkFits:
            continue
        if len(space) == agents:
            predictor = _predictor(space, rng)
            return problem_of(space, predictor, WEIGHTS[preference], predictor.skill.shape[1]), predictor


def _space(agents: int, rng: np.random.Generator) -> Space:
    price = np.exp(rng.normal(0.0, 0.7, agents))
    latency_ms = 200.0 * np.exp(rng.normal(0.0, 0.7, agents))
    offers = [_offer(place, float(price[place]), rng) for place in range(agents)]
    task = frozenset({_kind(rng)})
    return space_of(offers, latency_ms.tolist(), task=task, wanted=frozenset({_kind(rng)}), slots=SLOTS_MAX)


def _offer(place: int, price: float, rng: np.random.Generator) -> Offer:
    inputs = _kinds(rng, 3)
    needed = sorted(inputs)[0]
    requires = frozenset({needed}) if rng.random() < 0.5 else frozenset()
    return Offer(f"agent-{place}", "work", inputs, requires, _kinds(rng, 2), cost=price)


def _kind(rng: np.random.Generator) -> Modality:
    return KINDS[int(rng.integers(len(KINDS)))]


def _kinds(rng: np.random.Generator, most: int) -> Kinds:
    """One to ``most`` kinds; half of the skills know text."""
    some = {_kind(rng) for _ in range(int(rng.integers(1, most + 1)))}
    return frozenset(some | {Modality.TEXT} if rng.random() < 0.5 else some)


def _predictor(space: Space, rng: np.random.Generator) -> GoalQuality:
    agents = len(space)
    goals = int(rng.integers(*GOALS_SMALL if agents <= SMALL else GOALS_LARGE, endpoint=True))
    after = np.array([-1, *(int(rng.integers(-1, goal)) for goal in range(1, goals))], dtype=np.int64)
    return GoalQuality(_skills(space, goals, rng), _handovers(agents, rng), rng.dirichlet(np.full(goals, 3.0)), after)


def _skills(space: Space, goals: int, rng: np.random.Generator) -> Floats:
    """Everybody knows a little; each has one or two strengths, greater in those who cost more."""
    skill = rng.normal(-3.0, 0.7, (len(space), goals))
    strong = rng.random((len(space), goals)) < 1.3 / goals
    worth = 0.5 * np.log(np.maximum(space.cost, 1e-6))[:, None]
    return np.where(strong, rng.normal(0.3, 1.0, skill.shape) + worth, skill)


def _handovers(agents: int, rng: np.random.Generator) -> Floats:
    kind = rng.random((agents, agents))
    helps, hurts = rng.uniform(0.5, 2.0, kind.shape), -rng.uniform(0.5, 2.0, kind.shape)
    return np.where(kind < 0.2, helps, np.where(kind < 0.45, hurts, 0.0))
