"""Where in a task's words each agent is spoken of, and how clearly. Called by ``members`` and ``handovers``.

People mostly ask in the order of work. Readers of words say which agent a passage speaks for: one learned from whole
past tasks; one from the words around the passages in which the first finds a task's agents; one from words aligned to
a task's agents; and, where the experience has them, one from what each agent was asked in its step. Past tasks are
read by models trained without their fold.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from agents.evolving.prediction.alignment import Aligned
from agents.evolving.prediction.dual import Regressed
from agents.evolving.prediction.memory import give_back
from agents.evolving.prediction.past import PastGraph, Step
from agents.evolving.prediction.readers import MIDDLE, PLACE, WORDS_MAX, Asked, Reader
from agents.evolving.space import Floats, Ints

ASKED_WORDS = 5
"""So many words to either side of an agent's clearest passage are supposed to be what it was asked."""
STEPS_MAX = 8000
"""The work grows with the cube: of more steps the last ones are used."""
STEPS_AGENTS = 25_000_000
"""So many steps times agents are weighed: with more than 3,125 agents fewer steps are used."""
SUPPOSED = 1
"""The place of the reader that learned from what agents are only supposed to have been asked."""


class Passages:
    """Learns at construction. ``members`` is (past tasks, agents) of 0 and 1, ``candidates`` (past tasks, k).

    ``past``, (past tasks, k, readers, READ), is what is read of the candidates, without a task's own fold.
    """

    def __init__(
        self,
        texts: Sequence[str],
        graphs: Sequence[PastGraph],
        members: sparse.csr_matrix,
        folds: Ints,
        candidates: Ints,
    ) -> None:
        own = [np.array(graph.agents, dtype=np.intp) for graph in graphs]
        both = [np.concatenate(pair) for pair in zip(candidates, own, strict=True)]
        first = Reader(texts, members, folds, Regressed, Asked(texts, folds, both))
        size, asked = candidates.shape[1], Asked(texts, folds, list(candidates))
        supposed = [
            _supposed(text, graph.agents, read[size:])
            for text, graph, read in zip(texts, graphs, first.past, strict=True)
        ]
        steps = [graph.steps for graph in graphs]
        give_back()
        later = [_of_steps(supposed, asked, members.shape[1]), Reader(texts, members, folds, Aligned, asked)]
        give_back()
        if any(steps):
            later.append(_of_steps(steps, asked, members.shape[1]))
        self._readers = [first, *later]
        read = [[of_text[:size] for of_text in first.past], *(reader.past for reader in later)]
        self.past: Floats = np.stack([np.stack(of_all) for of_all in read], axis=2)

    def read(self, texts: Sequence[str], candidates: Ints) -> Floats:
        """(texts, k, readers, READ) of new tasks and their candidates, (texts, k)."""
        of_texts = list(candidates)
        return np.stack([np.stack(reader.read(texts, of_texts)) for reader in self._readers], axis=2)


def _of_steps(steps: Sequence[Sequence[Step]], past: Asked, agents: int) -> Reader:
    """Learned from what agents were asked in each past task."""
    asked = [(row, *step) for row, of_task in enumerate(steps) for step in of_task]
    asked = asked[-min(STEPS_MAX, STEPS_AGENTS // agents) :]
    places = (np.arange(len(asked)), [agent for _, agent, _ in asked])
    targets = sparse.csr_matrix((np.ones(len(asked)), places), shape=(len(asked), agents))
    folds = past.folds[[row for row, _, _ in asked]]
    return Reader([words for _, _, words in asked], targets, folds, Regressed, past)


def _supposed(text: str, agents: Sequence[int], read: Floats) -> list[Step]:
    """What the agents were probably asked: the words around the passage that speaks clearest for each.

    ``read`` is (agents, READ).
    """
    words = text.split()[:WORDS_MAX]
    middles = [(agent, int(of_agent[PLACE] * len(words))) for agent, of_agent in zip(agents, read, strict=True)]
    return [(agent, " ".join(words[max(0, at - ASKED_WORDS) : at + ASKED_WORDS + 1])) for agent, at in middles]


def of_agents(read: Floats) -> Floats:
    """(tasks, k, features) of what was read of k agents, (tasks, k, readers, READ), but for the middles.

    Without the supposed passages: those of one fold are found by models that know the others, so held-out folds flatter
    them, for rare agents most. What they say of links was worth more than that (docs/networks.md).
    """
    trusted = np.delete(read[..., :MIDDLE], SUPPOSED, axis=2)
    return trusted.reshape(*trusted.shape[:2], -1)


def of_pairs(read: Floats) -> Floats:
    """(tasks, k, k, features) of what was read of k agents, (tasks, k, readers, READ): both ends, which is earlier."""
    plain = read[..., :MIDDLE]
    source, target = (np.expand_dims(read, axis) for axis in (2, 1))
    shape = (len(read), read.shape[1], *plain.shape[1:])
    ends = [np.broadcast_to(np.expand_dims(plain, axis), shape).reshape(*shape[:3], -1) for axis in (2, 1)]
    earlier = (source - target)[..., [PLACE, *range(MIDDLE, read.shape[-1])]]
    return np.concatenate([*ends, earlier.reshape(*shape[:3], -1)], axis=-1)
