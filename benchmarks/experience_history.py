"""A tenant's past with known kinds, rules and drifts, written into an embedded store. Called by `benchmarks.mining`.

Rows are written with the store's own statements but without a record object for each: a million takes a minute.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evolution.store import sqlite_rows, sqlite_schema

DIMENSION = 384
KINDS = 16
AGENTS = 30
CHUNK_ROWS = 10_000
UNTIL = datetime(2026, 11, 20, tzinfo=UTC)

RULES = {
    (("agent=a03", "kind 2"), "outcome=failure"): 0.75,
    (("modality=audio",), "outcome=failure"): 0.55,
    (("agent=a07", "hours=20-24"), "outcome=failure"): 0.70,
    (("agent=a01", "kind 4"), "slow"): 0.60,
    (("agent=a05",), "slow"): 0.40,
}
"""Antecedent and outcome with its chance; elsewhere 12 % fail and 7 % are slow."""

DRIFTS = {("a10", "success"), ("a11", "success"), ("a12", "log_latency_ms"), ("a13", "cost")}
"""What changed, two thirds of the way through."""

_LAST_GIVEN = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'experience'"
"""Numbers are never given twice, also when the rows that had them went to the cold tier."""


@dataclass(frozen=True, slots=True)
class History:
    """``days`` up to UNTIL, ``per_day`` records each."""

    days: int
    per_day: int
    seed: int = 7

    @property
    def since(self) -> datetime:
        """The first moment."""
        return UNTIL - timedelta(days=self.days)


def write_days(path: Path, history: History, days: range, tenant: str = "default") -> int:
    """Append these days (0 is the first) to the store at ``path``; answers how many records."""
    connection = sqlite_schema.open_for_writing(path)
    connection.execute("PRAGMA synchronous=OFF")
    count = 0
    try:
        for day in days:
            connection.execute("BEGIN IMMEDIATE")
            for rows, chosen in _day(history, day, tenant):
                first = connection.execute(_LAST_GIVEN).fetchone()[0] + 1
                connection.executemany(sqlite_rows.INSERT_RECORD, rows)
                _index(connection, rows, chosen, first)
                count += len(rows)
            connection.execute("COMMIT")
    finally:
        connection.close()
    return count


def _index(connection: sqlite3.Connection, rows: list[sqlite_rows.Row], chosen: list[list[str]], first: int) -> None:
    connection.executemany(
        sqlite_rows.INSERT_CHOSEN,
        (
            (row[0], agent, row[3], first + number)
            for number, (row, team) in enumerate(zip(rows, chosen, strict=True))
            for agent in team
        ),
    )


def _day(history: History, day: int, tenant: str) -> Iterator[tuple[list[sqlite_rows.Row], list[list[str]]]]:
    centres = _unit(np.random.default_rng(history.seed).normal(size=(KINDS, DIMENSION)))
    rng = np.random.default_rng((history.seed, day))
    start_us = int((history.since + timedelta(days=day)).timestamp() * 1e6)
    moments = start_us + np.sort(rng.integers(0, 86_400_000_000, history.per_day))
    late = day >= history.days * 2 // 3
    for begin in range(0, history.per_day, CHUNK_ROWS):
        yield _chunk(rng, centres, moments[begin : begin + CHUNK_ROWS], (day, begin), late, tenant)


def _chunk(
    rng: np.random.Generator,
    centres: NDArray[np.float32],
    moments: NDArray[np.int64],
    place: tuple[int, int],
    late: bool,
    tenant: str,
) -> tuple[list[sqlite_rows.Row], list[list[str]]]:
    count = len(moments)
    kinds = rng.integers(KINDS, size=count)
    noise = rng.standard_normal((count, DIMENSION), dtype=np.float32)
    vectors = _unit(centres[kinds] + 0.8 / np.sqrt(DIMENSION) * noise)
    first, second = rng.integers(AGENTS, size=(2, count))
    pairs = rng.random(count) < 0.3
    modalities = rng.choice(["text", "text", "text", "image", "audio"], size=count)
    chances, spreads = rng.random((count, 2)), rng.lognormal(0, 0.5, (count, 2))
    rows, teams = [], []
    for n in range(count):
        team = [f"a{first[n]:02d}"] + ([f"a{second[n]:02d}"] if pairs[n] and second[n] != first[n] else [])
        items = {f"agent={agent}" for agent in team} | {f"modality={modalities[n]}", f"kind {kinds[n]}"}
        hour = int(moments[n] // 3_600_000_000 % 24) // 4 * 4
        items.add(f"hours={hour:02d}-{hour + 4:02d}")
        failed = chances[n, 0] < _chance(items, "outcome=failure", 0.12, "success", late)
        slow = chances[n, 1] < _chance(items, "slow", 0.07, "", late)
        latencies = [
            (900 if slow else 120) * spreads[n, i] * (1.8 if late and agent == "a12" else 1.0)
            for i, agent in enumerate(team)
        ]
        costs = [
            0.1 + (0.01 if late and agent == "a13" else 0.0) + 0.01 * spreads[n, i] for i, agent in enumerate(team)
        ]
        task_id = f"t{place[0]:03d}x{place[1] + n:07d}"
        body = _body(tenant, task_id, int(moments[n]), team, str(modalities[n]), not failed, latencies, costs)
        rows.append((
            tenant, task_id, task_id, int(moments[n]), "failed" if failed else "succeeded", int(not failed),
            sum(latencies), costs[0], "cosine-1", 0.5, 0, json.dumps(team), json.dumps([modalities[n]]),
            "step_failed" if failed else None, body, vectors[n].tobytes(),
        ))  # fmt: skip
        teams.append(sorted(set(team)))
    return rows, teams


def _chance(items: set[str], outcome: str, usual: float, drifting: str, late: bool) -> float:
    found = [chance for (antecedent, what), chance in RULES.items() if what == outcome and items.issuperset(antecedent)]
    if late and drifting and any(f"agent={agent}" in items for agent, metric in DRIFTS if metric == drifting):
        found.append(0.4)
    return max([usual, *found])


def _body(
    tenant: str,
    task_id: str,
    at_us: int,
    team: list[str],
    modality: str,
    success: bool,
    latencies: list[float],
    costs: list[float],
) -> str:
    """The record as a worker leaves it: eight candidates, a network, steps with times."""
    at = datetime.fromtimestamp(at_us / 1e6, UTC).isoformat().replace("+00:00", "Z")
    steps = [
        {
            "step_id": f"{task_id}.n{i}",
            "node": f"n{i}",
            "agent_id": agent,
            "skill_id": "do",
            "attempts": 1,
            "latency_ms": latencies[i],
            "cost": costs[i],
            "ok": success,
            "error": None,
        }
        for i, agent in enumerate(team)
    ]
    return json.dumps(
        {
            "record_id": task_id,
            "task_id": task_id,
            "tenant": tenant,
            "at": at,
            "state": "succeeded" if success else "failed",
            "success": success,
            "instruction": f"summarise document {task_id} in three sentences",
            "modalities": [modality],
            "vector_version": "minilm-1",
            "candidates": _CANDIDATES,
            "chosen": team,
            "propensity": 0.5,
            "policy": "cosine-1",
            "exploratory": False,
            "network": None,
            "steps": steps,
            "times": {"queued_ms": 1.0, "run_ms": sum(latencies)},
            "latency_ms": sum(latencies),
            "cost": costs[0],
            "failure_code": None if success else "step_failed",
            "labels": {},
        }
    )


_CANDIDATES = [
    {
        "agent_id": f"a{n:02d}",
        "skill_id": "do",
        "score": 0.5,
        "scores": {"dense": 0.5},
        "probability": 0.125,
        "reasons": ["cosine 0.50 to its skill “do”"],
    }
    for n in range(8)
]


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
