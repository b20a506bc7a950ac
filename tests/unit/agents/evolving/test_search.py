"""All searches keep the promises of their port; the genetic one finds the optimum and leaves no trace in DEAP."""

import random
import tracemalloc
from dataclasses import replace

import deap.creator
import numpy as np
import pytest
from deap import base, tools
from evolving_fleet import TABLE, TEXT, problem, space

from agents.evolving import exhaustive, policy_gradient
from agents.evolving.decoding import is_valid
from agents.evolving.evaluation import networks
from agents.evolving.evaluation.synthetic import made_up
from agents.evolving.genetic import GeneticSearch, GeneticSettings
from agents.evolving.genome import drawn, repaired
from agents.evolving.greedy_search import GreedySearch, shortest
from agents.evolving.neighbourhood import climbed
from agents.evolving.objectives import Preference
from agents.evolving.policy_gradient import PolicyGradientSearch
from agents.evolving.random_search import RandomSearch
from agents.evolving.survival import crowding, fronts, survivors

SEARCHES = [GeneticSearch(), GreedySearch(), RandomSearch(), PolicyGradientSearch()]
each_search = pytest.mark.parametrize("search", SEARCHES, ids=lambda search: type(search).__name__)


@each_search
def test_the_same_seed_gives_the_same_network(search):
    task, _ = made_up(10, 3)
    one, other = (search.search(task, None, 900, 7) for _ in range(2))
    assert (one.best.slots == other.best.slots).all()
    assert (one.best.links == other.best.links).all()
    assert one.history == other.history


@each_search
def test_everything_handed_back_is_valid_and_scored_as_it_is(search):
    task, _ = made_up(10, 5)
    found = search.search(task, None, 900, 1)
    assert found.worth == task.objectives(found.best).worth[0]
    assert found.front_objectives.worth.tolist() == task.objectives(found.front).worth.tolist()
    assert all(is_valid(task.space, found.front.take(slice(row, row + 1))) for row in range(len(found.front)))
    assert found.evaluations <= 900


@each_search
def test_the_answer_is_never_worse_than_a_seed(search):
    task, _ = made_up(12, 8)
    seed = GeneticSearch().search(task, None, 2000, 0)
    assert search.search(task, seed.best, 200, 1).worth >= seed.worth - 1e-12


class Counting:
    """A predictor that keeps which networks it was asked about."""

    def __init__(self, predictor):
        self._predictor = predictor
        self.asked = set()

    def quality(self, population):
        self.asked |= {
            (tuple(s[s >= 0]), tuple(n[s >= 0])) for s, n in zip(population.slots, population.links, strict=True)
        }
        return self._predictor.quality(population)


@each_search
@pytest.mark.parametrize("evaluations", [50, 51, 137, 300])
@pytest.mark.parametrize("agents", [3, 12, 200])
def test_no_search_scores_more_networks_than_it_may(search, agents, evaluations):
    task, predictor = made_up(agents, 1)
    counting = Counting(predictor)
    found = search.search(replace(task, predictor=counting), None, evaluations, 0)
    assert len(counting.asked) <= evaluations
    assert len(counting.asked) <= found.evaluations <= evaluations


@pytest.mark.parametrize("evaluations", [50, 51, 90, 200])
@pytest.mark.parametrize("agents", [4, 12, 100])
def test_the_bench_gives_every_search_the_same_small_budget(agents, evaluations):
    one = networks.compare(agents, 0, Preference.QUALITY, evaluations)
    trials = (one.genetic, one.greedy, one.random, one.policy_gradient)
    assert max(trial.evaluations for trial in trials) <= evaluations
    assert [trial.valid for trial in trials] == [1.0] * 4


def test_a_search_that_drew_nothing_valid_hands_back_the_shortest_chain(monkeypatch):
    task, _ = made_up(12, 0)
    monkeypatch.setattr(policy_gradient, "repaired", lambda _, drawn: (drawn, np.zeros(len(drawn), dtype=bool)))
    found = PolicyGradientSearch().search(task, None, 60, 0)
    assert is_valid(task.space, found.best)
    assert found.worth == task.objectives(shortest(task.space)).worth[0]


@pytest.mark.parametrize("evaluations", [151, 160, 299, 305])
def test_a_genetic_search_that_never_climbs_uses_its_budget_to_the_last(evaluations):
    task, _ = made_up(8, 1)
    found = GeneticSearch(GeneticSettings(climbing=0.0)).search(task, None, evaluations, 0)
    assert found.evaluations == evaluations


def test_a_batch_of_policy_gradient_takes_no_room_for_links_between_agents_that_were_not_drawn():
    agents = 300
    task, _ = made_up(agents, 0)
    tracemalloc.start()
    PolicyGradientSearch().search(task, None, 100, 0)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    square_bytes = agents * agents * 8
    assert peak_bytes < 25 * square_bytes, "a square for each of the 100 networks was kept"


@each_search
def test_a_fleet_of_one_agent_has_one_network(search):
    alone = space(task=[TEXT], wanted=[TABLE], fleet=[space().offers[3]])
    assert (search.search(problem(alone), None, 50, 0).best.slots >= 0).sum() == 1


@pytest.mark.parametrize("seed", range(2000, 2006))
def test_the_genetic_search_finds_the_optimum_of_small_fleets(seed):
    task, _ = made_up(5, seed)
    best, winner, count = exhaustive.optimum(task)
    found = GeneticSearch().search(task, None, networks.budget_for(5), seed)
    assert count >= 1
    assert task.objectives(winner).worth[0] == pytest.approx(best)
    assert found.worth == pytest.approx(best, abs=1e-9)


def test_nobody_beats_the_exhaustive_optimum():
    task, _ = made_up(6, 12)
    best, _, _ = exhaustive.optimum(task)
    assert all(search.search(task, None, 2000, 1).worth <= best + 1e-12 for search in SEARCHES)


def test_no_global_state_is_touched():
    classes, numbers, legacy = set(vars(deap.creator)), random.getstate(), np.random.get_state()[1].tolist()
    GeneticSearch().search(made_up(8, 1)[0], None, 600, 1)
    assert set(vars(deap.creator)) == classes
    assert random.getstate() == numbers
    assert np.random.get_state()[1].tolist() == legacy


def test_climbing_ends_on_a_hill():
    task, _ = made_up(9, 2)
    start = shortest(task.space)
    top, scores, _ = climbed(task, start, 100_000, np.random.default_rng(0))
    again, same, _ = climbed(task, top, 100_000, np.random.default_rng(1))
    assert scores.worth[0] >= task.objectives(start).worth[0]
    assert same.worth[0] == scores.worth[0]
    assert (again.slots == top.slots).all()


def test_the_shortest_network_is_valid_whatever_the_fleet():
    for seed in range(60):
        task, _ = made_up(1 + seed % 15, seed)
        assert is_valid(task.space, shortest(task.space))


class Individual:
    def __init__(self, values):
        self.fitness = ThreeCosts(values)


class ThreeCosts(base.Fitness):
    weights = (-1.0, -1.0, -1.0)


def test_fronts_and_crowding_are_those_of_deap():
    costs = np.random.default_rng(0).integers(0, 9, (80, 3)).astype(float)
    costs = np.unique(costs, axis=0)
    individuals = [Individual(tuple(row)) for row in costs]
    for ours, theirs in zip(fronts(costs, 80), tools.sortNondominated(individuals, 80), strict=True):
        tools.emo.assignCrowdingDist(theirs)
        assert {tuple(costs[row]) for row in ours} == {one.fitness.values for one in theirs}
        rooms = {one.fitness.values: one.fitness.crowding_dist for one in theirs}
        for row, room in zip(ours, crowding(costs[ours]), strict=True):
            if np.isfinite(room) and np.isfinite(rooms[tuple(costs[row])]):
                assert room == pytest.approx(rooms[tuple(costs[row])], abs=0.7)  # ties are ordered differently


def test_survivors_are_distinct_and_include_the_most_worthy():
    task, _ = made_up(10, 1)
    rng = np.random.default_rng(0)
    whole, alive = repaired(task.space, drawn(task.space, 300, rng))
    scores = task.objectives(whole.take(alive))
    rows = survivors(scores, 50, 10)
    assert len(rows) == len(set(rows.tolist())) <= 50
    assert int(np.argmax(scores.worth)) in rows or scores.worth[rows].max() == scores.worth.max()


def test_the_bench_reports_every_search_beside_the_optimum():
    figures = networks.report(4, range(3), Preference.COST, 600, lambda done, total: None)
    assert figures["optimum_share"] == 1.0
    assert figures["valid_share"] == 1.0
    assert figures["exhaustive"]["feasible"]
    assert figures["greedy"]["worth"] <= figures["worth"] + 1e-9


def test_the_bench_does_not_speak_of_an_optimum_that_nobody_knows():
    figures = networks.report(7, range(1), Preference.QUALITY, 50, lambda done, total: None)
    assert (figures["optimum_share"], figures["exhaustive"]) == (None, {"feasible": False})
    assert figures["regret_against"] == "best of all searches"
    everybody = [figures, *(figures[name] for name in ("greedy", "random", "policy_gradient"))]
    assert max(one["best_share"] for one in everybody) == 1.0
