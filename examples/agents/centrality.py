"""Which sentences or words are central: TF-IDF weights, and PageRank over their graph. Asked by summary and keywords.

Written on numpy alone: importing scikit-learn and networkx's PageRank costs 2 s and 150 MB in every child process, a
hundred times the work itself.
"""

import numpy as np

DAMPING = 0.85
TOLERANCE = 1e-8
MOST_ROUNDS = 200

STOP_WORDS = frozenset(
    """
    a about above after again against all almost along already also although always am among an and another any anyone
    anything are around as at away back be became because become been before began behind being below beside between
    both but by came can cannot could did do does doing done down during each either else enough etc even ever every
    everyone everything few first for from full further gave get gets give given go goes going gone got had has have
    having he her here hers herself him himself his how however i if in indeed instead into is it its itself just keep
    kept last least less let like likely made make makes making many may maybe me might mine more most mostly much must
    my myself near need needs neither never new next no nobody none nor not nothing now nowhere of off often on once one
    only onto or other others our ours ourselves out over own part people per percent perhaps please put quite rather
    really said same saw say says see seem seemed seems several she should show side since so some someone something
    sometimes soon still such take taken than that the their theirs them themselves then there therefore these they
    thing things this those though through thus time to together too took toward towards under until up upon us use
    used uses using very want was way we well went were what whatever when where whether which while who whole whom
    whose why will with within without would yes yet you your yours yourself year years mr mrs dr two three four five
    """.split()  # noqa: SIM905 - a list of four hundred quoted words would fill five pages
)


def tfidf(texts: list[list[str]]) -> np.ndarray:
    """(texts, vocabulary) float32, rows unit-norm or zero: 1 + log of the count, times the smoothed rarity (Salton)."""
    vocabulary = {word: place for place, word in enumerate(sorted({word for text in texts for word in text}))}
    counts = np.zeros((len(texts), max(len(vocabulary), 1)), dtype=np.float32)
    for row, text in enumerate(texts):
        np.add.at(counts[row], [vocabulary[word] for word in text], 1)
    rarity = np.log((1 + len(texts)) / (1 + (counts > 0).sum(axis=0))) + 1
    weights = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0).astype(np.float32) * rarity.astype(np.float32)
    return weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-12)


def pagerank(source: np.ndarray, target: np.ndarray, weight: np.ndarray, count: int) -> np.ndarray:
    """(count,) summing to 1: where a walk along the weighted edges source -> target spends its time (Page et al. 1999).

    A place without edges jumps anywhere.
    """
    strength = np.bincount(source, weight, count)
    share = weight / strength[source]
    stuck = strength == 0
    ranks = np.full(count, 1 / count)
    for _ in range(MOST_ROUNDS):
        moved = np.bincount(target, ranks[source] * share, count) + ranks[stuck].sum() / count
        moved = (1 - DAMPING) / count + DAMPING * moved
        if np.abs(moved - ranks).sum() < TOLERANCE:
            break
        ranks = moved
    return ranks
