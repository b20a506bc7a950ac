"""``aos bench match``: how often the right agent is first, from cards alone or after experience. Called by the CLI."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agents.matching.evaluation import scores
from agents.matching.evaluation.rows import CatalogueRows, QueryRows
from agents.matching.evaluation.vector_cache import Tell, VectorCache, silent
from agents.matching.learning.cards import Cards, card_texts
from agents.matching.learning.model import ROWS_MIN, MatchModel, Ranked, train
from agents.matching.learning.solved import Solved
from tensor_layer.ports import Vector

PLACES = 50
"""How deep the list is that the mean reciprocal rank is taken over."""
TIMED_QUERIES = 200
WARM_UP_QUERIES = 5


@dataclass(frozen=True, slots=True)
class MatchFigures:
    """All shares are 0-1. Recall is None where every query is out of scope, ``abstain`` where none is, or all are."""

    recall_at_1: float | None
    recall_at_5: float | None
    recall_at_10: float | None
    mrr: float | None
    abstain_auroc: float | None
    abstain_caught: float | None
    abstain_curve: list[tuple[float, float]] | None
    latency_ms: dict[str, float]
    train_s: float
    agents: int
    queries: int
    experience: int
    seed: int
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, object]:
        """The document that ``--json`` prints."""
        return {
            "recall_at_1": self.recall_at_1,
            "recall_at_5": self.recall_at_5,
            "recall_at_10": self.recall_at_10,
            "mrr": self.mrr,
            "abstain": {
                "auroc": self.abstain_auroc,
                "oos_recall_at_95": self.abstain_caught,
                "caught_by_kept": self.abstain_curve,
            },
            "latency_ms": self.latency_ms,
            "train_s": self.train_s,
            "agents": self.agents,
            "queries": self.queries,
            "experience": self.experience,
            "seed": self.seed,
            "notes": list(self.notes),
        }


async def load_cards(catalogue: CatalogueRows, vectors: VectorCache, tell: Tell = silent) -> Cards:
    """The catalogue's cards with their vectors."""
    texts = [card_texts(name, text) for name, text in zip(catalogue.names, catalogue.descriptions, strict=True)]
    return Cards.of(texts, await vectors.encode([view for views in texts for view in views], tell))


async def load_solved(rows: QueryRows, vectors: VectorCache, tell: Tell = silent) -> Solved:
    """Past queries with their vectors. Those whose every right agent is gone teach nothing, so they are left out."""
    kept = [row for row in range(len(rows.queries)) if row not in rows.unanswerable]
    texts = tuple(rows.queries[row] for row in kept)
    return Solved(await vectors.encode(texts, tell), texts, tuple(rows.gold[row] for row in kept))


def measure(cards: Cards, asked: QueryRows, vectors: Vector, solved: Solved | None, seed: int) -> MatchFigures:
    """Train on ``solved`` (None: cards alone), rank every query, and time some of them one by one."""
    began = time.perf_counter()
    model = train(cards, solved, seed) if solved is not None else MatchModel.untrained(cards)
    train_s = time.perf_counter() - began
    ranked = model.rank(vectors, asked.queries, PLACES)
    return _figures(asked, ranked, train_s, _timed(model, vectors, asked.queries), len(cards), solved, seed)


def _figures(
    asked: QueryRows,
    ranked: Ranked,
    train_s: float,
    latency_ms: dict[str, float],
    agents: int,
    solved: Solved | None,
    seed: int,
) -> MatchFigures:
    inside = np.array(asked.in_scope)
    rows = np.flatnonzero(inside)
    places = scores.first_hits(ranked.agents[rows], [asked.gold[row] for row in rows])
    nobody_fits, somebody_fits = ranked.nobody[~inside], ranked.nobody[inside]
    return MatchFigures(
        recall_at_1=scores.recall_at(places, 1),
        recall_at_5=scores.recall_at(places, 5),
        recall_at_10=scores.recall_at(places, 10),
        mrr=scores.mean_reciprocal_rank(places),
        abstain_auroc=scores.auroc(nobody_fits, somebody_fits),
        abstain_caught=scores.caught_at(nobody_fits, somebody_fits),
        abstain_curve=scores.caught_by_kept(nobody_fits, somebody_fits),
        latency_ms=latency_ms,
        train_s=round(train_s, 3),
        agents=agents,
        queries=len(asked.queries),
        experience=len(solved) if solved is not None else 0,
        seed=seed,
        notes=(*asked.notes, *_fallbacks(inside, solved)),
    )


def _fallbacks(inside: NDArray[np.bool_], solved: Solved | None) -> tuple[str, ...]:
    notes = []
    if not inside.any():
        notes.append("every query is out of scope: there is no recall")
    if inside.all():
        notes.append("no query is out of scope: abstaining is not measured")
    if solved is not None and len(solved.pairs[0]) < ROWS_MIN:
        notes.append(f"fewer than {ROWS_MIN} solved queries in the experience: cards alone decide")
    return tuple(notes)


def _timed(model: MatchModel, vectors: Vector, texts: Sequence[str]) -> dict[str, float]:
    """Query by query, as a gateway sees them; encoding the text is not part of it."""
    timed = range(min(len(texts), TIMED_QUERIES))
    spent = []
    for row in (*timed[:WARM_UP_QUERIES], *timed):
        began = time.perf_counter()
        model.rank(vectors[row : row + 1], texts[row : row + 1])
        spent.append(time.perf_counter() - began)
    return scores.percentiles_ms(spent[-len(timed) :])
