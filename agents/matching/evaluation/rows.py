"""Reads the JSON lines of an evaluation: catalogues, queries with their right agents, prompts with outcomes.

Called by the evaluation commands. Whatever is wrong is said with file and line; what can be used is used.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHOWN_MAX = 5
"""Of many wrong lines so many are named; the rest is counted."""


class RowsInvalid(ValueError):
    """A file cannot be used. ``lines`` are its wrong lines, each as ``file:line: what is wrong``."""

    def __init__(self, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.lines = lines


@dataclass(frozen=True, slots=True)
class CatalogueRows:
    """Agents in the order of the file: ``ids``, ``names`` and ``descriptions`` have the same length."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def positions(self) -> dict[str, int]:
        """Each id's row."""
        return {agent_id: row for row, agent_id in enumerate(self.ids)}


@dataclass(frozen=True, slots=True)
class QueryRows:
    """Queries with the rows of their right agents in the catalogue; none means out of scope."""

    queries: tuple[str, ...]
    gold: tuple[tuple[int, ...], ...]
    unanswerable: frozenset[int] = frozenset()
    """Queries whose every right agent is missing from the catalogue: they count as misses, not as out of scope."""
    notes: tuple[str, ...] = ()

    @property
    def in_scope(self) -> tuple[bool, ...]:
        """For each query whether it names a right agent, be it one that the catalogue does not have."""
        return tuple(bool(right) or row in self.unanswerable for row, right in enumerate(self.gold))


@dataclass(frozen=True, slots=True)
class OutcomeRows:
    """Prompts with what each agent scored on them: ``outcomes`` holds one dict a prompt."""

    prompts: tuple[str, ...]
    outcomes: tuple[dict[str, float], ...]
    costs: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_catalogue(path: Path) -> CatalogueRows:
    """``{id, name, description}`` a line. A missing name is the id, a missing or empty description is noted.

    Raises RowsInvalid for duplicate ids, rows without an id, and an empty file.
    """
    problems: list[str] = []
    notes: list[str] = []
    first: dict[str, int] = {}
    ids, names, descriptions = [], [], []
    for line, row in _rows(path):
        agent_id = row.get("id")
        if not isinstance(agent_id, str) or not agent_id.strip():
            problems.append(f"{path}:{line}: 'id' is missing; expected a word, for example \"summary\"")
            continue
        if agent_id in first:
            problems.append(f"{path}:{line}: id {agent_id!r} is also on line {first[agent_id]}; ids are unique")
            continue
        first[agent_id] = line
        name, description = _text(row, "name", path, line, problems), _text(row, "description", path, line, problems)
        if not description.strip():
            notes.append(f"{path}:{line}: {agent_id!r} has no description; its name stands for it")
        ids.append(agent_id)
        names.append(name.strip() or agent_id)
        descriptions.append(description.strip())
    _refuse(path, problems)
    if not ids:
        raise RowsInvalid(f"{path} has no rows; expected one agent a line")
    return CatalogueRows(tuple(ids), tuple(names), tuple(descriptions), _shortened(notes))


def read_queries(path: Path, catalogue: CatalogueRows, *, may_be_empty: bool = False) -> QueryRows:
    """``{query, gold: [ids]}`` a line. Ids that are not in the catalogue are dropped and noted.

    Raises RowsInvalid for rows without a query or with a gold that is no list of words, and for an empty file unless
    it ``may_be_empty``: then that is noted.
    """
    problems: list[str] = []
    notes: list[str] = []
    positions = catalogue.positions
    queries: list[str] = []
    gold: list[tuple[int, ...]] = []
    unanswerable: set[int] = set()
    for line, row in _rows(path):
        query, named = row.get("query"), row.get("gold")
        if not isinstance(query, str) or not query.strip():
            problems.append(f"{path}:{line}: 'query' is missing or empty; expected text")
            continue
        if not isinstance(named, list) or not all(isinstance(agent_id, str) for agent_id in named):
            problems.append(f"{path}:{line}: 'gold' is missing; expected a list of ids, [] for out of scope")
            continue
        unknown = [agent_id for agent_id in named if agent_id not in positions]
        if unknown:
            notes.append(f"{path}:{line}: gold {unknown[0]!r} is not in the catalogue")
        if named and len(unknown) == len(named):
            unanswerable.add(len(queries))
        queries.append(query)
        gold.append(tuple(dict.fromkeys(positions[agent_id] for agent_id in named if agent_id in positions)))
    _refuse(path, problems)
    if not queries and not may_be_empty:
        raise RowsInvalid(f"{path} has no rows; expected one query a line")
    if not queries:
        notes.append(f"{path} has no rows: as if there were no such file")
    return QueryRows(tuple(queries), tuple(gold), frozenset(unanswerable), _shortened(notes))


def read_outcomes(path: Path) -> OutcomeRows:
    """``{prompt, outcomes: {agent: score}, costs?: {agent: cost}}`` a line. Raises RowsInvalid.

    An agent that was not tried on a prompt is left out there, or has null; prompts that nobody tried are noted.
    """
    problems: list[str] = []
    notes: list[str] = []
    prompts, outcomes = [], []
    spent: dict[str, list[float]] = {}
    for line, row in _rows(path):
        prompt, scores = row.get("prompt"), row.get("outcomes")
        if not isinstance(prompt, str) or not prompt.strip():
            problems.append(f"{path}:{line}: 'prompt' is missing or empty; expected text")
            continue
        if not isinstance(scores, dict) or not all(score is None or _is_number(score) for score in scores.values()):
            problems.append(f"{path}:{line}: 'outcomes' is missing; expected scores, for example {{\"agent\": 1}}")
            continue
        known = {str(agent): float(score) for agent, score in scores.items() if score is not None}
        if not known:
            notes.append(f"{path}:{line}: no agent has an outcome; the prompt is left out")
            continue
        prompts.append(prompt)
        outcomes.append(known)
        for agent, cost in _costs(row).items():
            spent.setdefault(agent, []).append(cost)
    _refuse(path, problems)
    if not prompts:
        raise RowsInvalid(f"{path} has no rows with an outcome; expected one prompt a line", _shortened(notes))
    costs = {agent: sum(each) / len(each) for agent, each in spent.items()}
    return OutcomeRows(tuple(prompts), tuple(outcomes), costs, _shortened(notes))


def read_ids(path: Path, catalogue: CatalogueRows) -> tuple[int, ...]:
    """A JSON list of agent ids, as their rows in the catalogue. Raises RowsInvalid for anything else."""
    try:
        named = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RowsInvalid(f"{path} cannot be read: {error}") from error
    if not isinstance(named, list) or not all(isinstance(agent_id, str) for agent_id in named):
        raise RowsInvalid(f'{path} is no JSON list of agent ids; expected for example ["summary", "translate"]')
    positions = catalogue.positions
    unknown = [agent_id for agent_id in named if agent_id not in positions]
    if unknown:
        raise RowsInvalid(f"{path} names {len(unknown)} agents that are not in the catalogue, first {unknown[0]!r}")
    return tuple(sorted({positions[agent_id] for agent_id in named}))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of every line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, _row(line, path, number)
    except (OSError, UnicodeDecodeError) as error:
        raise RowsInvalid(f"{path} cannot be read: {error}") from error


def _row(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise RowsInvalid(f"{path}:{number}: is no JSON: {error}") from error
    if not isinstance(row, dict):
        raise RowsInvalid(f"{path}:{number}: is no JSON object, but {type(row).__name__}")
    return row


def _text(row: dict[str, Any], name: str, path: Path, line: int, problems: list[str]) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        problems.append(f"{path}:{line}: {name!r} is {type(value).__name__}; expected text")
        return ""
    return value


def _costs(row: dict[str, Any]) -> dict[str, float]:
    costs = row.get("costs")
    return {str(k): float(v) for k, v in costs.items() if _is_number(v)} if isinstance(costs, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _refuse(path: Path, problems: Sequence[str]) -> None:
    if problems:
        shown = _shortened(problems)
        raise RowsInvalid(f"{path} has {len(problems)} wrong rows", shown)


def _shortened(lines: Sequence[str]) -> tuple[str, ...]:
    rest = len(lines) - SHOWN_MAX
    return (*lines[:SHOWN_MAX], f"… and {rest} more") if rest > 0 else tuple(lines)
