"""What a network is worth, checked against plain Python over the same graph."""

import networkx
import numpy as np
import pytest

from agents.evolving.evaluation.synthetic import made_up
from agents.evolving.genome import drawn, link_matrix, repaired
from agents.evolving.objectives import WEIGHTS, Preference
from agents.evolving.quality import UNPREPARED, GoalQuality, ancestors


def networks(agents=9, seed=4, size=40):
    problem, predictor = made_up(agents, seed)
    whole, alive = repaired(problem.space, drawn(problem.space, size, np.random.default_rng(seed)))
    return problem, predictor, whole.take(alive)


def graph_of(population, row):
    graph = networkx.DiGraph()
    graph.add_nodes_from(int(slot) for slot in np.flatnonzero(population.slots[row] >= 0))
    graph.add_edges_from(zip(*map(np.ndarray.tolist, np.nonzero(link_matrix(population)[row])), strict=True))
    return graph


def test_the_critical_path_is_the_longest_chain():
    problem, _, population = networks()
    found = problem.critical_path_ms(population)
    for row in range(len(population)):
        graph, takes = graph_of(population, row), problem.space.latency_ms[population.slots[row]]
        ends = {}
        for node in networkx.topological_sort(graph):
            ends[node] = takes[node] + max((ends[before] for before in graph.predecessors(node)), default=0.0)
        assert found[row] == pytest.approx(max(ends.values()))


def test_the_cost_is_that_of_everybody_at_work():
    problem, _, population = networks()
    for row, cost in enumerate(problem.cost(population)):
        at_work = population.slots[row][population.slots[row] >= 0]
        assert cost == pytest.approx(problem.space.cost[at_work].sum())


def test_ancestors_are_those_of_the_graph():
    _, _, population = networks()
    bits = ancestors(population.links)
    for row in range(len(population)):
        graph = graph_of(population, row)
        for node in graph:
            assert {t for t in graph if bits[row, node] >> t & 1} == networkx.ancestors(graph, node)


def test_quality_is_the_noisy_or_over_agents_and_the_geometric_mean_over_goals():
    _, predictor, population = networks()
    found = predictor.quality(population)
    for row in range(len(population)):
        assert found[row] == pytest.approx(slow_quality(predictor, population, row))


def slow_quality(predictor: GoalQuality, population, row):
    graph, offers = graph_of(population, row), population.slots[row]
    chances: dict[tuple[int, int], float] = {}
    quality = 1.0
    for goal, earlier in enumerate(predictor.after):
        missed = 1.0
        for node in graph:
            handed = sum(predictor.handover[offers[before], offers[node]] for before in graph.predecessors(node))
            chance = 1.0 / (1.0 + np.exp(-predictor.skill[offers[node], goal] - handed))
            if earlier >= 0:
                upstream = 1.0 - np.prod([1.0 - chances[one, earlier] for one in networkx.ancestors(graph, node)])
                chance *= UNPREPARED + (1.0 - UNPREPARED) * upstream
            chances[node, goal] = chance
            missed *= 1.0 - chance
        quality *= (1.0 - missed) ** predictor.importance[goal]
    return quality


def test_the_tenants_preference_decides_what_counts():
    quality, cost, latency = WEIGHTS[Preference.QUALITY], WEIGHTS[Preference.COST], WEIGHTS[Preference.LATENCY]
    assert cost.cost > quality.cost
    assert latency.latency > quality.latency


def test_a_goal_that_builds_on_a_later_one_is_refused():
    with pytest.raises(ValueError, match="earlier"):
        GoalQuality(np.zeros((1, 2)), np.zeros((1, 1)), np.array([0.5, 0.5]), np.array([1, -1]))
