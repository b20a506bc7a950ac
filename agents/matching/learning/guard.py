"""When to follow a prediction of which agent does best, and when to stay with the best single one. Used by ``routing``.

Held-out prompts say from which predicted advantage on following pays, for prompts as familiar as the one at hand. Whole
kinds of prompt are held out too, so that little trust is left for kinds never seen. Where too few prompts came out
better than the best single agent's to rule out luck, nothing is followed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from scipy.stats import t as student
from sklearn.cluster import KMeans

from agents.matching.learning.outcomes import Outcomes
from agents.matching.learning.prompts import Described

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Predict = Callable[[Rows, Rows], tuple[Floats, Floats]]
"""From rows to learn from and rows to predict: expected scores (rows, agents), and familiarity (rows,)."""

KIND_FORM_SHARE = 0.25
FOLDS = 4
KIND_ROWS, LARGE_KIND_ROWS, KINDS_MAX = 60, 400, 24
FAMILIARITY_BINS = 5
ADVANTAGES = (0.0, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3)
CONFIDENCE = 0.99
"""That a gain is one. High, because the best of several thresholds is taken in each of several bins: at 0.84 one split
in two fell below the best single agent on prompts of unseen templates. Prompts of a kind that was held out go wrong
together, so there the standard error is that of kinds (Liang and Zeger 1986)."""
LUCK = 1e-4
"""How likely luck alone may be to better so many of the prompts that following changes: small, because the thresholds
were chosen on these same prompts. With few prompts the best of them looks good whatever its standard error says."""
NEVER = float("inf")
TRIALS_MIN = 10
CLUSTERS_MIN = 2


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """``least_advantage`` (bins,) by familiarity: up to it, and where nothing is proven, the best single agent."""

    edges: Floats
    least_advantage: Floats

    @classmethod
    def closed(cls) -> "Guard":
        """Always the best single agent."""
        return cls(np.zeros(0, dtype=np.float32), np.array([NEVER], dtype=np.float32))

    def trusts(self, advantage: Floats, familiarity: Floats) -> NDArray[np.bool_]:
        """(prompts,) where to follow the prediction."""
        return advantage > self.least_advantage[np.searchsorted(self.edges, familiarity)]


@dataclass(frozen=True, slots=True, eq=False)
class _Trials:
    """Held-out prompts: the predicted advantage of the agent preferred over the best single one, what it really was,
    how familiar the prompt was, which ``prompt`` it was, and which trials go wrong together: ``cluster`` (trials,) is
    the prompt's kind where whole kinds were held out, and the prompt's own where its kind was known."""

    advantage: Floats
    gain: Floats
    familiarity: Floats
    cluster: Rows
    prompt: Rows

    def luck(self, guard: Guard) -> float:
        """How likely chance alone would better as many different prompts, and worsen as few, as this (sign test)."""
        gain = np.where(guard.trusts(self.advantage, self.familiarity), self.gain, 0.0)
        by_prompt = np.bincount(self.prompt, weights=gain)
        worse = int((by_prompt < 0).sum())
        return float(binom.cdf(worse, worse + int((by_prompt > 0).sum()), 0.5))


def fit(described: Described, outcomes: Outcomes, predict: Predict, seed: int) -> Guard:
    """``predict`` learns from some of the prompts and predicts others, again and again."""
    rng = np.random.default_rng(seed)
    kinds = _kinds(described, KIND_ROWS, seed)
    ways = [(rng.permutation(len(described)) % FOLDS, KINDS_MAX + np.arange(len(described)))]
    for size in (KIND_ROWS, LARGE_KIND_ROWS):
        held_together = _kinds(described, size, seed)
        ways.append(((rng.permutation(held_together.max() + 1) % FOLDS)[held_together], kinds))
    trials = _trials(outcomes, ways, predict)
    if not len(trials.cluster):
        return Guard.closed()
    edges = np.quantile(trials.familiarity, np.linspace(0, 1, FAMILIARITY_BINS + 1)[1:-1]).astype(np.float32)
    bins = np.searchsorted(edges, trials.familiarity)
    least = np.array([_least(trials, bins == one) for one in range(FAMILIARITY_BINS)], dtype=np.float32)
    guard = Guard(edges, least)
    return guard if trials.luck(guard) <= LUCK else Guard.closed()


def _trials(outcomes: Outcomes, ways: Sequence[tuple[Rows, Rows]], predict: Predict) -> _Trials:
    """Every fold of every way to fold, predicted from the others. A way is each prompt's fold, and its cluster."""
    folds = [(fold == number, clusters) for fold, clusters in ways for number in range(FOLDS)]
    parts = [_trial(outcomes, clusters, out, predict) for out, clusters in folds if out.any() and not out.all()]
    return _Trials(
        np.concatenate([part.advantage for part in parts]),
        np.concatenate([part.gain for part in parts]),
        np.concatenate([part.familiarity for part in parts]),
        np.concatenate([part.cluster for part in parts]),
        np.concatenate([part.prompt for part in parts]),
    )


def _kinds(described: Described, rows: int, seed: int) -> Rows:
    """(prompts,) which kind each is, kinds having about so many rows."""
    count = min(int(np.clip(len(described) // rows, FOLDS, KINDS_MAX)), len(described))
    looks = np.hstack([described.vectors, KIND_FORM_SHARE * described.form])
    kinds: Rows = KMeans(count, n_init=1, random_state=seed).fit_predict(looks).astype(np.int64)
    return kinds


def _trial(outcomes: Outcomes, clusters: Rows, out: NDArray[np.bool_], predict: Predict) -> _Trials:
    """Only prompts on which the best single agent was tried say what another one gains; only who was tried is one."""
    best = outcomes.best
    held = np.flatnonzero(out & outcomes.tried[:, best])
    expected, familiarity = predict(np.flatnonzero(~out), held)
    rows = np.arange(len(held))
    chosen = np.where(outcomes.tried[held], expected, -np.inf).argmax(axis=1)
    truth = outcomes.scores[held]
    return _Trials(
        expected[rows, chosen] - expected[:, best],
        truth[rows, chosen] - truth[:, best],
        familiarity,
        clusters[held],
        held,
    )


def _least(trials: _Trials, among: NDArray[np.bool_]) -> float:
    """From which advantage on following the prediction gains most among these prompts, of those that surely gain.

    NEVER when none surely does, or when there are too few of these prompts to say.
    """
    clusters, count = np.unique(trials.cluster[among], return_inverse=True)[1], int(among.sum())
    different = int(clusters.max()) + 1 if count else 0
    if count < TRIALS_MIN or different < CLUSTERS_MIN:
        return NEVER
    doubt = float(student.ppf(CONFIDENCE, different - 1))
    best, least = 0.0, NEVER
    for advantage in ADVANTAGES:
        gain = np.where(trials.advantage[among] > advantage, trials.gain[among], 0.0)
        by_cluster = np.bincount(clusters, weights=gain - gain.mean())
        surely = float(gain.mean() - doubt * np.sqrt(np.square(by_cluster).sum()) / count)
        if surely > 0 and gain.mean() > best:
            best, least = float(gain.mean()), advantage
    return least
