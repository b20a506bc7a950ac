"""Past tasks with who did them and what came of it: the evidence for and against each agent. Called by ``features``.

Evidence ages by what came after it: a past task counts less with every later task like it that the same agent did.
So an agent that changed is judged by what it does now, while one that is seldom asked is not forgotten. (Discounting
by one's own later evidence; compare discounted Thompson sampling, Raj and Kalyani 2017.)

What is forgotten when the past is full goes by the same thought (``crowds``): what counts least, because the same agent
did most tasks like it later. So however many common tasks come, the rare ones stay known.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.crowds import Cells, least_missed
from agents.matching.live.evidence import NO_STEPS, Evidence, Floats, Kernel, Near, Steps
from agents.matching.live.foresight import Foresight
from agents.matching.live.runs import Runs

CAPACITY = 20 * 1_024
DROPPED_ROWS = 2 * 1_024
LATEST_SHARE = 0.25
"""So much of a full past is kept whatever it is: groups are found in it, and people may still correct it."""
FIRST_ROWS = 256
TASK_ID_BYTES = 100
NEAREST = 10
"""So many past tasks count fully: what is near depends on how dense the past is around the new task."""
NEAR_COSINE_MIN = 0.3
"""Nothing that is less alike counts fully, however lonely the new task."""
ROWS_MAX = 400
LIKENESS_STEP = 1.0 / 64.0
"""Cosines that round to the same such step are equally near, and the later task goes first: where one request comes
again and again, the nearest past ones are thousands, and the latest of them say what is true now."""
CORRECTED_ROWS = 2_000
"""What people say of older steps than these changes nothing any more."""
FORGIVING_OUTCOMES = 1_000.0
"""After so many outcomes of anybody a failure counts half: whoever failed long ago is given another chance."""


class PastTasks:
    """Bounded: of a full past those rows are dropped that count least. For one thread at a time."""

    def __init__(self, dimension: int, capacity: int = CAPACITY) -> None:
        self.dimension = dimension
        self.capacity = capacity
        self.count = 0
        self.dropped = 0
        self.task_ids: list[str] = []
        self._cells_of = Cells(dimension)
        self._next_serial = 0
        self._vectors = np.zeros((FIRST_ROWS, dimension), dtype=np.float32)
        self._agents = np.zeros(FIRST_ROWS, dtype=np.int32)
        self._outcomes = np.zeros(FIRST_ROWS, dtype=np.float32)
        self._cells = np.zeros(FIRST_ROWS, dtype=np.int16)
        self._serials = np.zeros(FIRST_ROWS, dtype=np.int64)
        self._foresight: Foresight | None = None
        self._runs: tuple[Near, Runs] | None = None

    @property
    def vectors(self) -> Floats:
        """(count, dimension) unit-norm, oldest first."""
        return self._vectors[: self.count]

    @property
    def agents(self) -> NDArray[np.int32]:
        """(count,) numbers of agents."""
        return self._agents[: self.count]

    @property
    def outcomes(self) -> Floats:
        """(count,) from 0, failed, to 1, succeeded."""
        return self._outcomes[: self.count]

    @property
    def serials(self) -> NDArray[np.int64]:
        """(count,) rising: the how manieth step each was. A step keeps its own, whatever is dropped before it."""
        return self._serials[: self.count]

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        arrays = (self._vectors, self._agents, self._outcomes, self._cells, self._serials)
        return sum(array.nbytes for array in arrays) + TASK_ID_BYTES * self.count

    @property
    def latest_rows(self) -> int:
        """So many of the latest rows are never dropped."""
        return int(self.capacity * LATEST_SHARE)

    def add(self, task_id: str, vector: Floats, agent: int, outcome: float) -> None:
        """One step that was done."""
        if self.count == self.capacity:
            self._make_room(min(DROPPED_ROWS, max(1, self.capacity // 10)))
        if self.count == len(self._agents):
            self._grow()
        row = self.count
        self._grows_by(vector[None])
        self._vectors[row], self._agents[row], self._outcomes[row] = vector, agent, outcome
        self._number(slice(row, row + 1))
        self.task_ids.append(task_id)
        self.count += 1

    def extend(
        self, task_ids: Sequence[str], vectors: NDArray[Any], agents: NDArray[Any], outcomes: NDArray[Any]
    ) -> None:
        """Many steps at once, oldest first; of any number format."""
        needed = min(self.capacity, self.count + len(task_ids))
        if needed > len(self._agents):
            self._grow(needed)
        for start in range(0, len(task_ids), DROPPED_ROWS):
            rows = slice(start, start + DROPPED_ROWS)
            self._extend(task_ids[rows], vectors[rows], agents[rows], outcomes[rows])

    def _extend(
        self, task_ids: Sequence[str], vectors: NDArray[Any], agents: NDArray[Any], outcomes: NDArray[Any]
    ) -> None:
        if self.count + len(task_ids) > self.capacity:
            for row, task_id in enumerate(task_ids):
                self.add(task_id, vectors[row], int(agents[row]), float(outcomes[row]))
            return
        end = self.count + len(task_ids)
        rows = slice(self.count, end)
        self._grows_by(vectors)
        self._vectors[rows], self._agents[rows], self._outcomes[rows] = vectors, agents, outcomes
        self._number(rows)
        self.task_ids += task_ids
        self.count = end

    def renumber(self, agents: NDArray[np.int64]) -> None:
        """(count,) the agents' new numbers."""
        self._agents[: self.count] = agents
        self._runs = None

    def correct(self, task_id: str, outcome: float) -> list[tuple[int, float]]:
        """What people said of a task's result replaces what its answers looked like; a step that failed has failed.

        Returns (agent, outcome before) of each step that changed. ``outcome`` is above 0.
        """
        recent = range(max(0, self.count - CORRECTED_ROWS), self.count)
        rows = [row for row in recent if self.task_ids[row] == task_id and self._outcomes[row] > 0.0]
        changed = [row for row in rows if self._outcomes[row] != np.float32(outcome)]
        before = [(int(self._agents[row]), float(self._outcomes[row])) for row in changed]
        self._outcomes[changed] = outcome
        return before

    def latest_tasks(self) -> list[str]:
        """The ids of those that may still be corrected, each once, oldest first."""
        return list(dict.fromkeys(self.task_ids[-CORRECTED_ROWS:]))

    def expect(self, vectors: Floats, asked: Sequence[int]) -> None:
        """(tasks, dimension) will be added, in this order, and those at the places ``asked`` asked about on the way.

        ``near`` of these costs a tenth then, whatever was added until it is asked; what comes otherwise costs as ever.
        """
        last = min(self.capacity, self.count + len(vectors))
        if last > len(self._agents):
            self._grow(last)
        self._vectors[self.count : last] = vectors[: last - self.count]
        self._foresight = Foresight(vectors[list(asked)], self._vectors[:last]) if len(asked) else None

    def near(self, vector: Floats) -> Near:
        """The past tasks most alike. ``vector`` (dimension,) unit-norm."""
        foreseen = self._foresight.cosines(vector, self.count) if self._foresight else None
        return self._nearest(self.vectors @ vector if foreseen is None else foreseen)

    def near_all(self, vectors: Floats) -> list[Near]:
        """The same of many tasks, (tasks, dimension), together: the long past is read once for all."""
        return [self._nearest(cosines) for cosines in vectors @ self.vectors.T]

    def _nearest(self, cosines: Floats) -> Near:
        if self.count > ROWS_MAX:
            lateness = np.arange(self.count, dtype=np.float32) / np.float32(self.capacity)
            nearness = np.rint(cosines / LIKENESS_STEP) + lateness
            rows = np.sort(np.argpartition(nearness, -ROWS_MAX)[-ROWS_MAX:])
        else:
            rows = np.arange(self.count)
        near = cosines[rows]
        place = max(0, len(rows) - NEAREST)
        reference = float(np.partition(near, place)[place]) if len(rows) else 1.0
        likest = float(near.max()) if len(rows) else 0.0
        return Near(rows, np.maximum(max(reference, NEAR_COSINE_MIN) - near, 0.0), likest, cosines)

    def without(self, near: Near, task_id: str) -> tuple[Near, Steps]:
        """The past tasks near it that are others than this one, and its own steps."""
        own = np.array([self.task_ids[row] == task_id for row in near.rows.tolist()], dtype=bool)
        if not own.any():
            return near, NO_STEPS
        rows = near.rows[own]
        steps = Steps(rows, self._agents[rows].astype(np.int64), self._outcomes[rows])
        return Near(near.rows[~own], near.gaps[~own], near.likest, near.cosines), steps

    def evidence(self, near: Near, kernel: Kernel, agents: int) -> Evidence:
        """Of each of so many agents, from its tasks like the new one."""
        who, outcomes = self._runs_of(near).who, self._outcomes[near.rows]
        weights = self.weights(near, kernel)
        forgiven = np.exp2((near.rows - self.count) / FORGIVING_OUTCOMES)
        successes = np.bincount(who, weights=weights * outcomes, minlength=agents)
        failures = np.bincount(who, weights=weights * (1.0 - outcomes) * forgiven, minlength=agents)
        return Evidence(successes.astype(np.float32), failures.astype(np.float32))

    def weights(self, near: Near, kernel: Kernel) -> Floats:
        """(rows,) how much each of the near tasks counts now."""
        if not len(near.rows):
            return np.zeros(0, dtype=np.float32)
        raw = np.exp(-kernel.sharpness * near.gaps)
        aged: Floats = raw * np.exp(-self._runs_of(near).later(raw) / kernel.memory)
        return aged

    def _runs_of(self, near: Near) -> Runs:
        """Kept for the next question, which mostly is about the same tasks by another kernel."""
        if self._runs is None or self._runs[0] is not near:
            self._runs = near, Runs(self._agents[near.rows])
        return self._runs[1]

    def _grows_by(self, vectors: NDArray[Any]) -> None:
        """Before rows are added: what was foreseen holds if they are the ones that lie there already."""
        rows = slice(self.count, self.count + len(vectors))
        if self._foresight is not None and not np.array_equal(self._vectors[rows], vectors):
            self._foresight = None

    def _number(self, rows: slice) -> None:
        """Rows that were just written get their cells, and serials."""
        self._cells[rows] = self._cells_of(self._vectors[rows])
        new = rows.stop - rows.start
        self._serials[rows] = np.arange(self._next_serial, self._next_serial + new)
        self._next_serial += new

    def _make_room(self, rows: int) -> None:
        """Drop so many."""
        self._keep(least_missed(self._agents[: self.count], self._cells[: self.count], self.latest_rows, rows))
        self.dropped += rows

    def _keep(self, stay: NDArray[np.int64]) -> None:
        """Only these rows, rising."""
        self._foresight = self._runs = None
        for array in (self._vectors, self._agents, self._outcomes, self._cells, self._serials):
            array[: len(stay)] = array[stay]
        self.task_ids = [self.task_ids[row] for row in stay.tolist()]
        self.count = len(stay)

    def _grow(self, least: int = 0) -> None:
        size = min(self.capacity, max(least, 2 * len(self._agents)))
        self._vectors = _longer(self._vectors, (size, self.dimension))
        self._agents = _longer(self._agents, (size,))
        self._outcomes = _longer(self._outcomes, (size,))
        self._cells = _longer(self._cells, (size,))
        self._serials = _longer(self._serials, (size,))


def _longer(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The same rows with room for more; untouched room costs no memory yet."""
    longer = np.zeros(shape, dtype=array.dtype)
    longer[: len(array)] = array
    return longer
