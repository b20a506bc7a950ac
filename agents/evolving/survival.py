"""Who lives on: NSGA-II (Deb et al. 2002) over whole arrays, with room kept for the best by the tenant's own weights.

DEAP's ``selNSGA2`` does the same one individual at a time: 100 of 200 take it 5 ms (36 ms with its standard sorting)
against 0.3 ms here; the tests hold both to the same fronts. Called by ``genetic`` through its toolbox.
"""

import numpy as np
from numpy.typing import NDArray

from agents.evolving.objectives import Objectives
from agents.evolving.space import Bools, Floats

Rows = NDArray[np.intp]


def distinct(objectives: Objectives) -> Rows:
    """One row of each group that is equal in every objective, the first: the same network in another spelling."""
    costs = objectives.to_minimise()
    order = np.lexsort(costs.T)
    same = (costs[order[1:]] == costs[order[:-1]]).all(axis=1)
    return np.sort(order[np.concatenate(([True], ~same))])


def dominance(costs: Floats) -> Bools:
    """(rows, rows): whether the row is no worse than the column in all, and better in some, of (rows, n) costs."""
    size = len(costs)
    no_worse = np.ones((size, size), dtype=np.bool_)
    better = np.zeros((size, size), dtype=np.bool_)
    for column in costs.T:
        no_worse &= column[:, None] <= column[None, :]
        better |= column[:, None] < column[None, :]
    return no_worse & better


def fronts(costs: Floats, enough: int) -> list[Rows]:
    """Rows by front, best first, until ``enough`` rows are in."""
    dominates = dominance(costs)
    above = dominates.sum(axis=0)
    found: list[Rows] = []
    ranked = 0
    while ranked < min(enough, len(costs)):
        front = np.flatnonzero(above == 0)
        found.append(front)
        ranked += len(front)
        above = above - dominates[front].sum(axis=0)
        above[front] = -1
    return found


def crowding(costs: Floats) -> Floats:
    """(rows,): how far the neighbours of each row lie within its front; the ends of each objective are infinite."""
    size, objectives = costs.shape
    room = np.zeros(size)
    for column in costs.T:
        order = np.argsort(column, kind="stable")
        spread = float(column[order[-1]] - column[order[0]])
        room[order[[0, -1]]] = np.inf
        if spread > 0 and size > 2:
            room[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / (spread * objectives)
    return room


def survivors(objectives: Objectives, keep: int, favourites: int) -> Rows:
    """At most ``keep`` distinct rows: the ``favourites`` of highest worth, then NSGA-II among the rest."""
    rows = distinct(objectives)
    by_worth = rows[np.argsort(-objectives.worth[rows], kind="stable")]
    favoured, others = by_worth[:favourites], np.sort(by_worth[favourites:])
    room = keep - len(favoured)
    if len(others) <= room:
        return np.concatenate((favoured, others))
    return np.concatenate((favoured, others[_nsga2(objectives.to_minimise()[others], room)]))


def _nsga2(costs: Floats, keep: int) -> Rows:
    found = fronts(costs, keep)
    last = found[-1]
    spare = keep - sum(len(front) for front in found[:-1])
    roomiest = last[np.argsort(-crowding(costs[last]), kind="stable")[:spare]]
    return np.concatenate((*found[:-1], roomiest))
