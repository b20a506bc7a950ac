"""Where in a task's words each agent is spoken of, and how clearly. Called by ``members`` and ``handovers``.

People mostly ask in the order of work. Linear models of words say which agent a passage speaks for: one learned from
whole past tasks; one from the words around the passages in which the first finds a task's agents; and, where the
experience has them, one from what each agent was asked in its step. Past tasks are read by models trained without their
fold.
"""

from collections.abc import Sequence

import numpy as np
from scipy import linalg, sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from agents.evolving.prediction.past import PastGraph, Step
from agents.evolving.space import Floats, Ints

REACH_WORDS = 3.2
"""A word speaks for its surroundings too: standard deviation of the bell in words."""
PENALTY = 1.0
ASKED_WORDS = 5
"""So many words to either side of an agent's clearest passage are supposed to be what it was asked."""
STEPS_MAX = 8000
"""The work grows with the cube: of more steps the last ones are used."""
FEW = 50
ALL = -1
READ, PLACE = 6, 2
"""What a reader says of an agent: at its clearest passage, by all words, where that passage is (0 first, 1 last), by
how much it leads the other agents there, the share of words that speak for it most, and its share of what is said."""
NOTHING = (0.0, 0.0, 0.5, 0.0, 0.0, 0.0)
"""Read where no word is known."""
SUPPOSED = 1
"""The place of the reader that learned from what agents are only supposed to have been asked."""


class Passages:
    """Learns at construction. ``past``, (past tasks, agents, readers, READ), is read without a task's own fold."""

    def __init__(self, texts: Sequence[str], graphs: Sequence[PastGraph], members: Floats, folds: Ints) -> None:
        first = _Reader(texts, members, folds)
        read = first.read(texts, folds)
        supposed = [
            _supposed(text, graph.agents, read[row])
            for row, (text, graph) in enumerate(zip(texts, graphs, strict=True))
        ]
        steps = [graph.steps for graph in graphs]
        later = [_of_steps(supposed, members.shape[1], folds)]
        if any(steps):
            later.append(_of_steps(steps, members.shape[1], folds))
        self._readers = [first, *later]
        self.past = np.stack([read, *(reader.read(texts, folds) for reader in later)], axis=2)

    def read(self, texts: Sequence[str]) -> Floats:
        """(texts, agents, readers, READ) of new tasks."""
        return np.stack([reader.read(texts, None) for reader in self._readers], axis=2)


class _Reader:
    """One linear model of words and of pairs of words. ``targets`` is (texts, agents) of 0 and 1."""

    def __init__(self, texts: Sequence[str], targets: Floats, folds: Ints) -> None:
        self._agents = targets.shape[1]
        self._terms = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2 if len(texts) > FEW else 1)
        self._split = self._terms.build_tokenizer()
        self._weights = dict[int, Floats]()
        try:
            counts = self._terms.fit_transform(texts).astype(np.float32)
        except ValueError:  # no words at all
            return
        kernel = (counts @ counts.T).toarray()
        for fold in np.unique(folds).tolist():
            self._weights[fold] = self._learned(counts, kernel, targets, np.flatnonzero(folds != fold))
        # The mean of the folds' models, not one of all: it speaks as loudly as those that the second stages learn from.
        self._weights[ALL] = np.mean(list(self._weights.values()), axis=0)

    def read(self, texts: Sequence[str], folds: Ints | None) -> Floats:
        """(texts, agents, READ), each text by the model trained without its fold; None: by all models together."""
        if not len(self._weights):
            return np.tile(NOTHING, (len(texts), self._agents, 1))
        without = np.full(len(texts), ALL) if folds is None else folds
        # A fold in which nobody had a step left nothing out.
        weights = [self._weights.get(int(fold), self._weights[ALL]) for fold in without]
        return np.stack([self._of_text(text, known) for text, known in zip(texts, weights, strict=True)])

    def _learned(self, counts: sparse.csr_matrix, kernel: Floats, targets: Floats, rows: Ints) -> Floats:
        """(terms, agents): ridge regression in its dual form, with the terms' rarity in the weights."""
        held = kernel[np.ix_(rows, rows)]
        held[np.diag_indices(len(rows))] += PENALTY
        dual = linalg.solve(held, targets[rows].astype(np.float32), assume_a="pos", overwrite_a=True)
        weights: Floats = (counts[rows].T @ dual) * self._terms.idf_[:, None].astype(np.float32)
        return weights

    def _of_text(self, text: str, weights: Floats) -> Floats:
        """(agents, READ)."""
        words = self._split(text.lower())
        said = np.zeros((len(words), self._agents))
        for place, word in enumerate(words):
            known = self._terms.vocabulary_.get(word)
            if known is not None:
                said[place] += weights[known]
            pair = self._terms.vocabulary_.get(" ".join(words[place : place + 2])) if place + 1 < len(words) else None
            if pair is not None:
                said[place : place + 2] += weights[pair] / 2.0
        if not said.any():
            return np.tile(NOTHING, (self._agents, 1))
        places = np.arange(len(words))
        around = np.exp(-(((places[:, None] - places) / REACH_WORDS) ** 2) / 2.0) @ said
        return _spoken(around, said.sum(axis=0) / np.sqrt(len(words)))


def _spoken(around: Floats, whole: Floats) -> Floats:
    """(agents, READ) of what is said around each word, (words, agents), and by all words, (agents,)."""
    words, agents = around.shape
    places, clearest = around.argmax(axis=0), around.max(axis=0)
    leaders, first = around.argmax(axis=1), around.max(axis=1)
    second = np.partition(around, -2, axis=1)[:, -2] if agents > 1 else np.zeros(words)
    rival = np.where(leaders[places] == np.arange(agents), second[places], first[places])
    odds = np.exp((around - first[:, None]) / max(float(around.std()), 1e-6))
    share = (odds / odds.sum(axis=1, keepdims=True)).mean(axis=0)
    led = np.bincount(leaders, minlength=agents) / words
    return np.stack([clearest, whole, places / words, clearest - rival, led, share], axis=-1)


def _of_steps(steps: Sequence[Sequence[Step]], agents: int, folds: Ints) -> _Reader:
    """Learned from what agents were asked in each past task."""
    asked = [(row, *step) for row, of_task in enumerate(steps) for step in of_task][-STEPS_MAX:]
    targets = np.zeros((len(asked), agents))
    targets[np.arange(len(asked)), [agent for _, agent, _ in asked]] = 1.0
    return _Reader([words for _, _, words in asked], targets, folds[[row for row, _, _ in asked]])


def _supposed(text: str, agents: Sequence[int], read: Floats) -> list[Step]:
    """What the agents were probably asked: the words around the passage that speaks clearest for each."""
    words = text.split()
    middles = [(agent, int(read[agent, PLACE] * len(words))) for agent in agents]
    return [(agent, " ".join(words[max(0, at - ASKED_WORDS) : at + ASKED_WORDS + 1])) for agent, at in middles]


def of_agents(read: Floats) -> Floats:
    """(tasks, k, features) of what was read of k agents, (tasks, k, readers, READ).

    Without the supposed passages: those of one fold are found by models that know the others, so held-out folds flatter
    them, for rare agents most. What they say of links was worth more than that (docs/networks.md).
    """
    trusted = np.delete(read, SUPPOSED, axis=2)
    return trusted.reshape(*trusted.shape[:2], -1)


def of_pairs(read: Floats) -> Floats:
    """(tasks, k, k, features) of what was read of k agents, (tasks, k, readers, READ): both ends, which is earlier."""
    plain = read[..., : PLACE + 1]
    source, target = (np.expand_dims(plain, axis) for axis in (2, 1))
    shape = (len(read), read.shape[1], *plain.shape[1:])
    ends = [np.broadcast_to(end, shape).reshape(*shape[:3], -1) for end in (source, target)]
    return np.concatenate([*ends, (source - target)[..., PLACE]], axis=-1)
