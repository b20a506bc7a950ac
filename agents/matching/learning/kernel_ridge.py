"""What all past queries together say of each agent: kernel ridge regression on who solved them. Called by ``features``.

Saunders, Gammerman and Vovk 1998. Queries are alike by meaning, and by wording: single words and pairs of them, small
words and punctuation included, because how a thing is asked tells agents apart whose cards nearly agree. It learns more
from many queries than the nearest of them do, and has what each would be given without itself in closed form.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from agents.matching.learning.solved import Solved

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

MEANING_SHARE, WORDING_SHARE = 0.6, 0.4
RIDGE = 0.1
ROWS_MAX = 16_000
"""So many queries are learned from, drawn by seed from more: the matrix of all pairs then takes 1 GB, once."""
ROWS_AT_ONCE = 512
WEIGHTS_MAX = 60_000_000
"""Of catalogues with very many known agents those with the most solved queries have weights."""
TOKENS = r"[^\W_]+|[?!',.]"
TERMS_MAX = 60_000
RARE_FROM_ROWS = 1_500


@dataclass(frozen=True, slots=True, eq=False)
class KernelRidge:
    """``vectors`` (rows, d) are the queries learned from, ``weights`` (rows, known) their say for the ``known`` of so
    many ``agents``. Wording is linear, so there ``term_weights`` (terms, known) sum it up."""

    vectors: Floats
    vocabulary: TfidfVectorizer | None
    weights: Floats
    term_weights: Floats
    known: Rows
    agents: int

    @classmethod
    def silent(cls, agents: int) -> "KernelRidge":
        """0 for everybody."""
        nothing = np.zeros((0, 0), dtype=np.float32)
        return cls(nothing, None, nothing, nothing, np.zeros(0, dtype=np.int64), agents)

    def scores(self, vectors: Floats, texts: Sequence[str]) -> Floats:
        """(queries, agents) float32: about 1 for whom past queries are sure of, 0 for the unlikely and newcomers."""
        if not len(self.known):
            return np.zeros((len(texts), self.agents), dtype=np.float32)
        parts = [_by_meaning(vectors[rows] @ self.vectors.T) @ self.weights for rows in _blocks(len(texts))]
        scores = np.concatenate(parts)
        if self.vocabulary is not None:
            scores += self.vocabulary.transform(texts) @ self.term_weights
        return self.spread(scores)

    def spread(self, scores: Floats) -> Floats:
        """(queries, agents) of (queries, known): 0 for all others."""
        every = np.zeros((len(scores), self.agents), dtype=np.float32)
        every[:, self.known] = scores
        return every


def fit(solved: Solved, agents: int, seed: int = 0, rows_max: int = ROWS_MAX) -> KernelRidge:
    """From past queries that somebody solved or nobody could."""
    return fit_and_leave_out(solved, agents, np.zeros(0, dtype=np.int64), seed, rows_max)[0]


def fit_and_leave_out(
    solved: Solved, agents: int, asked: Rows, seed: int = 0, rows_max: int = ROWS_MAX
) -> tuple[KernelRidge, Floats]:
    """The same, and (asked, known) scores of some of the rows, each as if it alone had not been learned from."""
    rows, last = _learned_from(solved, asked, seed, rows_max)
    taught = solved.pick(rows)
    vocabulary, words = _words(taught.texts)
    known = _known(taught, len(taught) + (0 if words is None else words.shape[1]))
    if not len(known):
        return KernelRidge.silent(agents), np.zeros((len(asked), 0), dtype=np.float32)
    targets = _targets(taught, known)
    factor = linalg.cho_factor(_pairs(taught.vectors, words).T, lower=True, overwrite_a=True, check_finite=False)
    weights = linalg.cho_solve(factor, targets, check_finite=False)
    in_words = np.zeros((0, 0), dtype=np.float32) if words is None else np.float32(WORDING_SHARE) * (words.T @ weights)
    learned = KernelRidge(taught.vectors, vocabulary, weights, in_words, known, agents)
    return learned, _left_out(learned, solved, asked, rows[len(rows) - last :], factor[0], targets)


def _learned_from(solved: Solved, asked: Rows, seed: int, rows_max: int) -> tuple[Rows, int]:
    """The rows to learn from, and how many at their end are asked for: those are cheap to leave out."""
    taught = solved.solved | solved.outside
    last = asked[taught[asked]][:rows_max]
    taught[asked] = False
    others = np.flatnonzero(taught)
    room = rows_max - len(last)
    if len(others) > room:
        others = np.sort(np.random.default_rng(seed).choice(others, room, replace=False))
    return np.concatenate([others, last]), len(last)


def _known(taught: Solved, weights_each: int) -> Rows:
    known, counts = np.unique(taught.pairs[1], return_counts=True)
    room = WEIGHTS_MAX // max(weights_each, 1)
    return np.sort(known[np.argsort(-counts, kind="stable")[:room]])


def _words(texts: Sequence[str]) -> tuple[TfidfVectorizer | None, sparse.csr_matrix | None]:
    vocabulary = TfidfVectorizer(
        token_pattern=TOKENS,
        ngram_range=(1, 2),
        sublinear_tf=True,
        dtype=np.float32,
        min_df=2 if len(texts) > RARE_FROM_ROWS else 1,
        max_features=TERMS_MAX,
    )
    try:
        return vocabulary, vocabulary.fit_transform(texts).tocsr()
    except ValueError:  # not one word among all queries
        return None, None


def _targets(taught: Solved, known: Rows) -> Floats:
    """(rows, known): 1 for who solved it."""
    targets = np.zeros((len(taught), len(known)), dtype=np.float32)
    rows, agents = taught.pairs
    kept = np.isin(agents, known)
    targets[rows[kept], np.searchsorted(known, agents[kept])] = 1.0
    return targets


def _pairs(vectors: Floats, words: sparse.csr_matrix | None) -> Floats:
    """(rows, rows) how alike queries are, and the ridge on the diagonal. Filled block by block: it is large."""
    pairs = np.empty((len(vectors), len(vectors)), dtype=np.float32)
    by_term = None if words is None else words.T.tocsr()
    for rows in _blocks(len(vectors)):
        pairs[rows] = _by_meaning(vectors[rows] @ vectors.T)
        if words is not None:
            pairs[rows] += np.float32(WORDING_SHARE) * (words[rows] @ by_term).toarray()
    pairs[np.diag_indices(len(pairs))] += np.float32(RIDGE)
    return pairs


def _by_meaning(cosines: Floats) -> Floats:
    """((1 + cosine) / 2)⁴, weighted, in place of ``cosines``."""
    cosines += 1.0
    cosines *= 0.5
    np.square(cosines, out=cosines)
    np.square(cosines, out=cosines)
    cosines *= MEANING_SHARE
    return cosines


def _left_out(learned: KernelRidge, solved: Solved, asked: Rows, last: Rows, factor: Floats, targets: Floats) -> Floats:
    """A row's target less its weight over its diagonal in the inverse (Cook 1977). Rows that nobody can learn from, as
    failures, are just asked."""
    scores = np.zeros((len(asked), len(learned.known)), dtype=np.float32)
    fresh = ~np.isin(asked, last)
    if fresh.any():
        texts = [solved.texts[row] for row in asked[fresh]]
        scores[fresh] = learned.scores(solved.vectors[asked[fresh]], texts)[:, learned.known]
    if len(last):
        begin = len(targets) - len(last)
        # The factor's last rows alone decide the inverse's last block.
        inverse = linalg.solve_triangular(
            factor[begin:, begin:], np.eye(len(last), dtype=np.float32), lower=True, check_finite=False
        )
        diagonal = np.square(inverse).sum(axis=0)
        scores[~fresh] = targets[begin:] - learned.weights[begin:] / diagonal[:, None]
    return scores


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, rows, ROWS_AT_ONCE))
