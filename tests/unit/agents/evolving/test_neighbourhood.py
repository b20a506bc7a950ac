"""Everything one change away from a network is looked at, though not every way to it; climbs do not climb twice."""

import numpy as np
import pytest

from agents.evolving.changes import moves
from agents.evolving.evaluation.synthetic import made_up
from agents.evolving.genome import EMPTY, Population, drawn, link_matrix, ordered, repaired
from agents.evolving.greedy_search import shortest
from agents.evolving.neighbourhood import Neighbourhood, climbed


def some_networks(agents, seed, many=6):
    problem, _ = made_up(agents, seed)
    whole, alive = repaired(problem.space, drawn(problem.space, 40, np.random.default_rng(seed)))
    networks = whole.take(alive)
    return problem, [networks.take(slice(row, row + 1)) for row in range(min(many, len(networks)))]


def names(space, population):
    return {Neighbourhood(space, population.take(slice(row, row + 1))).name for row in range(len(population))}


def one_change_away(space, network):
    """In plain Python: agents in order with their links as pairs, after each change that there is, not yet repaired."""
    agents = [int(offer) for offer in network.slots[0] if offer != EMPTY]
    pairs = {(agents[t], agents[s]) for t, s in linked_slots(network)}
    idle = [offer for offer in range(len(space)) if offer not in agents]
    for place, one in enumerate(agents):
        for other in agents[:place]:
            yield agents, pairs ^ {(other, one)}
            swapped = {one: other, other: one}
            yield [swapped.get(a, a) for a in agents], {(swapped.get(a, a), swapped.get(b, b)) for a, b in pairs}
        if len(agents) > 1:
            read = {a for a, b in pairs if b == one}
            bridged = {(a, b) for a in read for b in agents if (one, b) in pairs}
            yield [a for a in agents if a != one], {p for p in pairs if one not in p} | bridged
        for new in idle:
            swapped = {one: new}
            yield [swapped.get(a, a) for a in agents], {(swapped.get(a, a), swapped.get(b, b)) for a, b in pairs}
        for there in range(len(agents)):
            moved = [a for a in agents if a != one]
            moved.insert(there, one)
            yield moved, {p if moved.index(p[0]) < moved.index(p[1]) else p[::-1] for p in pairs}
    for there in range(len(agents) + 1 if len(agents) < space.slots else 0):
        before, after = agents[:there], agents[there:]
        for new in idle:
            yield [*before, new, *after], pairs | {(a, new) for a in before[-1:]} | {(new, a) for a in after[:1]}
            yield [*before, new, *after], pairs | {(a, new) for a in before} | {(new, a) for a in after}


def linked_slots(network):
    packed = ordered(network.slots, link_matrix(network), np.arange(network.slots.shape[1], dtype=float)[None])
    return zip(*map(np.ndarray.tolist, np.nonzero(link_matrix(packed)[0])), strict=True)


def genome(space, agents, pairs):
    slots, links = np.full((1, space.slots), EMPTY), np.zeros((1, space.slots), dtype=np.int64)
    slots[0, : len(agents)] = agents
    for source, target in pairs:
        links[0, agents.index(target)] |= 1 << agents.index(source)
    return Population(slots, links)


def needs_no_repair(space, network):
    whole, alive = repaired(space, network)
    return alive[0] and (whole.slots == network.slots).all() and (whole.links == network.links).all()


@pytest.mark.parametrize(("agents", "seed"), [(3, 0), (5, 1), (9, 2), (13, 3), (20, 4)])
def test_every_type_correct_network_one_change_away_is_looked_at(agents, seed):
    problem, networks = some_networks(agents, seed)
    space, right = problem.space, 0
    for network in networks:
        hood = Neighbourhood(space, network)
        looked_at = {hood.name} | names(space, hood.around(np.arange(len(space))))
        for change in one_change_away(space, network):
            neighbour = genome(space, *change)
            if needs_no_repair(space, neighbour):
                right += 1
                assert names(space, neighbour) <= looked_at
    assert right >= 5 * agents


def test_of_newcomers_only_all_have_a_stranger_at_work():
    problem, networks = some_networks(12, 5)
    for network in networks:
        strangers = np.setdiff1d(np.arange(12), network.slots)[:3]
        around = Neighbourhood(problem.space, network).around(strangers, newcomers_only=True)
        assert np.isin(around.slots, strangers).any(axis=1).all()


def test_a_name_is_that_of_the_network_whatever_its_spelling():
    space = made_up(8, 6)[0].space
    slots, links = np.full((3, space.slots), EMPTY), np.zeros((3, space.slots), dtype=np.int64)
    slots[:, :4] = [[1, 4, 6, 0], [4, 1, 6, 0], [4, 1, 6, 0]]
    links[:, :4] = [[0, 0, 0b01, 0b110], [0, 0, 0b10, 0b101], [0, 0, 0b01, 0b101]]
    one, same, other = (
        Neighbourhood(space, Population(slots, links).take(slice(row, row + 1))).name for row in range(3)
    )
    assert one == same
    assert one != other


def test_a_climb_ends_where_an_earlier_one_came_by():
    problem, _ = made_up(12, 7)
    start, passed = shortest(problem.space), set()
    _, _, first = climbed(problem, start, 100_000, np.random.default_rng(0), passed)
    _, scores, again = climbed(problem, start, 100_000, np.random.default_rng(0), passed)
    assert first > 1
    assert again == 1
    assert scores.worth[0] == pytest.approx(problem.objectives(start).worth[0])


def test_a_climb_keeps_to_its_budget():
    problem, _ = made_up(30, 8)
    for budget in (1, 2, 17, 400):
        assert climbed(problem, shortest(problem.space), budget, np.random.default_rng(0))[2] <= budget


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_order_that_one_move_leads_to_is_tried_once(count):
    order = moves(count, count + 1).order.T[:, :count].tolist()
    others = {(*rest[:place], one, *rest[place:]) for one, rest in _one_out(count) for place in range(count)}
    assert sorted(map(tuple, order)) == sorted(others - {tuple(range(count))})


def _one_out(count):
    return [(one, [agent for agent in range(count) if agent != one]) for one in range(count)]
