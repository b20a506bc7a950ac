"""What speaks for each candidate, side by side: its card, and what happened before. Called by ``model``.

Every agent has the same features, so the ranker's weights are shared; those of evidence are neutral for newcomers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.matching.learning import boundaries, habits, towers
from agents.matching.learning.boundaries import Boundaries
from agents.matching.learning.cards import Cards, Nearness, standardised
from agents.matching.learning.evidence import Evidence, Support
from agents.matching.learning.habits import Habits
from agents.matching.learning.kernel_ridge import KernelRidge
from agents.matching.learning.solved import Solved
from agents.matching.learning.towers import Towers

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

SHORTLIST = 64
SHARE_FLOOR = 0.003
FAMILIAR = 0.7
"""Cosine to the nearest past query above which past queries usually decide: the zero of the feature ``familiarity``."""
KERNEL_SCALE = 5.0
TINY = 1e-6

CARD = ("meaning", "words", "cosine", "shared_words")
PAST = (
    "learned_meaning", "votes", "votes_mapped", "nearest", "nearest_mapped", "inside", "known", "frequency",
    "failed_near", "failed_votes", "habit", "habit_words", "kernel_ridge",
)  # fmt: skip
IN_FAMILIAR = ("meaning", "words", "learned_meaning", "votes_mapped", "nearest_mapped", "known", "habit", "habit_words")
NAMES = (*CARD, *PAST, *(f"{name} when familiar" for name in IN_FAMILIAR))


@dataclass(frozen=True, slots=True, eq=False)
class Shortlists:
    """For each query its best candidates in no order: ``agents`` (queries, places), -1 for nobody; ``features``
    (queries, places, len(NAMES)); ``scope`` (queries, len(SCOPE_NAMES)) speaks for nobody at all."""

    agents: Rows
    features: Floats
    scope: Floats


SCOPE_NAMES = (
    "best card", "best words", "nearest past", "nearest past mapped", "best vote", "most inside", "best logit",
    "logit margin", "nearest unsolved", "unsolved against solved",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Featuriser:
    """All that was fitted below the ranker."""

    cards: Cards
    towers: Towers
    evidence: Evidence
    mapped: Evidence
    against: Evidence
    unsolved: Floats
    boundaries: Boundaries
    habits: Habits
    kernel_ridge: KernelRidge

    def shortlists(self, vectors: Floats, texts: Sequence[str], left_out: Floats | None = None) -> Shortlists:
        """``vectors`` (queries, d) unit-norm and the same queries' words. ``left_out`` (queries, known) stands in for
        what the kernel ridge would say of queries that it learned from."""
        near = self.cards.nearness(vectors, texts)
        signals = _Signals(
            near,
            near.blended(),
            self.towers.logits(vectors),
            self.evidence.support(vectors),
            self.mapped.support(mapped := self.towers.mapped(vectors)),
            self.against.support(mapped),
            self.boundaries.sides(vectors, texts),
            standardised(self.habits.meaning(vectors)),
            standardised(self.habits.in_words(texts)),
            self.kernel_ridge.scores(vectors, texts) if left_out is None else self.kernel_ridge.spread(left_out),
        )
        agents = signals.shortlist()
        known = self.evidence.counts
        return Shortlists(agents, signals.features(agents, known), self._scope(signals, vectors))

    def with_recent(self, solved: Solved) -> "Featuriser":
        """The same, and what happened since it was fitted."""
        agents = len(self.cards)
        mapped = self.towers.mapped(solved.vectors)
        return replace(
            self,
            evidence=self.evidence.with_recent(Evidence.of(solved.vectors, solved.solved_by, agents)),
            mapped=self.mapped.with_recent(Evidence.of(mapped, solved.solved_by, agents)),
            against=self.against.with_recent(Evidence.of(mapped, solved.failed_by, agents)),
        )

    def _scope(self, signals: "_Signals", vectors: Floats) -> Floats:
        logits = np.sort(signals.logits, axis=1)[:, -2:]
        nearest = signals.support.nearest.max(axis=1)
        unsolved = (vectors @ self.unsolved.T).max(axis=1) if len(self.unsolved) else np.zeros_like(nearest)
        columns = (
            signals.near.dense.max(axis=1),
            signals.near.words.max(axis=1),
            nearest,
            signals.mapped.nearest.max(axis=1),
            np.log(signals.mapped.weight.max(axis=1) + 1e-3),
            signals.inside.max(axis=1),
            logits[:, -1] / towers.SHARPNESS,
            (logits[:, -1] - logits[:, 0]) / towers.SHARPNESS,
            unsolved,
            unsolved - nearest,
        )
        return np.stack(columns, axis=1).astype(np.float32)


def fit(cards: Cards, solved: Solved, kernel_ridge: KernelRidge, seed: int = 0) -> Featuriser:
    """Everything else below the ranker, from past queries. Rows that nobody solved teach what is out of scope."""
    (rows, agents), (failed_rows, failed_agents) = solved.pairs, solved.failures
    learned = towers.fit(
        _card_places(cards),
        solved.vectors[np.concatenate([rows, failed_rows])],
        np.concatenate([agents, failed_agents]),
        np.arange(len(rows) + len(failed_rows)) < len(rows),
        seed,
    )
    taught = solved.pick(np.flatnonzero(solved.solved | solved.outside))
    known = boundaries.fit(taught.vectors, taught.texts, taught.solved_by, len(cards))
    usual = habits.fit(_card_places(cards), cards.texts, solved.vectors, solved.texts, solved.pairs)
    mapped = learned.mapped(solved.vectors)
    return Featuriser(
        cards,
        learned,
        Evidence.of(solved.vectors, solved.solved_by, len(cards)),
        Evidence.of(mapped, solved.solved_by, len(cards)),
        Evidence.of(mapped, solved.failed_by, len(cards)),
        solved.vectors[solved.outside],
        known,
        usual,
        kernel_ridge,
    )


def _card_places(cards: Cards) -> Floats:
    places = cards.both + cards.descriptions
    unit: Floats = places / np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-9)
    return unit


@dataclass(frozen=True, slots=True, eq=False)
class _Signals:
    """(queries, agents) each."""

    near: Nearness
    blended: Floats
    logits: Floats
    support: Support
    mapped: Support
    against: Support
    inside: Floats
    habit: Floats
    habit_words: Floats
    kernel_ridge: Floats

    def shortlist(self) -> Rows:
        """The best agents by card and by evidence together."""
        order = standardised(self.blended) + standardised(self.logits) + standardised(self.mapped.nearest) + self.inside
        order += self.habit + KERNEL_SCALE * self.kernel_ridge
        places = min(SHORTLIST, order.shape[1])
        return np.argpartition(-order, places - 1, axis=1)[:, :places].astype(np.int64)

    def features(self, agents: Rows, counts: Floats) -> Floats:
        """(queries, places, len(NAMES)) float32."""
        at = _Taken(agents)
        known = (counts[agents] > 0).astype(np.float32)
        familiar = 3.0 * (self.mapped.nearest.max(axis=1, keepdims=True) - FAMILIAR)
        columns = {
            "meaning": at(standardised(self.near.dense)),
            "words": at(standardised(self.near.words)),
            "cosine": 10.0 * at(self.near.dense),
            "shared_words": 3.0 * at(self.near.words),
            "learned_meaning": at(self.logits - self.logits.max(axis=1, keepdims=True)),
            "votes": _log_share(self.support, at) * known,
            "votes_mapped": _log_share(self.mapped, at) * known,
            "nearest": 10.0 * (at(self.support.nearest) - FAMILIAR) * known,
            "nearest_mapped": 10.0 * (at(self.mapped.nearest) - FAMILIAR) * known,
            "inside": 2.0 * at(self.inside),
            "known": known,
            "frequency": np.log1p(counts[agents]),
            "failed_near": 10.0 * np.maximum(at(self.against.nearest) - FAMILIAR, 0.0),
            "failed_votes": np.log1p(10.0 * at(self.against.weight)),
            "habit": at(self.habit),
            "habit_words": at(self.habit_words),
            "kernel_ridge": KERNEL_SCALE * at(self.kernel_ridge) * self._succeeded(at),
        }
        familiar_columns = [columns[name] * familiar for name in IN_FAMILIAR]
        return np.stack([*columns.values(), *familiar_columns], axis=2).astype(np.float32)

    def _succeeded(self, at: "_Taken") -> Floats:
        """(queries, places) of the tasks like it that an agent tried, the share that went well; 1 when none failed."""
        solved, failed = at(self.mapped.weight), at(self.against.weight)
        return (solved + np.float32(TINY)) / (solved + failed + np.float32(TINY))


class _Taken:
    """Takes the shortlisted agents' columns."""

    def __init__(self, agents: Rows) -> None:
        self._agents = agents

    def __call__(self, scores: Floats) -> Floats:
        return np.take_along_axis(scores, self._agents, axis=1)


def _log_share(support: Support, at: _Taken) -> Floats:
    """An agent's share of the votes of all past queries, as a logarithm above that of no vote: 0 and up."""
    total = support.weight.sum(axis=1, keepdims=True) + 1e-9
    above: Floats = np.log(at(support.weight) / total + SHARE_FLOOR) - np.float32(np.log(SHARE_FLOOR))
    return above
