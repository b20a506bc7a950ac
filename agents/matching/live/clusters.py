"""Finds groups of past tasks, and which of them are kin. Pure; called by ``groups``."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

KIN_SHARPNESS = 6
PASSES = 8


def kinship(shares: Floats, agents: NDArray[np.int32], outcomes: Floats) -> Floats:
    """(groups, groups) from 0 to 1 by the cosine of who did well in each, ever since; 1 for a group itself.

    ``shares`` (steps, groups) of each group in the steps' tasks.
    """
    order = np.argsort(agents, kind="stable")
    firsts = np.flatnonzero(np.diff(agents[order], prepend=-1))
    done = np.add.reduceat(shares[order] * outcomes[order, None], firsts, axis=0)
    masters = done / np.maximum(np.linalg.norm(done, axis=0), 1e-9)
    kin: Floats = np.clip(masters.T @ masters, 0.0, 1.0) ** KIN_SHARPNESS
    np.fill_diagonal(kin, 1.0)
    return kin


def middles(vectors: Floats, count: int) -> Floats:
    """Unit-norm middles of groups of unit-norm vectors (spherical k-means, Dhillon and Modha 2001)."""
    found = vectors[np.random.default_rng(0).permutation(len(vectors))[: max(1, count)]].copy()
    for _ in range(PASSES):
        nearest = (vectors @ found.T).argmax(axis=1)
        order = np.argsort(nearest, kind="stable")
        who = nearest[order]
        firsts = np.flatnonzero(np.diff(who, prepend=-1))
        sums = np.zeros_like(found)
        sums[who[firsts]] = np.add.reduceat(vectors[order], firsts, axis=0)
        lengths = np.linalg.norm(sums, axis=1)
        full = lengths > 1e-6
        found[full] = sums[full] / lengths[full, None]
    return found
