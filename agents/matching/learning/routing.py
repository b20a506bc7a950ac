"""Which of several interchangeable agents does best on a prompt, and when not to try. Called by ``aos bench route``.

Generalists all match every prompt; what differs is how well they do, and by how little the text tells. Two predictors
of each agent's score are averaged: ridge regression over words, meaning and form, and the nearest past prompts. Then a
guard: another agent than the best single one is chosen only where held-out prompts as familiar as this one have shown,
with confidence, that following so large a predicted advantage pays. Whole kinds of prompt are held out too, so that
for kinds never seen the answer is the best single agent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer

from agents.matching.learning import boundaries
from agents.matching.learning.boundaries import Space

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

RIDGE = 60.0
RIDGE_STEPS = 25
NEIGHBOURS = 50
NEIGHBOUR_SHARPNESS = 10.0
FORM_SHARE = 0.1
KIND_FORM_SHARE = 0.25
FOLDS = 4
KIND_ROWS, LARGE_KIND_ROWS, KINDS_MAX = 60, 400, 24
CROWD = 10
ASKED_AT_ONCE = 512
FAMILIARITY_BINS = 5
ADVANTAGES = (0.0, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3)
DOUBT = 1.0
"""Standard errors, robust to prompts of one kind going wrong together, that a gain must be above zero."""
NEVER = float("inf")
ROWS_MIN = 40
TRIALS_MIN = 10


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """``vectors`` (rows, d) unit-norm and the ``texts`` of the same prompts."""

    vectors: Floats
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def pick(self, rows: Rows) -> "Prompts":
        """Some of the rows."""
        return Prompts(self.vectors[rows], tuple(self.texts[row] for row in rows))


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """Prompts as the predictors see them: ``vectors`` (rows, d), ``form`` (rows, len(MARKS)), all in ``space``."""

    vectors: Floats
    form: Floats
    space: Space

    def __len__(self) -> int:
        return len(self.vectors)

    def pick(self, rows: Rows) -> "Described":
        """Some of the rows."""
        space = Space(self.space.words[rows], self.space.meaning[rows])
        return Described(self.vectors[rows], self.form[rows], space)

    def resemblance(self, other: "Described") -> Floats:
        """(rows, other's rows): the cosine of meaning, plus that of words, less how much the form differs.

        Prompts of one kind are alike in all three, those of a new kind seldom: on held-out tasks this tells new from
        known nearly twice as well as meaning alone (area under the curve 0.88 against 0.67).
        """
        alike: Floats = self.vectors @ other.vectors.T
        alike += (self.space.words @ other.space.words.T).toarray()
        squared = np.square(self.form).sum(axis=1)[:, None] + np.square(other.form).sum(axis=1)
        apart = np.sqrt(np.maximum(squared - 2.0 * (self.form @ other.form.T), 0.0))
        alike -= FORM_SHARE * apart
        return alike


@dataclass(frozen=True, slots=True, eq=False)
class Describer:
    """Turns prompts into what is learned from. Fitted without any score."""

    vocabulary: TfidfVectorizer | None
    form: "FormScale"

    @classmethod
    def fit(cls, texts: Sequence[str]) -> "Describer":
        """The words and the usual form of these prompts."""
        return cls(boundaries.vocabulary_of(texts), FormScale.fit(texts))

    def describe(self, prompts: Prompts) -> Described:
        """The same prompts, described."""
        form = self.form.of(prompts.texts)
        space = Space.of(self.vocabulary, prompts.vectors, prompts.texts)
        joined = np.hstack([space.meaning, FORM_SHARE * form]).astype(np.float32)
        return Described(prompts.vectors, form, Space(space.words, joined))


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """Expected scores, and how familiar a prompt is."""

    weights: Floats
    mean: Floats
    known: Described
    crowding: Floats
    scores: Floats

    @classmethod
    def fit(cls, described: Described, scores: Floats) -> "Predictor":
        """``scores`` (rows, agents), all known."""
        mean = scores.mean(axis=0)
        deviations = scores - mean
        weights = boundaries.conjugate(
            described.space,
            np.ones_like(deviations),
            described.space.back(deviations),
            ridge=RIDGE,
            steps=RIDGE_STEPS,
        )
        _, alike = _nearest(described, described, CROWD + 1)
        return cls(weights, mean, described, alike[:, 1:].mean(axis=1), scores)

    def predict(self, described: Described) -> tuple[Floats, Floats]:
        """(prompts, agents) expected scores, and (prompts,) familiarity.

        Familiarity is how like the nearest prompts are, less how like those are to their own nearest: about 0 for a
        known kind, below for a new one, however dense or loose the kinds around it (the local outlier factor of
        Breunig et al. 2000, as a difference).
        """
        near, closeness = _nearest(described, self.known, NEIGHBOURS)
        shares = np.exp(NEIGHBOUR_SHARPNESS * (closeness - closeness[:, :1]))
        shares /= shares.sum(axis=1, keepdims=True)
        voted = np.einsum("pn,pna->pa", shares, self.scores[near])
        linear = described.space.times(self.weights) + self.mean
        familiarity = closeness[:, :CROWD].mean(axis=1) - self.crowding[near[:, :CROWD]].mean(axis=1)
        return ((linear + voted) / 2).astype(np.float32), familiarity


def _nearest(asked: Described, among: Described, count: int) -> tuple[Rows, Floats]:
    """(asked, count) the rows that resemble each most, and how much, most first."""
    count = min(count, len(among))
    rows, cosines = [], []
    for start in range(0, len(asked), ASKED_AT_ONCE):
        every = asked.pick(np.arange(start, min(start + ASKED_AT_ONCE, len(asked)))).resemblance(among)
        near = np.argpartition(-every, count - 1, axis=1)[:, :count]
        close = np.take_along_axis(every, near, axis=1)
        order = np.argsort(-close, axis=1)
        rows.append(np.take_along_axis(near, order, axis=1))
        cosines.append(np.take_along_axis(close, order, axis=1))
    return np.concatenate(rows), np.concatenate(cosines)


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
class Router:
    """``best`` is the row of the best single agent."""

    describer: Describer
    predictor: Predictor
    guard: Guard
    best: int

    def choose(self, prompts: Prompts, costs: Floats | None = None) -> Rows:
        """(prompts,) the agent for each. ``costs`` (agents,) are subtracted from expected scores: then thrift may
        choose what the guard alone would not, because saving is certain where gaining is not."""
        expected, familiarity = self.predictor.predict(self.describer.describe(prompts))
        chosen = expected.argmax(axis=1)
        advantage = expected[np.arange(len(chosen)), chosen] - expected[:, self.best]
        kept = np.where(self.guard.trusts(advantage, familiarity), chosen, self.best).astype(np.int64)
        if costs is None or not costs.any():
            return kept
        worth = expected - costs
        thrifty = worth.argmax(axis=1)
        rows = np.arange(len(kept))
        return np.where(worth[rows, thrifty] > worth[rows, kept], thrifty, kept).astype(np.int64)


def fit(prompts: Prompts, scores: Floats, seed: int = 0) -> Router:
    """``scores`` (prompts, agents), NaN where an agent was not tried. Fewer than ROWS_MIN prompts: always the best."""
    filled = _filled(scores)
    best = int(filled.mean(axis=0).argmax())
    describer = Describer.fit(prompts.texts)
    described = describer.describe(prompts)
    guard = _guard(described, filled, best, seed) if len(prompts) >= ROWS_MIN else Guard.closed()
    return Router(describer, Predictor.fit(described, filled), guard, best)


def _filled(scores: Floats) -> Floats:
    """What was not tried is taken for the agent's mean, raised or lowered by how the prompt went for the others."""
    tried = ~np.isnan(scores)
    known = np.where(tried, scores, 0.0)
    overall = known.sum() / max(tried.sum(), 1)
    counts = tried.sum(axis=0)
    mean = np.where(counts > 0, known.sum(axis=0) / np.maximum(counts, 1), overall)
    lift = np.where(tried, scores - mean, 0.0).sum(axis=1) / np.maximum(tried.sum(axis=1), 1)
    filled: Floats = np.where(tried, scores, mean + lift[:, None]).astype(np.float32)
    return filled


@dataclass(frozen=True, slots=True, eq=False)
class _Trials:
    """Held-out prompts: the predicted advantage of the agent preferred over the best single one, what it really was,
    how familiar the prompt was, and its kind."""

    advantage: Floats
    gain: Floats
    familiarity: Floats
    kind: Rows


def _guard(described: Described, scores: Floats, best: int, seed: int) -> Guard:
    rng = np.random.default_rng(seed)
    kinds = _kinds(described, KIND_ROWS, seed)
    ways = [rng.permutation(len(described)) % FOLDS]
    for size in (KIND_ROWS, LARGE_KIND_ROWS):
        held_together = _kinds(described, size, seed)
        ways.append((rng.permutation(held_together.max() + 1) % FOLDS)[held_together])
    trials = _trials(described, scores, best, kinds, ways)
    edges = np.quantile(trials.familiarity, np.linspace(0, 1, FAMILIARITY_BINS + 1)[1:-1]).astype(np.float32)
    bins = np.searchsorted(edges, trials.familiarity)
    return Guard(edges, np.array([_least(trials, bins == one) for one in range(FAMILIARITY_BINS)], dtype=np.float32))


def _trials(described: Described, scores: Floats, best: int, kinds: Rows, ways: Sequence[Rows]) -> _Trials:
    """Every fold of every way to fold, predicted from the others."""
    parts = [_trial(described, scores, best, kinds, fold == number) for fold in ways for number in range(FOLDS)]
    return _Trials(
        np.concatenate([part.advantage for part in parts]),
        np.concatenate([part.gain for part in parts]),
        np.concatenate([part.familiarity for part in parts]),
        np.concatenate([part.kind for part in parts]),
    )


def _kinds(described: Described, rows: int, seed: int) -> Rows:
    """(prompts,) which kind each is, kinds having about so many rows."""
    count = int(np.clip(len(described) // rows, FOLDS, KINDS_MAX))
    looks = np.hstack([described.vectors, KIND_FORM_SHARE * described.form])
    kinds: Rows = KMeans(count, n_init=1, random_state=seed).fit_predict(looks).astype(np.int64)
    return kinds


def _trial(described: Described, scores: Floats, best: int, kinds: Rows, out: NDArray[np.bool_]) -> _Trials:
    learned, held = np.flatnonzero(~out), np.flatnonzero(out)
    if not len(held) or not len(learned):
        nothing = np.zeros(0, dtype=np.float32)
        return _Trials(nothing, nothing, nothing, np.zeros(0, dtype=np.int64))
    expected, familiarity = Predictor.fit(described.pick(learned), scores[learned]).predict(described.pick(held))
    chosen, rows = expected.argmax(axis=1), np.arange(len(held))
    truth = scores[held]
    return _Trials(
        expected[rows, chosen] - expected[:, best], truth[rows, chosen] - truth[:, best], familiarity, kinds[held]
    )


def _least(trials: _Trials, among: NDArray[np.bool_]) -> float:
    """From which advantage on following the prediction gains most among these prompts, of those that surely gain.

    NEVER when none surely does; 0 when there are too few of these prompts to say.
    """
    kinds, count = trials.kind[among], int(among.sum())
    if count < TRIALS_MIN:
        return 0.0
    best, least = 0.0, NEVER
    for advantage in ADVANTAGES:
        gain = np.where(trials.advantage[among] > advantage, trials.gain[among], 0.0)
        by_kind = np.bincount(kinds, weights=gain - gain.mean())
        surely = float(gain.mean() - DOUBT * np.sqrt(np.square(by_kind).sum()) / count)
        if surely > 0 and gain.mean() > best:
            best, least = float(gain.mean()), advantage
    return least


@dataclass(frozen=True, slots=True, eq=False)
class FormScale:
    """What a prompt looks like, whatever it says: (prompts, len(MARKS)) in deviations from the prompts learned from."""

    mean: Floats
    spread: Floats

    @classmethod
    def fit(cls, texts: Sequence[str]) -> "FormScale":
        """The usual form of these prompts."""
        form = _form(texts)
        return cls(form.mean(axis=0), form.std(axis=0) + np.float32(1e-3))

    def of(self, texts: Sequence[str]) -> Floats:
        """(texts, len(MARKS)) float32, within 4 deviations."""
        scaled: Floats = np.clip((_form(texts) - self.mean) / self.spread, -4.0, 4.0).astype(np.float32)
        return scaled


def _share(characters: Callable[[str], bool]) -> Callable[[str], float]:
    return lambda text: sum(map(characters, text)) / max(len(text), 1)


MARKS: tuple[Callable[[str], float], ...] = (
    lambda text: float(np.log1p(len(text))),
    lambda text: float(np.log1p(text.count("\n"))),
    _share(str.isdigit),
    _share(str.isupper),
    _share(lambda character: character in "{}[]()=<>\\^_$"),
    _share(lambda character: ord(character) > 127),
    lambda text: float(text.rstrip().endswith("?")),
)


def _form(texts: Sequence[str]) -> Floats:
    return np.array([[mark(text[:4_000]) for mark in MARKS] for text in texts], dtype=np.float32)
