"""Groups of tasks at three sizes, and how each agent did in them: evidence that reaches far. Called by ``policy``.

The kernels of ``past`` see what lies near a task; an agent that was tried seldom has nothing there. In a group every
task speaks for all others, so a few outcomes say something of a whole kind, and what groups there are stays known when
agents change. Estimates back off from small groups to large ones (compare Katz 1987).

Last come small groups that share what happens in them by kinship: groups are kin as far as the same agents did well in
both, ever since. What is really wanted shows in that where words do not, so whoever takes over a kind of task after a
change is believed for the whole kind after few outcomes, however widely its words are scattered.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.clusters import kinship, middles
from agents.matching.live.evidence import NO_STEPS, Steps
from agents.matching.live.past import PastTasks
from agents.matching.live.standings import half_life

Floats = NDArray[np.float32]

SIZES = (10, 30, 100)
"""Groups at each level, large ones first."""
KIN_SIZE = 200
"""Groups that are kin to one another, where there are tasks enough."""
FIRST_AT = 256
"""Outcomes before there are groups; they are found anew in the latest ``FOUND_IN`` whenever there are twice as many,
then each ``ANEW_AT`` more, and later each eighth more up to ``ANEW_MOST``."""
ANEW_AT, ANEW_MOST, FOUND_IN = 1_024, 4_096, 4_096
COUNTED_HALF_LIVES = 8
"""Steps that so many half-lives of others' outcomes passed over are not counted again: they count 1 in 256 at most."""
ROWS_FOR_ONE = 6
NEAREST = 3
SHARPNESS = 20.0
"""A task counts for its ``NEAREST`` groups; one that is 1 / sharpness less alike counts e-fold less."""
MEMORY = 20.0
"""After so many later steps of the agent in the group an outcome counts e-fold less."""
BACK_OFF = 3.0
"""A level is weighed against so many imagined outcomes as the larger groups foretell."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupEvidence:
    """(agents,) float32 each: chance of success in the task's groups, and share of all that went well in the widest."""

    chances: Floats
    votes: Floats


@dataclass(slots=True, eq=False)
class _Level:
    """``centres`` (groups, dimension) unit-norm; ``table`` (2, agents, groups) failures and successes, faded.

    ``kin`` (groups, groups) is how much of a step in one group counts in another; without it only in its own.
    """

    centres: Floats
    table: Floats
    kin: Floats | None = None

    def members(self, vectors: Floats) -> Floats:
        """(tasks, groups) shares of the groups that each task belongs to; they sum to 1."""
        cosines = vectors @ self.centres.T
        place = max(0, cosines.shape[1] - NEAREST)
        least = np.partition(cosines, place, axis=1)[:, place, None]
        near = np.exp(SHARPNESS * (cosines - cosines.max(axis=1, keepdims=True))) * (cosines >= least)
        shares: Floats = near / near.sum(axis=1, keepdims=True)
        return shares

    def reach(self, shares: Floats) -> Floats:
        """(tasks, groups) how much steps at tasks with these shares count in each group, from 0 to 1."""
        return shares if self.kin is None else shares @ self.kin

    def know(self, agents: int) -> None:
        """Make room for so many agents."""
        missing = agents - self.table.shape[1]
        if missing > 0:
            self.table = np.pad(self.table, ((0, 0), (0, missing), (0, 0)))


class TaskGroups:
    """None until ``find`` has seen ``FIRST_AT`` outcomes. For one thread at a time.

    ``outdated`` is set by whoever corrects the past: the next ``find`` counts again.
    """

    def __init__(self) -> None:
        self.outdated = False
        self._levels: list[_Level] = []
        self._asked: tuple[Floats, list[Floats]] | None = None
        self._found_at = 0

    def __bool__(self) -> bool:
        return bool(self._levels)

    @property
    def centres(self) -> tuple[Floats, ...]:
        """(groups, dimension) of each level: what a snapshot keeps."""
        return tuple(level.centres for level in self._levels)

    @property
    def counts(self) -> Floats:
        """(2, agents, groups of all levels) failures and successes, faded: kept too, for counting anew costs more."""
        agents = max(level.table.shape[1] for level in self._levels)
        for level in self._levels:
            level.know(agents)
        return np.concatenate([level.table for level in self._levels], axis=2)

    @property
    def kin(self) -> Floats:
        """(groups, groups) of the last level, how much a step in one counts in another, kept too; (0, 0) without."""
        kin = self._levels[-1].kin if self._levels else None
        return np.zeros((0, 0), dtype=np.float32) if kin is None else kin

    def restore(self, centres: tuple[Floats, ...], past: PastTasks, agents: int, kin: Floats | None = None) -> None:
        """Groups counted from the past. How much the last ones are ``kin``, as above, is found there unless given."""
        self._levels = [_Level(each, np.zeros((2, agents, len(each)), dtype=np.float32)) for each in centres]
        last = self._levels[-1]
        found = kinship(last.members(past.vectors), past.agents, past.outcomes) if kin is None else kin
        last.kin = found if len(found) else None
        self._asked = None
        self._recount(past, agents)

    def resume(self, centres: tuple[Floats, ...], counts: Floats, kin: Floats) -> None:
        """Groups of a snapshot with their ``counts``, and how much the last ones are ``kin``, as above."""
        ends = np.cumsum([len(each) for each in centres])[:-1]
        tables = np.split(counts.astype(np.float32), ends, axis=2)
        self._levels = [_Level(each, table.copy()) for each, table in zip(centres, tables, strict=True)]
        self._levels[-1].kin = kin if len(kin) else None
        self._asked = None

    def find(self, past: PastTasks, agents: int, events: int) -> None:
        """Find groups when they are due: 0.5 s with 20,000 past tasks. A count made anew costs a quarter of that."""
        more = max(min(self._found_at, ANEW_AT), min(self._found_at // 8, ANEW_MOST))
        if past.count >= FIRST_AT and events >= self._found_at + max(FIRST_AT, more):
            self._found_at = events
            recent = past.vectors[-FOUND_IN:]
            self.restore(
                tuple(middles(recent, min(size, len(recent) // ROWS_FOR_ONE)) for size in (*SIZES, KIN_SIZE)),
                past,
                agents,
            )
        elif self.outdated:
            self._recount(past, agents)

    def add(self, vector: Floats, agent: int, outcome: float, kept: float = 1.0) -> None:
        """One more step. ``vector`` (dimension,) unit-norm. ``kept`` of what it did before counts. About 100 µs."""
        for level, share in zip(self._levels, self._shares(vector), strict=True):
            level.know(agent + 1)
            reach = level.reach(share)
            counts = level.table[:, agent] * kept * np.exp(-reach / MEMORY)
            level.table[:, agent] = counts + np.outer((1.0 - outcome, outcome), reach)

    def add_all(
        self, vectors: Floats, agents: NDArray[np.int32], outcomes: Floats, known: int, kept: Floats | None = None
    ) -> None:
        """Many steps, oldest first, as if each were added by itself. (steps, dimension) and (steps,) twice.

        ``kept`` (known,) of what each of the ``known`` agents did before counts as these steps begin.
        """
        if not len(agents):
            return
        order = np.argsort(agents, kind="stable")
        who, done = agents[order], outcomes[order]
        lasts = np.append(np.flatnonzero(np.diff(who)), len(who) - 1)
        runs = np.diff(np.append(-1, lasts))
        # How many steps of others came before each: while they did theirs the agent was passed over.
        others = order - np.arange(len(who)) + np.repeat(lasts - runs + 1, runs)
        faded = np.exp2((others - np.repeat(others[lasts], runs)) / half_life(known))
        before = np.exp2(-others[lasts] / half_life(known)) * (1.0 if kept is None else kept[who[lasts]])
        for level in self._levels:
            level.know(int(who[-1]) + 1)
            reach = level.reach(level.members(vectors))[order]
            sums = reach.cumsum(axis=0, dtype=np.float64)
            ends = sums[lasts]
            weights = reach * np.exp((sums - np.repeat(ends, runs, axis=0)) / MEMORY)
            level.table[:, who[lasts]] *= before[:, None] * np.exp(-np.diff(ends, axis=0, prepend=0.0) / MEMORY)
            for side, counted in enumerate((1.0 - done, done)):
                counts = weights * (faded * counted)[:, None]
                level.table[side, who[lasts]] += np.add.reduceat(counts, lasts - runs + 1, axis=0)

    def keep(self, agents: NDArray[np.int64], known: int) -> None:
        """Forget all but these of so many ``known`` agents; these are numbered anew in this order."""
        for level in self._levels:
            level.know(known)
            level.table = level.table[:, agents]

    def evidence(
        self, vector: Floats, agents: int, usual: float, own: Steps = NO_STEPS, kept: Floats | None = None
    ) -> GroupEvidence:
        """Of each of so many agents at a task like this. ``usual`` is the share of all steps that succeed.

        ``kept`` (agents,) of what each did still counts. ``own`` are steps of this very task that must not count: they
        are taken off as if they were the latest.
        """
        chances, votes = np.full(agents, usual), np.zeros(agents)
        still = np.ones(agents) if kept is None else kept
        taken = np.array([np.bincount(own.agents, each, agents) for each in (1.0 - own.outcomes, own.outcomes)])
        for at, (level, share) in enumerate(zip(self._levels, self._shares(vector), strict=True)):
            level.know(agents)
            reach = level.reach(share) if len(own.agents) else np.zeros_like(share)
            counts = (level.table[:, :agents] @ share).astype(np.float64)
            failed, done = np.maximum(counts - share @ reach * taken, 0.0) * still
            chances = (done + BACK_OFF * chances) / (done + failed + BACK_OFF)
            if at == 0:
                weights = share / (1.0 + np.maximum(level.table[1].sum(axis=0) - taken[1].sum() * reach, 0.0))
                votes = np.maximum(level.table[1, :agents] @ weights - taken[1] * (reach @ weights), 0.0)
        return GroupEvidence(chances.astype(np.float32), votes.astype(np.float32))

    def _shares(self, vector: Floats) -> list[Floats]:
        """Of each level's groups. Kept for the next question: whoever judges a task mostly adds it then."""
        if self._asked is None or self._asked[0] is not vector:
            self._asked = vector, [level.members(vector[None])[0] for level in self._levels]
        return self._asked[1]

    def _recount(self, past: PastTasks, agents: int) -> None:
        self.outdated = False
        for level in self._levels:
            level.table[:] = 0.0
        latest = slice(max(0, past.count - int(COUNTED_HALF_LIVES * half_life(agents))), None)
        self.add_all(past.vectors[latest], past.agents[latest], past.outcomes[latest], agents)
