"""The genetic search: mu + lambda over arrays, under DEAP's toolbox. The only module that knows DEAP.

Every operator is registered in a ``base.Toolbox`` and works on the whole population: as written in DEAP's tutorials,
one Python object at a time, the same search takes ten times longer. DEAP's ``Statistics`` and ``Logbook`` follow the
run, ``HallOfFame`` keeps the best of all generations, and ``selNSGA2`` picks the final compromises. Nothing of DEAP's
global state is touched: no ``creator`` class is made, and all chance comes from one numpy generator of our own.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from deap import base, tools

from agents.evolving.genome import Population, drawn
from agents.evolving.neighbourhood import climbed
from agents.evolving.objectives import Objectives, Problem
from agents.evolving.searching import Found, filled, valid_only
from agents.evolving.space import Floats
from agents.evolving.survival import fronts, survivors
from agents.evolving.variation import Rates, crossed, mutated


@dataclass(frozen=True, slots=True)
class GeneticSettings:
    """Shares: ``favourites`` of survivors kept for their worth alone, ``courted`` of parents drawn by worth,
    ``newcomers`` of random networks among the children, ``climbing`` of evaluations spent climbing from the best.
    """

    size: int = 150
    rates: Rates = field(default_factory=Rates)
    favourites: float = 0.5
    courted: float = 0.8
    newcomers: float = 0.1
    climbing: float = 0.9
    familiar: float = 0.5


POOLED = 4
"""For so many generations newcomers are drawn at once."""
ALTERNATIVES_MAX = 16
"""Of the final Pareto front so many are handed back, those farthest apart."""


class GeneticSearch:
    """Implements ``searching.NetworkSearch``. Holds no state between searches; safe to share."""

    def __init__(self, settings: GeneticSettings | None = None) -> None:
        self._settings = settings or GeneticSettings()

    def search(self, problem: Problem, seeds: Population | None, evaluations: int, seed: int) -> Found:
        """Deterministic for a given seed. Fewer than two evaluations are two."""
        evaluations = max(evaluations, 2)
        run = _Run(problem, self._settings, np.random.default_rng(seed), evaluations)
        run.start(seeds)
        while run.evaluations < evaluations * (1.0 - self._settings.climbing):
            run.generation()
        run.climb()
        return run.found()


class _Worth(base.Fitness):  # type: ignore[misc] # DEAP has no types
    """What the hall of fame orders by."""

    weights = (1.0,)


class _Compromise(base.Fitness):  # type: ignore[misc] # DEAP has no types
    """What the final selection compares: quality, cost, critical path."""

    weights = (1.0, -1.0, -1.0)


class _Winner:
    """One network as DEAP wants it: an object with a fitness."""

    __slots__ = ("fitness", "genome")

    def __init__(self, genome: tuple[bytes, bytes], fitness: base.Fitness) -> None:
        self.genome = genome
        self.fitness = fitness

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Winner) and self.genome == other.genome

    def __hash__(self) -> int:
        return hash(self.genome)


class _Run:
    """One search in progress: the population, its objectives, and what DEAP keeps of them."""

    def __init__(self, problem: Problem, settings: GeneticSettings, rng: np.random.Generator, budget: int) -> None:
        self._rng = rng
        self._problem = problem
        self._size = min(settings.size, budget)
        self._budget = budget
        self._courted = settings.courted
        self._toolbox = _toolbox(problem, settings, rng)
        self._familiar = settings.familiar
        self._newcomers = int(self._size * settings.newcomers)
        self._pool = drawn(problem.space, 0, rng)
        self._fame = tools.HallOfFame(1)
        self._statistics = tools.Statistics()
        self._statistics.register("max", np.max)
        self._log = tools.Logbook()
        self.evaluations = 0

    def start(self, seeds: Population | None) -> None:
        """The first population: the seeds, then random networks."""
        self._population: Population = self._toolbox.populate(seeds, self._size)
        self._objectives: Objectives = self._toolbox.evaluate(self._population)
        self._note(self._size)

    def generation(self) -> None:
        """Children compete with their parents for a place."""
        size = min(self._size, self._budget - self.evaluations)
        newcomers = min(self._newcomers, size)
        mothers, fathers = self._parents(size - newcomers), self._parents(size - newcomers)
        children = self._toolbox.mutate(self._toolbox.mate(mothers, fathers), self._chances())
        children = self._toolbox.admit(children.joined(self._immigrants(newcomers)))
        everyone = self._population.joined(children)
        objectives = self._objectives.joined(self._toolbox.evaluate(children))
        rows = self._toolbox.select(objectives)
        self._population, self._objectives = everyone.take(rows), objectives.rows(rows)
        self._note(size)

    def climb(self) -> None:
        """What is left of the budget goes to climbing from the best networks, each to the top of its own hill."""
        by_worth = np.argsort(-self._objectives.worth, kind="stable")
        passed: set[bytes] = set()
        for row in by_worth:
            budget = self._budget - self.evaluations
            if budget <= 0:
                break
            start = self._population.take(slice(row, row + 1))
            top, scores, spent = climbed(self._problem, start, budget, self._rng, passed)
            self._population, self._objectives = self._population.joined(top), self._objectives.joined(scores)
            self._note(spent)

    def found(self) -> Found:
        """The best of all generations and the final Pareto front."""
        best = _genome_of(self._fame[0], self._problem.space.slots)
        rows = fronts(self._objectives.to_minimise(), 1)[0]
        spread = [self._winner(int(row), compromise=True) for row in rows]
        if len(spread) > ALTERNATIVES_MAX:
            spread = tools.selNSGA2(spread, ALTERNATIVES_MAX, nd="log")
        kept = [best, *(_genome_of(winner, self._problem.space.slots) for winner in spread)]
        whole = Population(np.concatenate([one.slots for one in kept]), np.concatenate([one.links for one in kept]))
        return Found(
            best=best,
            objectives=self._problem.objectives(best),
            front=whole,
            front_objectives=self._problem.objectives(whole),
            evaluations=self.evaluations,
            history=tuple(self._log.select("max")),
        )

    def _chances(self) -> Floats:
        """(offers,): who comes in by mutation: half by lot, half as often as they are in the better half by worth."""
        offers = len(self._problem.space)
        better = self._objectives.worth >= np.median(self._objectives.worth)
        slots = self._population.slots[better]
        seen = np.bincount(slots[slots >= 0], minlength=offers)
        share = self._familiar
        chances: Floats = share * seen / seen.sum() + (1.0 - share) / offers
        return chances

    def _immigrants(self, many: int) -> Population:
        """A few random networks, so that the search never ends in one corner; drawn for many generations at once."""
        if len(self._pool) < self._newcomers:
            self._pool = drawn(self._problem.space, POOLED * self._newcomers, self._rng)
        few: Population = self._pool.take(slice(many))
        self._pool = self._pool.take(slice(many, None))
        return few

    def _parents(self, size: int) -> Population:
        """Some by a tournament of two on worth, the others by lot, so that the whole front has children."""
        one, other = self._rng.integers(0, len(self._population), (2, size))
        worth = self._objectives.worth
        courted = self._rng.random(size) < self._courted
        return self._population.take(np.where(courted & (worth[other] > worth[one]), other, one))

    def _note(self, scored: int) -> None:
        self.evaluations += scored
        self._fame.update([self._winner(int(np.argmax(self._objectives.worth)), compromise=False)])
        self._log.record(evaluations=self.evaluations, **self._statistics.compile(self._objectives.worth))

    def _winner(self, row: int, *, compromise: bool) -> _Winner:
        genome = (self._population.slots[row].tobytes(), self._population.links[row].tobytes())
        all_of = self._objectives
        if compromise:
            values = (float(all_of.quality[row]), float(all_of.cost[row]), float(all_of.latency_ms[row]))
            return _Winner(genome, _Compromise(values))
        return _Winner(genome, _Worth((float(all_of.worth[row]),)))


def _toolbox(problem: Problem, settings: GeneticSettings, rng: np.random.Generator) -> Any:  # noqa: ANN401 - DEAP's
    toolbox = base.Toolbox()
    toolbox.register("populate", filled, problem, rng=rng)
    toolbox.register("admit", valid_only, problem)
    toolbox.register("evaluate", problem.objectives)
    toolbox.register("mate", crossed, rates=settings.rates, rng=rng)
    toolbox.register("mutate", mutated, rates=settings.rates, rng=rng)
    toolbox.register("select", survivors, keep=settings.size, favourites=int(settings.size * settings.favourites))
    return toolbox


def _genome_of(winner: _Winner, slots: int) -> Population:
    rows, links = (np.frombuffer(part, dtype=np.int64).reshape(1, slots) for part in winner.genome)
    return Population(rows, links)
