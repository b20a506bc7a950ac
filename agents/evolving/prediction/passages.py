"""Where in a task's words each agent is spoken of, and how clearly. Called by ``members`` and ``handovers``.

People mostly ask in the order of work. Readers of words say which agent a passage speaks for: one learned from whole
past tasks; one from the words around the passages in which the first finds a task's agents; one from words aligned to
a task's agents; and, where the experience has them, one from what each agent was asked in its step. Past tasks are
read by models trained without their fold.
"""

from collections.abc import Sequence

import numpy as np

from agents.evolving.prediction.alignment import aligned
from agents.evolving.prediction.past import PastGraph, Step
from agents.evolving.prediction.readers import MIDDLE, PLACE, Reader, regressed
from agents.evolving.space import Floats, Ints

ASKED_WORDS = 5
"""So many words to either side of an agent's clearest passage are supposed to be what it was asked."""
STEPS_MAX = 8000
"""The work grows with the cube: of more steps the last ones are used."""
SUPPOSED = 1
"""The place of the reader that learned from what agents are only supposed to have been asked."""


class Passages:
    """Learns at construction. ``past``, (past tasks, agents, readers, READ), is read without a task's own fold."""

    def __init__(self, texts: Sequence[str], graphs: Sequence[PastGraph], members: Floats, folds: Ints) -> None:
        first = Reader(texts, members, folds, regressed)
        read = first.read(texts, folds)
        supposed = [
            _supposed(text, graph.agents, read[row])
            for row, (text, graph) in enumerate(zip(texts, graphs, strict=True))
        ]
        steps = [graph.steps for graph in graphs]
        later = [_of_steps(supposed, members.shape[1], folds), Reader(texts, members, folds, aligned)]
        if any(steps):
            later.append(_of_steps(steps, members.shape[1], folds))
        self._readers = [first, *later]
        self.past = np.stack([read, *(reader.read(texts, folds) for reader in later)], axis=2)

    def read(self, texts: Sequence[str]) -> Floats:
        """(texts, agents, readers, READ) of new tasks."""
        return np.stack([reader.read(texts, None) for reader in self._readers], axis=2)


def _of_steps(steps: Sequence[Sequence[Step]], agents: int, folds: Ints) -> Reader:
    """Learned from what agents were asked in each past task."""
    asked = [(row, *step) for row, of_task in enumerate(steps) for step in of_task][-STEPS_MAX:]
    targets = np.zeros((len(asked), agents))
    targets[np.arange(len(asked)), [agent for _, agent, _ in asked]] = 1.0
    return Reader([words for _, _, words in asked], targets, folds[[row for row, _, _ in asked]], regressed)


def _supposed(text: str, agents: Sequence[int], read: Floats) -> list[Step]:
    """What the agents were probably asked: the words around the passage that speaks clearest for each."""
    words = text.split()
    middles = [(agent, int(read[agent, PLACE] * len(words))) for agent in agents]
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
