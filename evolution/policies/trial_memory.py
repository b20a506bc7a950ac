"""What an earlier look counted of an experiment, so that the next one reads only what came since. Used by ``trial``.

It can be thrown away: the next look counts everything. One small file for each tenant, replaced in one step; any
number of processes may share it.
"""

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from evolution.experiments.evidence import Evidence
from evolution.experiments.tallies import Moments, Outcome, Stage
from schemas.base import new_id

logger = logging.getLogger(__name__)

Sums = Mapping[str, Mapping[str, tuple[int, float, float]]]
"""Arm -> metric -> count, mean and squares."""
Open = Sequence[Outcome]


class Counted(BaseModel):
    """The stages of an experiment, from the records that ended before ``until``.

    ``question`` names the experiment, its arms and its shares: another one is counted anew. ``action`` is what the look
    came to, ``whole_at`` when everything was counted last. The latest outcomes of each stage stay ``open``, each as
    ``t1`` or ``c0`` (arm and success) before the task's id: what people say of them still counts. ``judged`` is what
    they had said by the store's cursor ``heard``, of those and of the ``recent`` tasks, which ended after ``until``.
    """

    model_config = ConfigDict(frozen=True)

    question: str
    until: datetime
    whole_at: datetime
    action: str
    shares: tuple[float, ...]
    sums: tuple[Sums, ...]
    evidence: tuple[tuple[int, float, float, float, float], ...]
    open: tuple[tuple[str, ...], ...]
    recent: tuple[str, ...] = ()
    judged: Mapping[str, float] = {}
    heard: str | None = None

    def stages(self) -> tuple[Stage, ...]:
        """As they were counted, without what is open."""
        return tuple(
            Stage(
                share,
                {arm: {name: Moments(*each) for name, each in of.items()} for arm, of in sums.items()},
                Evidence(*evidence),
            )
            for share, sums, evidence in zip(self.shares, self.sums, self.evidence, strict=True)
        )

    @cached_property
    def outcomes(self) -> tuple[Open, ...]:
        """What is open of each stage, in the order of the tasks. Raises ValueError for what is none."""
        if len(self.open) != len(self.shares):
            raise ValueError("every stage has its open outcomes")
        return tuple([_outcome(line) for line in lines] for lines in self.open)

    def hearing(self, judged: Mapping[str, float], recent: Iterable[str], heard: str) -> "Counted":
        """With what people said of its tasks and of the recent ones."""
        return self.model_copy(update={"judged": judged, "recent": tuple(recent), "heard": heard})

    def tasks(self) -> set[str]:
        """Those that people were asked about: the open and the recent ones."""
        return {one.task_id for stage in self.outcomes for one in stage}.union(self.recent)


class TrialMemory(Protocol):
    """Where counts wait for the next look. Never raises: without memory everything is counted."""

    def recall(self, tenant: str, question: str) -> Counted | None:
        """What was counted of that question, if anything."""
        ...

    def remember(self, tenant: str, counted: Counted) -> None:
        """Keep it instead of what was kept of the tenant."""
        ...


class TrialFolder:
    """TrialMemory in a folder, made when something is to be remembered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, tenant: str, question: str) -> Counted | None:
        """A file that is not there, or does not read, is nothing remembered."""
        try:
            counted = Counted.model_validate_json((self._folder / f"{tenant}.json").read_bytes())
            counted.stages()
            _ = counted.outcomes
        except (OSError, ValidationError, ValueError):
            return None
        return counted if counted.question == question else None

    def remember(self, tenant: str, counted: Counted) -> None:
        """A folder that cannot be written costs time at the next look, nothing else."""
        partial = self._folder / f"{tenant}.{new_id()}.partial"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(counted.model_dump_json())
            os.replace(partial, self._folder / f"{tenant}.json")
        except OSError as error:
            logger.debug("the counts of the experiment are not remembered: %s", error)


def question_of(*parts: object) -> str:
    """One short name for everything that a count depends on."""
    return hashlib.blake2b("\x00".join(map(repr, parts)).encode(), digest_size=16).hexdigest()


def counted_of(
    question: str, until: datetime, whole_at: datetime, action: str, stages: Sequence[Stage], outcomes: Iterable[Open]
) -> Counted:
    """Stages and what is open of them, as they are remembered."""
    return Counted(
        question=question,
        until=until,
        whole_at=whole_at,
        action=action,
        shares=tuple(stage.treatment_share for stage in stages),
        sums=tuple(
            {arm: {name: (m.count, m.mean, m.squares) for name, m in of.items()} for arm, of in stage.arms.items()}
            for stage in stages
        ),
        evidence=tuple(astuple(stage.evidence) for stage in stages),
        open=tuple(tuple(map(_line, of_it)) for of_it in outcomes),
    )


def _line(outcome: Outcome) -> str:
    return f"{'t' if outcome.treated else 'c'}{int(outcome.success)}{outcome.task_id}"


def _outcome(line: str) -> Outcome:
    arm, success, task_id = line[:1], line[1:2], line[2:]
    if arm not in ("t", "c") or success not in ("0", "1") or not task_id:
        raise ValueError(f"{line[:40]!r} is no outcome")
    return Outcome(task_id, arm == "t", success == "1")
