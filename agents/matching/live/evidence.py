"""What the past says of a new task, as values: which past tasks lie near it, what speaks for and against each agent.

Made by ``past``, weighed by ``features``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kernel:
    """How much a past task counts. ``sharpness``: one that lies 1 / sharpness below the near ones counts e-fold less.

    ``memory`` is how much later evidence of the same kind, in such counts, takes e-fold from it.
    """

    sharpness: float
    memory: float


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """(agents,) float32 each, by the agents' numbers: what speaks for each, and against."""

    successes: Floats
    failures: Floats

    @property
    def amount(self) -> Floats:
        """How much there is of either."""
        return self.successes + self.failures


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """Past tasks like a new one, in the order in which they happened: rows, and how much less alike than near ones.

    ``gaps`` (rows,) is 0 for a near task, else by how much its cosine is below theirs. ``likest`` is the cosine of the
    one most alike, 0 without any: what is near may be far, however little lies nearer. ``cosines`` are
    those to the whole past.
    """

    rows: Rows
    gaps: Floats
    likest: float
    cosines: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Some steps that were done: (steps,) rows of the past, numbers of agents and outcomes 0-1."""

    rows: Rows
    agents: Rows
    outcomes: Floats


NO_STEPS = Steps(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
