"""Scenes of coloured shapes: what can be in one, how it is called, and which compositions are kept out of training.

Called by ``pictures`` (which draws them) and by the evaluation. Everything is a plain function of its arguments.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 32, 36),
    "orange": (247, 135, 20),
    "yellow": (246, 222, 32),
    "green": (36, 150, 60),
    "blue": (32, 76, 206),
    "purple": (134, 44, 168),
    "black": (16, 16, 18),
    "white": (250, 250, 250),
}
SHAPES: dict[str, str] = {
    "circle": "circles",
    "square": "squares",
    "triangle": "triangles",
    "star": "stars",
    "cross": "crosses",
    "ring": "rings",
    "diamond": "diamonds",
    "heart": "hearts",
}
"""A shape's name for one and for several."""
COUNTS = ("one", "two", "three", "four", "five")
POSITIONS: dict[str, tuple[float, float]] = {
    "in the top left": (0.25, 0.25),
    "in the top right": (0.75, 0.25),
    "in the bottom left": (0.25, 0.75),
    "in the bottom right": (0.75, 0.75),
    "in the centre": (0.5, 0.5),
}
"""Where the group's centre is: fractions of the width from the left and of the height from the top."""

HELD_OUT_SHARE = 0.2
SPLIT_SEED = 20_261_121


@dataclass(frozen=True, slots=True)
class Composition:
    """One colour × shape × count × position, as indices into the tables above."""

    colour: int
    shape: int
    count: int
    position: int

    @property
    def caption(self) -> str:
        """Such as "three red circles in the top left"."""
        shape = list(SHAPES)[self.shape]
        noun = shape if self.count == 0 else SHAPES[shape]
        return f"{COUNTS[self.count]} {list(COLOURS)[self.colour]} {noun} {list(POSITIONS)[self.position]}"


@cache
def compositions() -> tuple[Composition, ...]:
    """All 1,600, in a fixed order."""
    sizes = (len(COLOURS), len(SHAPES), len(COUNTS), len(POSITIONS))
    return tuple(Composition(*indices) for indices in product(*map(range, sizes)))


@cache
def split() -> tuple[tuple[Composition, ...], tuple[Composition, ...]]:
    """(1,280 for training, 320 held out). The same on every machine: weights ship with the project."""
    everything = compositions()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(everything))
    held_out = frozenset(order[: round(HELD_OUT_SHARE * len(everything))].tolist())
    return (
        tuple(one for index, one in enumerate(everything) if index not in held_out),
        tuple(one for index, one in enumerate(everything) if index in held_out),
    )
