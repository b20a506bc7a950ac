"""Which kind of task a task is of: incremental clustering of task vectors within one shape. Called by ``book``.

Leader clustering (Hartigan 1975): a task joins the nearest kind within reach, else founds one. Bounded: the kind that
was not met for longest makes room. Goals said word for word as before are of their kind whatever the vector says;
they are known by digests (``binding.wording_of``).
"""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from tensor_layer.ports import Vector

KINDS_MAX = 512
WORDINGS_MAX = 4096
SAME_KIND = 0.80
"""Cosine of two tasks of one goal; the agents near by are compared too before a plan is used for other words."""
SAME_KIND_OF_SEVERAL = 0.92
"""Of tasks of several goals, whose single goals have no vectors yet when a plan is looked up."""

Goals = tuple[str, ...]
"""Digests of goals' words, in order."""


@dataclass(frozen=True, slots=True)
class Met:
    """The kind of a task. ``cosine`` is 1.0 when its goals were said word for word before."""

    kind: str
    cosine: float
    word_for_word: bool


class Kinds:
    """The kinds of one tenant's tasks. Not thread-safe: the event loop owns it."""

    def __init__(self, limit: int = KINDS_MAX) -> None:
        self._limit = limit
        self._members: OrderedDict[str, tuple[str, Vector | None]] = OrderedDict()
        self._of_shape: dict[str, list[str]] = {}
        self._middles: dict[str, dict[int, Vector]] = {}
        """By shape, then by the vectors' dimension."""
        self._wordings: OrderedDict[tuple[str, Goals], str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._members)

    def meet(self, shape: str, goals: Goals, vector: Vector | None) -> Met | None:
        """The kind of such a task; None when it is of none that is known. ``vector`` is (dimension,) unit-norm.

        Kinds whose vectors another encoder made, of another dimension, are only recognised word for word.
        """
        said = self._wordings.get((shape, goals))
        if said is not None and said in self._members:
            self._members.move_to_end(said)
            return Met(said, 1.0, word_for_word=True)
        if vector is None:
            return None
        kinds = [kind for kind in self._of_shape.get(shape, ()) if _dimension(self._members[kind][1]) == len(vector)]
        if not kinds:
            return None
        cosines = self._middle_of(shape, len(vector), kinds) @ vector
        best = int(np.argmax(cosines))
        if cosines[best] < (SAME_KIND if len(goals) == 1 else SAME_KIND_OF_SEVERAL):
            return None
        self._members.move_to_end(kinds[best])
        return Met(kinds[best], float(cosines[best]), word_for_word=False)

    def found(self, kind: str, shape: str, goals: Goals, vector: Vector | None) -> str | None:
        """A kind that is there from now on, or is met with new words. Gives back the kind that had to make room."""
        if kind not in self._members:
            self._of_shape.setdefault(shape, []).append(kind)
            self._members[kind] = (shape, vector)
            self._middles.pop(shape, None)
        self._members.move_to_end(kind)
        if goals:
            self._wordings[shape, goals] = kind
        if len(self._wordings) > WORDINGS_MAX:
            self._wordings.popitem(last=False)
        if len(self._members) <= self._limit:
            return None
        oldest = next(iter(self._members))
        self.forget(oldest)
        return oldest

    def forget(self, kind: str) -> None:
        """The kind is gone; its tasks are of none until one founds it again."""
        if kind in self._members:
            shape, _ = self._members.pop(kind)
            self._of_shape[shape].remove(kind)
            self._middles.pop(shape, None)
            if not self._of_shape[shape]:
                del self._of_shape[shape]

    def _middle_of(self, shape: str, dimension: int, kinds: list[str]) -> Vector:
        """(kinds, dimension)."""
        middles = self._middles.setdefault(shape, {})
        if dimension not in middles:
            middles[dimension] = np.stack([vector for kind in kinds if (vector := self._members[kind][1]) is not None])
        return middles[dimension]


def _dimension(vector: Vector | None) -> int | None:
    return None if vector is None else len(vector)
