"""Matching as learned: featuriser, ranker and scope, trained from solved queries. Called by the evaluation commands.

Training is honest by construction: the ranker sees each past query with features from models that did not
(cross-fitting), and some agents are hidden from a part of it, so that it knows what newcomers look like.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.matching.learning import features, kernel_ridge, ranker, scope
from agents.matching.learning.cards import LEXICAL_SHARE, Cards
from agents.matching.learning.features import Featuriser, Shortlists
from agents.matching.learning.kernel_ridge import KernelRidge
from agents.matching.learning.ranker import Weighing
from agents.matching.learning.scope import Scope
from agents.matching.learning.solved import Solved

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

CELLS_PER_BATCH = 4_000_000
FOLDS = 3
RANKED_ROWS_MAX = 4_000
"""The ranker has a score of weights: more rows than this teach it nothing."""
ROWS_MIN = 20
HIDDEN_SHARE = 0.2
HIDDEN_IMPORTANCE = 0.07
HIDDEN_BESIDE_FAILURES = 0.3
"""Of that importance, where failures are known: they already speak for agents that nobody has tried."""
NEIGHBOURS_HIDDEN = 8
"""Hidden together with an agent: those whose cards are nearest, as when a whole domain is new."""
RIDGE_ROWS_BESIDE_HIDDEN = 6_000
UNSOLVED_ENOUGH = 30


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """For each query: ``agents`` (queries, places) best first; their ``chances`` (softmax over the shortlist);
    ``nobody`` (queries,) the probability that none fits."""

    agents: Rows
    chances: Floats
    nobody: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MatchModel:
    """Immutable; safe to share between threads."""

    featuriser: Featuriser
    weighing: Weighing
    scope: Scope
    experienced: bool

    @classmethod
    def untrained(cls, cards: Cards) -> "MatchModel":
        """From cards alone."""
        width = cards.both.shape[1]
        nothing = Solved(np.zeros((0, width), dtype=np.float32), (), ())
        silent = KernelRidge.silent(len(cards))
        return cls(features.fit(cards, nothing, silent), Weighing(ranker.PRIOR_WEIGHTS), Scope.untrained(), False)

    def rank(self, vectors: Floats, texts: Sequence[str], places: int = 10) -> Ranked:
        """The best ``places`` agents of each query. ``vectors`` (queries, d) float32 unit-norm, of the same texts."""
        parts = [self._rank(vectors[rows], texts[rows], places) for rows in batches(len(texts), self.featuriser)]
        return Ranked(
            np.concatenate([part.agents for part in parts]),
            np.concatenate([part.chances for part in parts]),
            np.concatenate([part.nobody for part in parts]),
        )

    def _rank(self, vectors: Floats, texts: Sequence[str], places: int) -> Ranked:
        found = self.featuriser.shortlists(vectors, texts)
        logits = self._logits(found)
        order = np.argsort(-logits, axis=1, kind="stable")[:, :places]
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        return Ranked(
            np.take_along_axis(found.agents, order, axis=1),
            np.take_along_axis(chances, order, axis=1),
            self.scope.probability(scope.columns(found.scope, logits)),
        )

    def _logits(self, found: Shortlists) -> Floats:
        if self.experienced:
            return self.weighing.logits(found.features)
        # Without experience the blend of both deviations is the order itself: see Nearness.blended.
        return found.features[:, :, 0] + np.float32(LEXICAL_SHARE) * found.features[:, :, 1]


def batches(rows: int, featuriser: Featuriser) -> Iterator[slice]:
    """Slices of queries that bound the memory whatever the catalogue."""
    size = max(1, CELLS_PER_BATCH // (len(featuriser.cards) + len(featuriser.evidence.source) + 1))
    return (slice(start, start + size) for start in range(0, rows, size))


def train(cards: Cards, solved: Solved, seed: int = 0, *, with_scope: bool = True) -> MatchModel:
    """From all past queries. Deterministic by seed. Fewer than ROWS_MIN rows: cards decide, as if there were none.

    Without ``with_scope`` it takes a third less time, and the probability that nobody fits stays that of the cards.
    """
    if len(solved.pairs[0]) < ROWS_MIN:
        return MatchModel.untrained(cards)
    rng = np.random.default_rng(seed)
    asked = np.flatnonzero((rng.random(len(solved)) < RANKED_ROWS_MAX / len(solved)) | solved.outside)
    ridge, left_out = kernel_ridge.fit_and_leave_out(solved, len(cards), asked, seed)
    lessons = [
        *_held_out(cards, solved, asked, ridge, left_out, rng, seed),
        *_newcomers(cards, solved, rng, seed),
    ]
    weighing = ranker.fit(*_stacked(lessons))
    boundary = _scope(cards, solved, lessons, weighing, rng, seed) if with_scope else Scope.untrained()
    return MatchModel(features.fit(cards, solved, ridge, seed), weighing, boundary, True)


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    """Past queries as a model sees them that did not learn from them. ``targets`` are those of ``ranker.fit``."""

    found: Shortlists
    targets: Floats
    outside: NDArray[np.bool_]
    importance: float = 1.0


def _held_out(
    cards: Cards,
    solved: Solved,
    asked: Rows,
    ridge: KernelRidge,
    left_out: Floats,
    rng: np.random.Generator,
    seed: int,
) -> list[_Lesson]:
    """The queries ``asked``, each fold seen by a model of the other folds. The ridge leaves out one query alone:
    ``left_out`` (asked, known)."""
    fold = rng.permutation(len(solved)) % FOLDS
    lessons = []
    for number in range(FOLDS):
        ours = fold[asked] == number
        if ours.any():
            rest = solved.pick(np.flatnonzero(fold != number))
            fitted = features.fit(cards, rest, ridge, seed)
            lessons.append(_lesson(fitted, solved.pick(asked[ours]), left_out[ours]))
    return lessons


def _newcomers(cards: Cards, solved: Solved, rng: np.random.Generator, seed: int) -> list[_Lesson]:
    """Queries for agents whose experience was hidden; none where too few agents are known to hide one."""
    hidden = _hidden(cards, solved, rng)
    theirs = _concern(solved, hidden)
    rows = np.flatnonzero(theirs)
    rows = rng.permutation(rows)[: RANKED_ROWS_MAX // 4]
    if not len(rows):
        return []
    rest = solved.pick(np.flatnonzero(~theirs))
    fitted = features.fit(cards, rest, kernel_ridge.fit(rest, len(cards), seed, RIDGE_ROWS_BESIDE_HIDDEN), seed)
    importance = HIDDEN_IMPORTANCE * min(len(solved), RANKED_ROWS_MAX) / len(rows)
    if len(solved.failures[0]):
        importance *= HIDDEN_BESIDE_FAILURES
    return [replace(_lesson(fitted, solved.pick(rows)), importance=importance)]


def _hidden(cards: Cards, solved: Solved, rng: np.random.Generator) -> set[int]:
    """Some of the known agents, in groups that are near each other."""
    known = np.unique(solved.pairs[1])
    hidden: set[int] = set()
    for anchor in rng.permutation(known):
        missing = round(HIDDEN_SHARE * len(known)) - len(hidden)
        if missing <= 0:
            break
        near = known[np.argsort(-(cards.both[known] @ cards.both[anchor]))]
        hidden.update(near[: min(missing, int(rng.integers(1, NEIGHBOURS_HIDDEN + 1)))].tolist())
    return hidden


def _concern(solved: Solved, agents: set[int]) -> NDArray[np.bool_]:
    return np.array([not agents.isdisjoint(right) for right in solved.solved_by], dtype=bool)


def _lesson(fitted: Featuriser, asked: Solved, left_out: Floats | None = None) -> _Lesson:
    parts = [
        fitted.shortlists(asked.vectors[rows], asked.texts[rows], None if left_out is None else left_out[rows])
        for rows in batches(len(asked), fitted)
    ]
    found = Shortlists(
        np.concatenate([part.agents for part in parts]),
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.scope for part in parts]),
    )
    targets = np.zeros(found.agents.shape, dtype=np.float32)
    for row, right in enumerate(asked.solved_by):
        targets[row] = np.isin(found.agents[row], right)
    targets /= np.maximum(targets.sum(axis=1, keepdims=True), 1.0)
    for row in np.unique(asked.failures[0]):
        if not asked.solved_by[row]:
            targets[row] = -np.isin(found.agents[row], asked.failed_by[row]).astype(np.float32)
    return _Lesson(found, targets, asked.outside)


def _stacked(lessons: Sequence[_Lesson]) -> tuple[Floats, Floats, Floats]:
    """Features, targets and importance of the rows whose agent is on the shortlist."""
    kept = [lesson.targets.any(axis=1) for lesson in lessons]
    pairs = list(zip(lessons, kept, strict=True))
    return (
        np.concatenate([lesson.found.features[rows] for lesson, rows in pairs]),
        np.concatenate([lesson.targets[rows] for lesson, rows in pairs]),
        np.concatenate([np.full(rows.sum(), lesson.importance, dtype=np.float32) for lesson, rows in pairs]),
    )


def _scope(
    cards: Cards, solved: Solved, lessons: Sequence[_Lesson], weighing: Weighing, rng: np.random.Generator, seed: int
) -> Scope:
    """From past queries that nobody could serve; too few of them: from queries of agents made to be missing."""
    ordinary = [lesson for lesson in lessons if lesson.importance == 1.0]
    outside = np.concatenate([lesson.outside for lesson in ordinary])
    if outside.sum() >= UNSOLVED_ENOUGH:
        return scope.fit(_columns(ordinary, weighing), outside)
    made = _missing(cards, solved, rng, seed)
    missing = np.concatenate([outside, *(lesson.outside for lesson in made)])
    return scope.fit_without_examples(_columns([*ordinary, *made], weighing), missing)


def _columns(lessons: Sequence[_Lesson], weighing: Weighing) -> Floats:
    rows = [scope.columns(lesson.found.scope, weighing.logits(lesson.found.features)) for lesson in lessons]
    return np.concatenate(rows)


def _missing(cards: Cards, solved: Solved, rng: np.random.Generator, seed: int) -> list[_Lesson]:
    """Queries of agents that are taken out of the catalogue, as that catalogue sees them; none where none can be."""
    hidden = _hidden(cards, solved, rng)
    theirs = _concern(solved, hidden)
    if not theirs.any():
        return []
    present = np.array([row for row in range(len(cards)) if row not in hidden], dtype=np.int64)
    place = {int(row): number for number, row in enumerate(present)}
    rest = solved.pick(np.flatnonzero(~theirs))
    renamed = replace(
        rest,
        solved_by=tuple(tuple(place[one] for one in right) for right in rest.solved_by),
        failed_by=tuple(tuple(place[one] for one in wrong if one in place) for wrong in rest.failed_by),
    )
    asked = solved.pick(rng.permutation(np.flatnonzero(theirs))[: RANKED_ROWS_MAX // 4])
    nobody = replace(asked, solved_by=((),) * len(asked), failed_by=())
    silent = KernelRidge.silent(len(present))
    return [_lesson(features.fit(cards.only(present), renamed, silent, seed), nobody)]
