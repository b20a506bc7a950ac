"""The true optimum of a small fleet: every type-correct acyclic network with one sink, scored.


Graphs grow by one offer at a time, with all links to and from those before it that types allow and that close no
cycle; an offer without links is not at work. There are 3.8 million acyclic graphs of six offers, types leave far fewer.
Called by ``evaluation``.
"""

from collections.abc import Iterator

import numpy as np

from agents.evolving.genome import EMPTY, Population, repaired
from agents.evolving.objectives import Problem
from agents.evolving.space import Bools, Ints, Space

OFFERS_MAX = 6
CHUNK = 1 << 12


def feasible(space: Space) -> bool:
    """Whether all networks can be counted through in seconds."""
    return len(space) <= min(space.slots, OFFERS_MAX)


def optimum(problem: Problem) -> tuple[float, Population, int]:
    """The highest worth, a network that has it (one row), and how many networks there are."""
    best, winner, networks = -np.inf, None, 0
    for population in _all_networks(problem.space):
        worth = problem.objectives(population).worth if len(population) else np.zeros(0)
        networks += len(worth)
        if len(worth) and worth.max() > best:
            best, winner = float(worth.max()), population.take(np.argmax(worth, keepdims=True))
    assert winner is not None, "a space always has a network"
    return best, winner, networks


def _all_networks(space: Space) -> Iterator[Population]:
    yield _kept_as_is(space, _single(space))
    nothing = np.zeros((1, len(space)), dtype=np.int64)
    for graphs, above in _grown(space.links_allowed(), nothing, nothing, 0):
        one_sink = _one_sink(graphs)
        yield _kept_as_is(space, _in_order(graphs[one_sink], above[one_sink]))


def _single(space: Space) -> Population:
    slots = np.full((len(space), space.slots), EMPTY, dtype=np.int64)
    slots[:, 0] = np.arange(len(space))
    return Population(slots, np.zeros_like(slots))


def _grown(allowed: Bools, graphs: Ints, above: Ints, offer: int) -> Iterator[tuple[Ints, Ints]]:
    """All acyclic graphs that extend these by ``offer`` and those after it.

    ``graphs`` is (many, offers): for each offer the bits of those that feed it; ``above`` those that reach it.
    """
    if offer == len(allowed):
        yield graphs, above
        return
    feeds, fed = _choices(allowed, offer)
    for start in range(0, len(graphs), CHUNK // len(feeds) + 1):
        some = slice(start, start + CHUNK // len(feeds) + 1)
        yield from _grown(allowed, *_joined(graphs[some], above[some], feeds, fed, offer), offer + 1)


def _choices(allowed: Bools, offer: int) -> tuple[Ints, Ints]:
    """Every way to link an offer with those before it: the bits of those it feeds, and of those that feed it."""
    feeds, fed = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    for other in range(offer):
        more_feeds, more_fed = [feeds], [fed]
        if allowed[offer, other]:
            more_feeds.append(feeds | 1 << other)
            more_fed.append(fed)
        if allowed[other, offer]:
            more_feeds.append(feeds)
            more_fed.append(fed | 1 << other)
        feeds, fed = np.concatenate(more_feeds), np.concatenate(more_fed)
    return feeds, fed


def _joined(graphs: Ints, above: Ints, feeds: Ints, fed: Ints, offer: int) -> tuple[Ints, Ints]:
    """Each graph with each choice that closes no cycle."""
    reaching = np.zeros((len(graphs), len(fed)), dtype=np.int64)
    for other in range(offer):
        reaching |= (fed >> other & 1) * (above[:, other, None] | 1 << other)
    rows, choice = np.nonzero((reaching & feeds) == 0)
    graphs, above, reaching = graphs[rows], above[rows], reaching[rows, choice]
    places = np.arange(graphs.shape[1])
    reads = feeds[choice, None] >> places & 1
    graphs = graphs | reads << offer
    graphs[:, offer] = fed[choice]
    below = reads | ((above & feeds[choice, None]) != 0)
    above = above | below * (reaching | 1 << offer)[:, None]
    above[:, offer] = reaching
    return graphs, above


def _one_sink(graphs: Ints) -> Bools:
    fed = (graphs != 0) @ (1 << np.arange(graphs.shape[1]))
    sinks = fed & ~np.bitwise_or.reduce(graphs, axis=1)
    one: Bools = (sinks != 0) & ((sinks & (sinks - 1)) == 0)
    return one


def _in_order(graphs: Ints, above: Ints) -> Population:
    """The graphs as genomes: whoever has fewer ancestors first, then the empty slots."""
    places = np.arange(graphs.shape[1])
    used = (graphs != 0) | ((np.bitwise_or.reduce(graphs, axis=1)[:, None] >> places & 1) != 0)
    order = np.argsort(np.where(used, np.bitwise_count(above), len(places)), axis=1, kind="stable")
    rows = np.arange(len(graphs))[:, None]
    links = np.zeros_like(graphs)
    for slot in places:
        links |= (graphs[rows, order] >> order[:, slot, None] & 1) << slot
    return Population(np.where(used[rows, order], order, EMPTY), links)


def _kept_as_is(space: Space, population: Population) -> Population:
    """Only those that need no repair: the repaired form of the others is counted where it stands itself."""
    whole, alive = repaired(space, population)
    same = (whole.slots == population.slots).all(axis=1) & (whole.links == population.links).all(axis=1)
    return population.take(alive & same)
