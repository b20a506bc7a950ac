"""Past queries and who solved them: what matching learns from. Built by the evaluation and by ``bandit``."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """Past queries: ``vectors`` (rows, d) unit-norm, their ``texts``, and who solved each (nobody: none)."""

    vectors: Floats
    texts: tuple[str, ...]
    solved_by: tuple[tuple[int, ...], ...]
    failed_by: tuple[tuple[int, ...], ...] = ()
    """The agents that tried each query and failed; empty when nothing is known of failures."""

    def __len__(self) -> int:
        return len(self.texts)

    def pick(self, rows: Rows) -> "Solved":
        """Some of the rows."""
        return Solved(
            self.vectors[rows],
            tuple(self.texts[row] for row in rows),
            tuple(self.solved_by[row] for row in rows),
            tuple(self.failed_by[row] for row in rows) if self.failed_by else (),
        )

    @property
    def pairs(self) -> tuple[Rows, Rows]:
        """Each (row, agent) that fits: two arrays of the same length."""
        return _pairs(self.solved_by)

    @property
    def failures(self) -> tuple[Rows, Rows]:
        """Each (row, agent) that failed."""
        return _pairs(self.failed_by)

    @property
    def solved(self) -> NDArray[np.bool_]:
        """(rows,) which queries somebody solved."""
        return np.array([bool(right) for right in self.solved_by], dtype=bool)

    @property
    def outside(self) -> NDArray[np.bool_]:
        """(rows,) which queries nobody could serve: no agent solved them, and none is known to have tried."""
        nobody = ~self.solved
        nobody[self.failures[0]] = False
        return nobody


def _pairs(by: tuple[tuple[int, ...], ...]) -> tuple[Rows, Rows]:
    rows = np.repeat(np.arange(len(by)), [len(agents) for agents in by]).astype(np.int64)
    return rows, np.fromiter((agent for agents in by for agent in agents), dtype=np.int64, count=len(rows))


def joined(parts: Sequence[Solved]) -> Solved:
    """One after the other. Parts without known failures have none."""
    return Solved(
        np.concatenate([part.vectors for part in parts]),
        tuple(text for part in parts for text in part.texts),
        tuple(right for part in parts for right in part.solved_by),
        tuple(wrong for part in parts for wrong in part.failed_by or ((),) * len(part)),
    )
