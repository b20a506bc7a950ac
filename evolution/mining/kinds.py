"""Which kinds of task there are: clusters of task vectors. Called by ``mine``.

k-means (spherical, by scikit-learn on unit vectors) for several k and HDBSCAN (Campello et al. 2013) on the leading
principal components are both fitted on a sample; the one with the larger silhouette (Rousseeuw 1987, cosine) over all
held-out vectors wins, where a vector that a method calls noise counts as 0. Either way a kind is its centre, so that
assigning is one matrix product.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_samples

from evolution.mining.columns import NOISE

Vectors = NDArray[np.float32]
Labels = NDArray[np.intp]

SAMPLE = 6000
HELD_OUT = 2000
COMPONENTS = 16
KS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
MIN_KIND = 20
MIN_COHESION = 0.05
"""The mean silhouette that a kind needs; what lies below is whatever was left over, not a kind."""
MIN_SIMILARITY_TO_KEEP_NAME = 0.8
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Kinds:
    """Kinds by their centres, (k, dimension) float32 unit-norm; ``names`` are numbers that outlive re-runs.

    A vector less similar to every centre than that centre's ``reach`` is of no kind. ``silhouette`` is the measure by
    which ``method`` was chosen.
    """

    centres: Vectors
    reach: NDArray[np.float32]
    names: tuple[int, ...]
    method: str
    silhouette: float

    def assign(self, vectors: Vectors) -> Labels:
        """The kinds' names, (n,), of vectors (n, dimension) unit-norm; NOISE for what is like none of them."""
        labels = np.full(len(vectors), NOISE, dtype=np.intp)
        if len(self.centres) == 0:
            return labels
        names = np.array(self.names, dtype=np.intp)
        for start in range(0, len(vectors), _CHUNK):
            similarity = vectors[start : start + _CHUNK] @ self.centres.T
            nearest = similarity.argmax(axis=1)
            inside = similarity.max(axis=1) >= self.reach[nearest]
            labels[start : start + _CHUNK][inside] = names[nearest[inside]]
        return labels


def find_kinds(vectors: Vectors, *, seed: int = 0) -> Kinds:
    """Kinds of (n, dimension) unit-norm float32 vectors; none when there are too few. The same seed, the same kinds."""
    if len(vectors) < 4 * MIN_KIND:
        return _kinds(vectors, np.full(len(vectors), NOISE, dtype=np.intp), "none", 0.0)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(vectors))
    fitted = vectors[order[: min(SAMPLE, len(vectors) * 3 // 4)]]
    held_out = vectors[order[len(fitted) : len(fitted) + HELD_OUT]]
    return max(
        (_scored(fitted, labels, method, held_out) for method, labels in _clusterings(fitted, seed)),
        key=lambda kinds: kinds.silhouette,
    )


def learned_kinds(vectors: Vectors, previous: Kinds | None, seed: int = 0) -> Kinds:
    """Kinds of (n, dimension) float32 vectors of any length, under the names of ``previous`` where still there."""
    kinds = find_kinds(unit(vectors), seed=seed)
    if previous is not None and previous.centres.shape[1:] == kinds.centres.shape[1:]:
        return renamed(kinds, previous)
    return kinds


def unit(vectors: Vectors) -> Vectors:
    """Rows of (n, dimension) brought to length one; those of length zero stay."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def commonest(versions: Sequence[str | None]) -> str | None:
    """The encoder of most vectors: others do not compare with it."""
    counts = Counter(versions)
    return max(counts, key=lambda version: (counts[version], str(version)), default=None)


def renamed(found: Kinds, previous: Kinds) -> Kinds:
    """The same kinds under the names they had before, where a centre is still there (Hungarian method, cosine)."""
    kept: dict[int, int] = {}
    if len(previous.centres) and len(found.centres):
        similarity = found.centres @ previous.centres.T
        for mine, theirs in zip(*linear_sum_assignment(-similarity), strict=True):
            if similarity[mine, theirs] >= MIN_SIMILARITY_TO_KEEP_NAME:
                kept[int(mine)] = previous.names[theirs]
    fresh = itertools.count(max([-1, *previous.names]) + 1)
    names = tuple(kept[number] if number in kept else next(fresh) for number in range(len(found.names)))
    return replace(found, names=names)


def _clusterings(vectors: Vectors, seed: int) -> list[tuple[str, Labels]]:
    # The same few questions over and over, of a monitor say, are no more clusters than there are questions.
    distinct = len(np.unique(vectors.round(4), axis=0))
    if distinct == 1:
        return [("all alike", np.zeros(len(vectors), dtype=np.intp))]
    found = [
        (f"k-means, k={k}", KMeans(k, n_init=3, random_state=seed).fit_predict(vectors).astype(np.intp))
        for k in KS
        if k <= distinct and k * MIN_KIND <= len(vectors)
    ]
    components = min(COMPONENTS, *vectors.shape)
    reduced = PCA(components, random_state=seed).fit_transform(vectors)
    labels = HDBSCAN(min_cluster_size=MIN_KIND, copy=True).fit_predict(reduced).astype(np.intp)
    return [*found, ("HDBSCAN", labels)]


def _scored(vectors: Vectors, labels: Labels, method: str, held_out: Vectors) -> Kinds:
    """The kinds of a clustering without those that do not hold together, and what is left of its measure."""
    kinds = _kinds(vectors, labels, method, 0.0)
    given = kinds.assign(held_out)
    inside = given != NOISE
    if len(set(given[inside].tolist())) < 2:
        return kinds
    scores, of = silhouette_samples(held_out[inside], given[inside], metric="cosine"), given[inside]
    firm = [name for name in kinds.names if (of == name).any() and scores[of == name].mean() >= MIN_COHESION]
    rows = [kinds.names.index(name) for name in firm]
    measure = float(scores[np.isin(of, firm)].sum()) / len(given)
    return Kinds(kinds.centres[rows], kinds.reach[rows], tuple(range(len(rows))), method, measure)


def _kinds(vectors: Vectors, labels: Labels, method: str, silhouette: float) -> Kinds:
    centres, reach = [], []
    for label in sorted(set(labels.tolist()) - {NOISE}):
        members = vectors[labels == label]
        centre = members.mean(axis=0)
        centre /= max(float(np.linalg.norm(centre)), 1e-12)
        similarity = members @ centre
        centres.append(centre)
        # As far out as the members lie, a few odd ones aside.
        reach.append(float(np.quantile(similarity, 0.01)) - 0.05)
    width = vectors.shape[1] if vectors.ndim == 2 else 0
    stacked = np.array(centres, dtype=np.float32).reshape(len(centres), width)
    return Kinds(stacked, np.array(reach, dtype=np.float32), tuple(range(len(centres))), method, silhouette)
