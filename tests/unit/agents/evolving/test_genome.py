"""Every genome, however wild, is repaired into a network that the planner's own checks accept."""

import numpy as np
import pytest
from evolving_fleet import AUDIO, FLEET, IMAGE, LISTENER, PLOTTER, READER, SUMMARY, TABLE, TEXT, offer, space
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import NoNetworkFits
from agents.evolving.decoding import decoded, encoded, is_valid
from agents.evolving.evaluation.synthetic import made_up
from agents.evolving.genome import EMPTY, Population, drawn, link_matrix, ordered, repaired
from schemas.parts import Modality


def wild(where, size, seed):
    rng = np.random.default_rng(seed)
    slots = rng.integers(-1, len(where), (size, where.slots))
    return Population(slots, rng.integers(0, 1 << where.slots, slots.shape))


def test_an_offer_that_nothing_can_feed_or_use_is_left_out_of_the_space():
    names = [offer.agent_id for offer in space(fleet=(*FLEET, SUMMARY)).offers]
    assert "listener" in names  # the speaker feeds it
    assert [o.agent_id for o in space(task=[Modality.TEXT], wanted=[Modality.TABLE], fleet=FLEET[:4]).offers] == [
        "summary",
        "tabulator",
    ]


def test_a_fleet_without_any_type_correct_network_is_refused_in_words():
    with pytest.raises(NoNetworkFits, match=r"task carries \(text, image\) to audio"):
        space(fleet=(READER, SUMMARY, PLOTTER, LISTENER))


def test_an_empty_fleet_is_refused_too():
    with pytest.raises(NoNetworkFits, match="the 0 eligible skills"):
        space(fleet=())


@settings(max_examples=30, deadline=None)
@given(agents=st.integers(1, 20), seed=st.integers(0, 500))
def test_whatever_is_repaired_is_accepted_by_the_planner(agents, seed):
    problem, _ = made_up(agents, seed)
    whole, alive = repaired(problem.space, wild(problem.space, 12, seed))
    for row in np.flatnonzero(alive):
        assert is_valid(problem.space, whole.take(slice(row, row + 1)))


@settings(max_examples=30, deadline=None)
@given(agents=st.integers(2, 20), seed=st.integers(0, 500))
def test_a_repaired_network_needs_no_repair(agents, seed):
    problem, _ = made_up(agents, seed)
    once, alive = repaired(problem.space, wild(problem.space, 20, seed))
    again, _ = repaired(problem.space, once.take(alive))
    assert (again.slots == once.slots[alive]).all()
    assert (again.links == once.links[alive]).all()


def test_rows_without_anybody_who_makes_what_is_wanted_are_reported():
    where = space()
    summary = [offer.agent_id for offer in where.offers].index("summary")
    slots = np.full((1, where.slots), EMPTY)
    slots[0, 0] = summary
    _, alive = repaired(where, Population(slots, np.zeros_like(slots)))
    assert not alive[0]


def test_an_agent_that_requires_two_kinds_is_linked_to_makers_of_both_or_sent_away():
    painter, speaker = offer("painter", [TEXT], [IMAGE]), offer("speaker", [TEXT], [AUDIO])
    film = offer("film", [IMAGE, AUDIO], [TABLE], requires=[IMAGE, AUDIO])
    where = space(task=[TEXT], wanted=[TABLE], fleet=[painter, speaker, film])
    slots = np.array([[0, 1, 2], [0, 2, EMPTY], [2, 0, 1]])
    whole, alive = repaired(where, Population(slots, np.array([[0, 0, 0b01], [0, 0b01, 0], [0, 0, 0]])))
    assert alive.tolist() == [True, False, False]
    assert whole.links[0].tolist() == [0, 0, 0b11]


def test_random_networks_are_nearly_all_type_correct_and_of_many_sizes():
    where = space()
    whole, alive = repaired(where, drawn(where, 200, np.random.default_rng(1)))
    sizes = (whole.slots[alive] >= 0).sum(axis=1)
    assert alive.mean() > 0.4
    assert set(sizes) >= {1, 2, 3, 4}


def test_packing_keeps_who_feeds_whom():
    slots = np.array([[EMPTY, 3, EMPTY, 5, 1]])
    links = np.array([[0, 0, 0, 0b00010, 0b01010]])
    population = Population(slots, links)
    packed = ordered(slots, link_matrix(population), np.arange(5.0)[None])
    assert packed.slots.tolist() == [[3, 5, 1, EMPTY, EMPTY]]
    assert packed.links.tolist() == [[0, 0b1, 0b11, 0, 0]]


def test_a_network_survives_the_way_to_a_message_and_back():
    where = space()
    whole, alive = repaired(where, drawn(where, 60, np.random.default_rng(2)))
    for row in np.flatnonzero(alive):
        network = decoded(where, whole.take(slice(row, row + 1)))
        again, ok = repaired(where, encoded(where, [network]))
        assert ok[0]
        assert decoded(where, again) == network or {n.id for n in decoded(where, again).nodes} == {
            n.id for n in network.nodes
        }


def test_agents_that_left_the_fleet_are_left_out_of_a_past_winner():
    before = space()
    whole, alive = repaired(before, drawn(before, 60, np.random.default_rng(3)))
    network = decoded(before, whole.take(alive).take(slice(0, 1)))
    after = space(fleet=FLEET[:4])
    genome, ok = repaired(after, encoded(after, [network]))
    assert not ok[0] or is_valid(after, genome)
