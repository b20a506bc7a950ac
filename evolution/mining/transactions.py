"""Tasks as sets of items that can be counted. Called by ``mine``; read by ``rules``."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolution.mining.columns import NOISE, Columns
from schemas.invocation import INPUT_REQUIRED
from schemas.task import APPROVAL_DENIED, BUDGET_EXCEEDED, DEADLINE_EXCEEDED, TaskState

Mask = NDArray[np.bool_]
Transactions = Counter[frozenset[str]]
"""Distinct sets of items and how many tasks had them."""

RESCUED = "rescued"
"""The task succeeded, but only because another agent stood in for one that failed: no success of who was chosen."""
LACKING, CANCELLED = f"outcome={INPUT_REQUIRED}", f"outcome={TaskState.CANCELLED}"
DENIED, OVERSPENT = f"outcome={APPROVAL_DENIED}", f"outcome={BUDGET_EXCEEDED}"
OUTRUN = f"outcome={DEADLINE_EXCEEDED}"
"""Its time was over before any agent could have done anything; where one had it and did not answer, it failed."""
_NOBODYS = {
    LACKING: INPUT_REQUIRED,
    CANCELLED: TaskState.CANCELLED.value,
    DENIED: APPROVAL_DENIED,
    OVERSPENT: BUDGET_EXCEEDED,
    OUTRUN: DEADLINE_EXCEEDED,
}
"""Neither success nor failure of anybody; by item, the code of the task's failure."""
SUCCESS, FAILURE, CODE = "outcome=success", "outcome=failure", "failure="
OUTCOME_PREFIXES = ("outcome=", CODE, "slow", "costly", RESCUED)
HOURS_PER_ITEM = 4
SAMPLE = 30_000
"""Of a larger window, rules are sought in a sample of so many tasks, and what is found is counted in all of them
(Toivonen, Sampling large databases for association rules, VLDB 1996)."""
_HOUR_US = 3_600_000_000
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on a task counts as slow or costly."""

    slow_ms: float
    costly: float


def limits_of(columns: Columns, share: float = 0.9) -> Limits:
    """The slowest and the most expensive tenth of the window."""
    if not len(columns):
        return Limits(float("inf"), float("inf"))
    return Limits(float(np.quantile(columns.latency_ms, share)), float(np.quantile(columns.cost, share)))


def is_outcome(item: str) -> bool:
    """Whether the item says how a task ended, and so may follow but not explain."""
    return item.startswith(OUTCOME_PREFIXES)


class Items:
    """The items of every task of a window: who worked on what, when, and how it ended."""

    def __init__(self, columns: Columns, limits: Limits) -> None:
        self._columns = columns
        self._flags = {
            "slow": columns.latency_ms > limits.slow_ms,
            "costly": columns.cost > limits.costly,
            RESCUED: _rescued(columns),
            **{item: self._failed_by(code) for item, code in _NOBODYS.items()},
        }
        self._flags[OUTRUN] &= _nothing_done(columns)
        self._hours = columns.at_us // _HOUR_US % 24 // HOURS_PER_ITEM
        self._teams = [_team_items(json.loads(value)) for value in columns.team.values]
        self._modalities = [[f"modality={name}" for name in json.loads(v)] for v in columns.modalities.values]
        self._masks: dict[str, Mask] = {}

    def sampled(self, count: int = SAMPLE) -> Transactions:
        """The sets of items of some ``count`` tasks, counted. Which are drawn depends on when they ended, no luck."""
        columns, places = self._columns, np.arange(len(self._columns))
        if len(columns) > count:
            drawn = columns.at_us.astype(np.uint64) * _GOLDEN
            places = np.flatnonzero(drawn < np.uint64(2**64 / len(columns) * count))
        fields: list[NDArray[Any]] = [columns.team.codes, columns.modalities.codes, columns.failure_code.codes]
        fields += [columns.kind, self._hours, columns.success, *self._flags.values()]
        return Counter(map(self._spelled, *(field[places].tolist() for field in fields)))

    def having(self, items: Iterable[str]) -> Mask:
        """Which tasks (n,) have all of these items."""
        found = np.ones(len(self._columns), dtype=bool)
        for item in items:
            found &= self._mask(item)
        return found

    def _spelled(
        self, team: int, modalities: int, failure: int, kind: int, part: int, success: bool, *flags: bool
    ) -> frozenset[str]:
        items = [*self._teams[team], *self._modalities[modalities], _hours_item(part)]
        said = list(itertools.compress(self._flags, flags))
        nobodys = not _NOBODYS.keys().isdisjoint(said)
        if RESCUED not in said and not nobodys:
            items.append(SUCCESS if success else FAILURE)
        if failure != NOISE and not nobodys and self._columns.failure_code.values[failure]:
            items.append(f"{CODE}{self._columns.failure_code.values[failure]}")
        if kind != NOISE:
            items.append(f"kind={kind}")
        return frozenset([*items, *said])

    def _mask(self, item: str) -> Mask:
        if item not in self._masks:
            self._masks[item] = self._flags[item] if item in self._flags else self._found(item)
        return self._masks[item]

    def _found(self, item: str) -> Mask:
        name, _, value = item.partition("=")
        columns = self._columns
        if name in ("agent", "network"):
            return _in(columns.team.codes, [item in items for items in self._teams])
        if name == "modality":
            return _in(columns.modalities.codes, [item in items for items in self._modalities])
        if name == "failure":
            return self._failed_by(value)
        if name == "kind":
            return np.asarray(columns.kind == int(value))
        if name == "hours":
            return np.asarray(self._hours == int(value[:2]) // HOURS_PER_ITEM)
        if item == SUCCESS:
            return np.asarray(columns.success & ~self._flags[RESCUED])
        return np.asarray(~columns.success & ~np.logical_or.reduce([self._flags[one] for one in _NOBODYS]))

    def _failed_by(self, code: str) -> Mask:
        codes = self._columns.failure_code
        return _in(codes.codes, [code == each for each in codes.values])


def _in(codes: NDArray[np.int32], wanted: list[bool]) -> Mask:
    # One more at the end, for -1: no value.
    return np.array([*wanted, False], dtype=bool)[codes]


def _rescued(columns: Columns) -> Mask:
    rescued = np.zeros(len(columns), dtype=bool)
    rescued[columns.step_task[~columns.step_ok]] = True
    return rescued & columns.success


def _nothing_done(columns: Columns) -> Mask:
    nothing = np.ones(len(columns), dtype=bool)
    nothing[columns.step_task] = False
    return nothing


def _hours_item(part_of_day: int) -> str:
    start = part_of_day * HOURS_PER_ITEM
    return f"hours={start:02d}-{start + HOURS_PER_ITEM:02d}"


def _team_items(team: list[str]) -> list[str]:
    agents = [f"agent={agent}" for agent in team]
    return [*agents, f"network={'>'.join(team)}"] if len(team) > 1 else agents
