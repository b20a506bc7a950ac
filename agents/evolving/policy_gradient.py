"""The reinforcement alternative: chances of agents and links, trained by policy gradient, behind the same port.

As in GPTSwarm (Zhuge et al. 2024) a network is drawn from probabilities of its links, here also of its agents, one
after another until the draw says stop; REINFORCE (Williams 1992) with the batch mean as baseline and Adam (Kingma and
Ba 2015) raises the chance of what was worth more than usual. Called by ``evaluation``.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from agents.evolving.genome import EMPTY, Population, packed_bits, repaired
from agents.evolving.greedy_search import shortest
from agents.evolving.objectives import Problem
from agents.evolving.random_search import found_in, front_and_best
from agents.evolving.searching import Found, valid_only
from agents.evolving.space import Bools, Floats, Ints, Space

WORTHLESS = -1.0
"""What a draw is worth that has no type-correct network in it."""


@dataclass(frozen=True, slots=True)
class GradientSettings:
    """``batch`` networks are drawn for each step of size ``rate``."""

    batch: int = 100
    rate: float = 0.25
    first_stop: float = -1.0


class PolicyGradientSearch:
    """Implements ``searching.NetworkSearch``. Seeds are scored and kept, but do not shape the probabilities."""

    def __init__(self, settings: GradientSettings | None = None) -> None:
        self._settings = settings or GradientSettings()

    def search(self, problem: Problem, seeds: Population | None, evaluations: int, seed: int) -> Found:
        """Deterministic for a given seed."""
        rng = np.random.default_rng(seed)
        policy = _Policy(problem.space, self._settings)
        kept, scores, history, done = None, None, list[float](), 0
        if seeds is not None and len(valid := valid_only(problem, seeds)):
            kept, scores = front_and_best(valid, problem.objectives(valid))
            done = len(valid)
        while done < evaluations:
            draw = policy.draw(min(self._settings.batch, evaluations - done), rng)
            whole, alive = repaired(problem.space, draw.population)
            valid = whole.take(alive)
            scored = problem.objectives(valid)
            worth = np.full(len(alive), WORTHLESS)
            worth[alive] = scored.worth
            policy.learn(draw, worth)
            done += len(alive)
            if kept is not None and scores is not None:
                valid, scored = kept.joined(valid), scores.joined(scored)
            if len(valid):
                kept, scores = front_and_best(valid, scored)
                history.append(float(scores.worth[0]))
        if kept is None or scores is None:  # few draws, and none of them valid
            kept = shortest(problem.space)
            scores = problem.objectives(kept)
        return found_in(kept, scores, done, tuple(history))


@dataclass(frozen=True, slots=True)
class _Draw:
    """Networks as drawn, and for each choice made its surprise: what was chosen less its chance.

    ``agents`` is (batch, offers + 1), the last for stopping. Of links only those that were possible are kept, (links,)
    each: ``rows`` says in which network, ``pairs`` between which offers, as a place in a flat (offers, offers) matrix.
    """

    population: Population
    agents: Floats
    links: Floats
    rows: Ints
    pairs: Ints


class _Policy:
    """Log-odds of choosing each offer next, or to stop, and of each link; Adam moves them."""

    def __init__(self, space: Space, settings: GradientSettings) -> None:
        self._space = space
        self._agents = _Adam(np.zeros(len(space) + 1), settings.rate)
        self._agents.values[-1] = settings.first_stop
        self._links = _Adam(np.zeros(len(space) ** 2), settings.rate)
        self._allowed = space.links_allowed()

    def draw(self, size: int, rng: np.random.Generator) -> _Draw:
        """One batch of networks with the surprise of each choice."""
        slots, surprise = self._agents_drawn(size, rng)
        pairs = slots[:, :, None] * len(self._space) + slots[:, None, :]
        possible = self._allowed.take(pairs, mode="clip") & _both_at_work(slots)
        chance = expit(self._links.values.take(pairs, mode="clip"))
        linked = possible & (rng.random(chance.shape) < chance)
        rows = np.nonzero(possible)[0]
        links = (linked - chance)[possible]
        return _Draw(Population(slots, packed_bits(linked)), surprise, links, rows, pairs[possible])

    def learn(self, draw: _Draw, worth: Floats) -> None:
        """Raise the chances of what was worth more than the batch's mean."""
        advantage = (worth - worth.mean()) / (worth.std() + 1e-9) / len(worth)
        self._agents.step(advantage @ draw.agents)
        raised = np.zeros(self._allowed.size)
        np.add.at(raised, draw.pairs, advantage[draw.rows] * draw.links)
        self._links.step(raised)

    def _agents_drawn(self, size: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
        """Offers in an order in which each can be fed, until the draw stops."""
        space = self._space
        slots = np.full((size, space.slots), EMPTY, dtype=np.int64)
        surprise = np.zeros((size, len(space) + 1))
        have, going = np.full(size, space.task), np.arange(size)
        free = np.ones((size, len(space)), dtype=np.bool_)
        for slot in range(space.slots):
            given = have[going, None]
            ready = free[going] & ((space.inputs & given) != 0) & ((space.requires & ~given) == 0)
            # Nobody stops before the first agent is in.
            may_stop = ~ready.any(axis=1) | (slot > 0)
            chance = _shares(self._agents.values, np.column_stack((ready, may_stop)))
            chosen = _drawn(chance, rng)
            surprise[going] -= chance
            surprise[going, chosen] += 1.0
            going, chosen = going[chosen < len(space)], chosen[chosen < len(space)]
            slots[going, slot] = chosen
            free[going, chosen] = False
            have[going] |= space.outputs[chosen]
        return slots, surprise


def _shares(log_odds: Floats, possible: Bools) -> Floats:
    """(rows, choices): chances by (choices,) log odds, 0 for what is not possible; rows sum to 1."""
    odds = np.where(possible, log_odds, -np.inf)
    odds -= odds.max(axis=1, keepdims=True)
    np.exp(odds, out=odds)
    odds /= odds.sum(axis=1, keepdims=True)
    return odds


def _drawn(chance: Floats, rng: np.random.Generator) -> Ints:
    """(rows,): one choice of each row, with these chances."""
    reached = chance.cumsum(axis=1)
    # Above 0 and at most all there is, so that what has no chance is never drawn.
    wanted = (1.0 - rng.random((len(chance), 1))) * reached[:, -1:]
    chosen: Ints = (reached >= wanted).argmax(axis=1)
    return chosen


def _both_at_work(slots: Ints) -> Bools:
    at_work = slots >= 0
    earlier = ~np.tri(slots.shape[1], dtype=np.bool_)
    both: Bools = at_work[:, :, None] & at_work[:, None, :] & earlier
    return both


class _Adam:
    """Values that climb a gradient."""

    def __init__(self, values: Floats, rate: float) -> None:
        self.values = values
        self._rate = rate
        self._mean, self._square, self._steps = np.zeros_like(values), np.zeros_like(values), 0
        self._spare = np.empty_like(values)

    def step(self, gradient: Floats) -> None:
        """One step upwards."""
        self._steps += 1
        self._mean *= 0.9
        self._square *= 0.999
        self._mean += np.multiply(gradient, 0.1, out=self._spare)
        np.multiply(gradient, gradient, out=self._spare)
        self._spare *= 0.001
        self._square += self._spare
        # The bias of both means is taken out of the whole step at once.
        unbiased = np.sqrt(1.0 - 0.999**self._steps)
        np.sqrt(self._square, out=self._spare)
        self._spare += 1e-8 * unbiased
        np.divide(self._mean, self._spare, out=self._spare)
        self._spare *= self._rate * unbiased / (1.0 - 0.9**self._steps)
        self.values += self._spare
