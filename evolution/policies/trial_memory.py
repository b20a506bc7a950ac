"""What an earlier look counted of an experiment, so that the next one reads only what came since. Used by ``trial``.

It can be thrown away: the next look counts everything. One small file for each tenant, replaced in one step; any
number of processes may share it.
"""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from evolution.experiments.tallies import Moments, Stage
from schemas.base import new_id

logger = logging.getLogger(__name__)

Sums = Mapping[str, Mapping[str, tuple[int, float, float]]]
"""Arm -> metric -> count, mean and squares."""


class Counted(BaseModel):
    """The stages of an experiment, from the records that ended before ``until``.

    ``question`` names the experiment, its arms and its shares: another one is counted anew. ``action`` is what the look
    came to, ``whole_at`` when everything was counted last.
    """

    model_config = ConfigDict(frozen=True)

    question: str
    until: datetime
    whole_at: datetime
    action: str
    shares: tuple[float, ...]
    sums: tuple[Sums, ...]

    def stages(self) -> tuple[Stage, ...]:
        """As they were counted."""
        return tuple(
            Stage(share, {arm: {name: Moments(*each) for name, each in of.items()} for arm, of in sums.items()})
            for share, sums in zip(self.shares, self.sums, strict=True)
        )


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


def sums_of(stages: Sequence[Stage]) -> tuple[Sums, ...]:
    """Stages as they are remembered."""
    return tuple(
        {arm: {name: (m.count, m.mean, m.squares) for name, m in of.items()} for arm, of in stage.arms.items()}
        for stage in stages
    )
