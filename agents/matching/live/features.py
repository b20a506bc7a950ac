"""What speaks for each candidate, side by side: its card, what happened before, how it stands. Called by ``policy``.

Every agent has the same features, so their weights are shared; those of evidence are zero for newcomers, who are
judged by the rest as agents like them were.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.evidence import Evidence, Kernel, Near
from agents.matching.live.groups import GroupEvidence
from agents.matching.live.past import PastTasks
from agents.matching.live.standings import Standings

Floats = NDArray[np.float32]

ALIKE = Kernel(sharpness=30.0, memory=8.0)
"""Tasks that say nearly the same."""
KINDRED = Kernel(sharpness=12.0, memory=12.0)
"""Tasks of the same kind."""
WIDE = Kernel(sharpness=5.0, memory=25.0)
"""Tasks of the same field."""

NAMES = (
    "bias", "nearness", "nearness unproven", "words", "alike", "kindred", "wide", "alike votes", "kindred votes",
    "wide votes", "group", "group votes", "own steps",
    "reputation", "reputation unproven", "unproven", "newcomer", "slowness", "price", "load",
)  # fmt: skip
PRIOR_COUNT = 1.0
"""Evidence is weighed against so many imagined tasks with the usual outcome."""
STANDING_COUNT = 4.0
OWN_STEPS_SCALE = 5.0
MIDDLE_SIMILARITY = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is known of the candidates for one task, (candidates,) float32 each, beside the past."""

    similarity: Floats
    words: Floats
    load: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """``rows`` (candidates, len(NAMES)) float32; ``amount`` (candidates,) of evidence for tasks of this kind;

    ``steps`` (candidates,) of any kind that the agent did lately.
    """

    rows: Floats
    amount: Floats
    steps: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What happened before, as one task sees it: everything, what lies near it, and what became of its groups.

    ``said`` (agents,) by each agent's own steps: how far beyond the usual its outcome is expected to lie.
    """

    past: PastTasks
    standings: Standings
    near: Near
    groups: GroupEvidence
    said: Floats


def lay_out(before: Known, numbers: NDArray[np.int64], shown: Shown) -> Laid:
    """The features of the agents with these numbers; -1 is an agent that was never met."""
    past, standings, near = before.past, before.standings, before.near
    known = len(standings)
    table = np.vstack([standings.table, np.zeros((1, 4), dtype=np.float32)])[numbers]
    table[:, :2] *= np.append(standings.kept, np.float32(0.0))[numbers, None]
    usual = usual_success(standings)
    levels = [past.evidence(near, kernel, known) for kernel in (ALIKE, KINDRED, WIDE)]
    proofs = [_of(level, numbers) for level in levels]
    kindred = proofs[1]
    standing = _lean(table[:, 0], table[:, 1], usual, STANDING_COUNT)
    unproven = 1.0 / (1.0 + kindred.amount)
    steps = table[:, 0] + table[:, 1]
    similarity = (shown.similarity - MIDDLE_SIMILARITY) * 10.0
    columns = (
        np.ones_like(similarity),
        similarity,
        similarity * unproven,
        shown.words,
        *(_lean(proof.successes, proof.failures, usual, PRIOR_COUNT) for proof in proofs),
        *(proof.successes / (1.0 + level.successes.sum()) for proof, level in zip(proofs, levels, strict=True)),
        *_of_groups(before.groups, numbers, usual),
        OWN_STEPS_SCALE * np.append(before.said, np.float32(0.0))[numbers],
        standing,
        standing * unproven,
        unproven,
        1.0 / (1.0 + steps / 5.0),
        _beside_usual(table[:, 2], steps),
        _beside_usual(table[:, 3], steps),
        shown.load,
    )
    return Laid(np.column_stack(columns).astype(np.float32), kindred.amount, steps)


def usual_success(standings: Standings) -> float:
    """The share of steps that succeed, whoever does them."""
    done, failed = standings.table[:, :2].sum(axis=0)
    return float((done + 2.0) / (done + failed + 4.0))


def _of(evidence: Evidence, numbers: NDArray[np.int64]) -> Evidence:
    zero = np.zeros(1, dtype=np.float32)
    return Evidence(np.append(evidence.successes, zero)[numbers], np.append(evidence.failures, zero)[numbers])


def _of_groups(groups: GroupEvidence, numbers: NDArray[np.int64], usual: float) -> tuple[Floats, Floats]:
    """How far the log odds of success in the task's groups lie from the usual ones, and the share of votes."""
    chances = np.append(groups.chances, np.float32(usual))[numbers].astype(np.float64)
    lean = np.log(chances / (1.0 - chances)) - np.log(usual / (1.0 - usual))
    return lean.astype(np.float32), np.append(groups.votes, np.float32(0.0))[numbers]


def _lean(successes: Floats, failures: Floats, usual: float, count: float) -> Floats:
    """How far the log odds of success lie from the usual ones."""
    odds = np.log((successes + count * usual) / (failures + count * (1.0 - usual)))
    lean: Floats = (odds - np.log(usual / (1.0 - usual))).astype(np.float32)
    return lean


def _beside_usual(values: Floats, steps: Floats) -> Floats:
    """Log ratio to the mean of those that did something, between -3 and 3; 0 for the others."""
    told = steps > 0
    mean = float(values[told].mean()) if told.any() else 0.0
    if mean <= 0.0:
        return np.zeros_like(values)
    ratio: Floats = np.where(told, np.log((values + 0.1 * mean) / (1.1 * mean)), 0.0)
    return np.clip(ratio, -3.0, 3.0)
