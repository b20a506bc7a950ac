"""Children are changed by what the rates say and no more; what their parents share, and how it is linked, they keep."""

import numpy as np
import pytest

from agents.evolving.genome import EMPTY, Population, link_matrix
from agents.evolving.variation import Rates, crossed, mutated

ROWS, WIDTH, OFFERS = 300, 4, 6
NOTHING = Rates(crossover=0.0, insert=0.0, replace=0.0, remove=0.0, move=0.0, flips=0.0)
ONLY_LAST = np.eye(OFFERS)[-1]


def many(agents: list[int], links: list[int]) -> Population:
    """The same network in every row."""
    slots = agents + [EMPTY] * (WIDTH - len(agents))
    feeds = links + [0] * (WIDTH - len(links))
    return Population(np.tile(np.array(slots), (ROWS, 1)), np.tile(np.array(feeds), (ROWS, 1)))


def changed(parent: Population, chances: np.ndarray = ONLY_LAST, **rates: float) -> Population:
    return mutated(parent, chances, Rates(**{**_rates(NOTHING), **rates}), np.random.default_rng(0))


def _rates(rates: Rates) -> dict[str, float]:
    return {name: getattr(rates, name) for name in rates.__slots__}


def teams(population: Population) -> list[list[int]]:
    return [[agent for agent in row if agent != EMPTY] for row in population.slots.tolist()]


def links_of(population: Population, row: int) -> set[tuple[int, int]]:
    """Who feeds whom, by agents."""
    slots = population.slots[row]
    linked = ((int(slots[one]), int(slots[other])) for one, other in np.argwhere(link_matrix(population)[row]))
    return {pair for pair in linked if EMPTY not in pair}


def test_without_any_change_children_are_their_parents():
    chain = many([3, 1, 2], [0, 0b1, 0b10])
    child = changed(chain)
    assert (child.slots == chain.slots).all()
    assert (child.links == chain.links).all()


def test_one_of_two_agents_may_be_removed_and_a_lone_one_never():
    assert {tuple(team) for team in teams(changed(many([3, 1], [0, 1]), remove=1.0))} == {(3,), (1,)}
    assert all(team == [3] for team in teams(changed(many([3], [0]), remove=1.0)))


def test_a_newcomer_comes_in_anywhere_while_there_is_room():
    grown = teams(changed(many([3, 1], [0, 1]), insert=1.0))
    assert {tuple(team) for team in grown} == {(5, 3, 1), (3, 5, 1), (3, 1, 5)}
    full = many([3, 1, 2, 0], [0, 1, 1, 1])
    assert teams(changed(full, insert=1.0)) == teams(full)


def test_a_newcomer_is_wired_at_random_and_the_others_as_before():
    grown = changed(many([3, 1], [0, 1]), insert=1.0)
    wirings = {frozenset(links_of(grown, row)) for row in range(ROWS)}
    assert all((3, 1) in links for links in wirings)
    assert len(wirings) > 6


def test_whoever_is_replaced_is_followed_in_place_and_links():
    child = changed(many([3, 1, 2], [0, 1, 0b11]), replace=1.0)
    assert {tuple(team) for team in teams(child)} == {(5, 1, 2), (3, 5, 2), (3, 1, 5)}
    assert (child.links == many([3, 1, 2], [0, 1, 0b11]).links).all()


def test_whoever_moves_takes_its_links_along_whichever_way_they_lead_then():
    child = changed(many([3, 1, 2], [0, 1, 0b10]), move=1.0)
    assert {tuple(sorted(team)) for team in teams(child)} == {(1, 2, 3)}
    assert len({tuple(team) for team in teams(child)}) > 3
    pairs = {frozenset(map(frozenset, links_of(child, row))) for row in range(ROWS)}
    assert pairs == {frozenset({frozenset({3, 1}), frozenset({1, 2})})}


def test_links_are_flipped_as_often_as_the_rate_says_and_never_lead_back():
    child = changed(many([3, 1, 2], [0, 0, 0]), flips=1.0)
    flipped = np.bitwise_count(child.links).sum(axis=1)
    # Two flips of one link undo each other, so that a little less than the rate is seen.
    assert 0.6 < flipped.mean() <= 1.0
    assert set(np.flatnonzero(link_matrix(child).any(axis=0).ravel())) == {1, 2, WIDTH + 2}
    assert not changed(many([3], [0]), flips=3.0).links.any()


def test_without_crossover_children_are_their_mothers():
    mothers, fathers = many([3, 1], [0, 1]), many([2, 0], [0, 0])
    child = crossed(mothers, fathers, NOTHING, np.random.default_rng(0))
    assert (child.slots == mothers.slots).all()
    assert (child.links == mothers.links).all()


@pytest.fixture
def children() -> Population:
    """Of a mother and a father who share agent 1; hers are 3 and 2, his is 0."""
    mothers, fathers = many([3, 1, 2], [0, 0b1, 0b10]), many([0, 1], [0, 0b1])
    return crossed(mothers, fathers, Rates(crossover=1.0), np.random.default_rng(0))


def test_an_agent_of_both_parents_is_kept_and_others_by_a_coin(children):
    found = teams(children)
    assert all(team.count(1) == 1 for team in found)
    assert {frozenset(team) - {1} for team in found} == {
        frozenset(some) for some in [(), (3,), (2,), (0,), (3, 2), (3, 0), (2, 0), (3, 2, 0)]
    }
    assert 0.4 < np.mean([3 in team for team in found]) < 0.6


def test_what_works_together_in_one_parent_works_together_in_the_child(children):
    for row, team in enumerate(teams(children)):
        inherited = {pair for pair in [(3, 1), (1, 2), (0, 1)] if set(pair) <= set(team)}
        assert links_of(children, row) <= inherited
        assert {pair for pair in inherited if team.index(pair[0]) < team.index(pair[1])} == links_of(children, row)
        if {3, 1, 2} <= set(team):
            assert [agent for agent in team if agent != 0] == [3, 1, 2]


def test_what_only_one_of_two_parents_links_is_settled_by_a_coin():
    mothers, fathers = many([3, 1], [0, 1]), many([3, 1], [0, 0])
    child = crossed(mothers, fathers, Rates(crossover=1.0), np.random.default_rng(0))
    assert teams(child) == teams(mothers)
    assert 0.4 < np.mean(child.links.any(axis=1)) < 0.6
