"""Reads the JSON lines of an evaluation: catalogues, queries with their right agents, prompts with outcomes.

Called by the evaluation commands. Whatever is wrong is said with file and line; what can be used is used.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.matching.evaluation.json_lines import (
    JsonLines,
    RowsInvalid,
    id_of,
    ids_of,
    kind_of,
    kind_of_list,
    number_of,
    opened,
)

AGENT = '{"id": "summary", "name": "Summary", "description": "Summarises texts."}'
QUERY = '{"query": "Make this shorter", "gold": ["summary"]}, with "gold": [] where nobody fits'
OUTCOME = '{"prompt": "Make this shorter", "outcomes": {"summary": 1, "translate": 0.2}}'


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
    lines = JsonLines(path, AGENT)
    first: dict[str, int] = {}
    names, descriptions = [], []
    for line, row in lines.rows():
        agent_id = id_of(row.get("id"))
        if agent_id is None:
            lines.wrong(line, f"'id' is {kind_of(row.get('id'))}; expected a word")
        elif agent_id in first:
            lines.wrong(line, f"id {agent_id!r} is also on line {first[agent_id]}; ids are unique")
        else:
            first[agent_id] = line
            name, description = _text(row, "name", lines, line), _text(row, "description", lines, line)
            if not description:
                lines.note(line, f"{agent_id!r} has no description; its name stands for it")
            names.append(name or agent_id)
            descriptions.append(description)
    notes = lines.done(rows=len(first), missing="rows: no agent to choose from")
    return CatalogueRows(tuple(first), tuple(names), tuple(descriptions), notes)


def read_queries(path: Path, catalogue: CatalogueRows, *, may_be_empty: bool = False) -> QueryRows:
    """``{query, gold: [ids]}`` a line. Ids that are not in the catalogue are dropped and noted.

    Raises RowsInvalid for rows without a query or with a gold that is no list of ids, and for an empty file unless
    it ``may_be_empty``: then that is noted.
    """
    lines = JsonLines(path, QUERY)
    positions = catalogue.positions
    queries: list[str] = []
    gold: list[tuple[int, ...]] = []
    unanswerable: set[int] = set()
    for line, row in lines.rows():
        query, named = row.get("query"), ids_of(row.get("gold"))
        if not isinstance(query, str) or not query.strip():
            lines.wrong(line, f"'query' is {kind_of(query)}; expected text")
        elif named is None:
            lines.wrong(line, f"'gold' is {kind_of_list(row.get('gold'))}; expected a list of ids, [] for out of scope")
        else:
            unknown = [agent_id for agent_id in named if agent_id not in positions]
            if unknown:
                lines.note(line, f"gold {unknown[0]!r} is not in the catalogue")
            if named and len(unknown) == len(named):
                unanswerable.add(len(queries))
            queries.append(query)
            gold.append(tuple(dict.fromkeys(positions[agent_id] for agent_id in named if agent_id in positions)))
    notes = lines.done(rows=len(queries), missing="" if may_be_empty else "rows: nothing is asked")
    if not queries:
        notes = (f"{path} has no rows: as if there were no such file",)
    return QueryRows(tuple(queries), tuple(gold), frozenset(unanswerable), notes)


def read_outcomes(path: Path) -> OutcomeRows:
    """``{prompt, outcomes: {agent: score}, costs?: {agent: cost}}`` a line. Raises RowsInvalid.

    An agent that was not tried on a prompt is left out there, or has null; prompts that nobody tried are noted, and
    so are scores that are not 0 to 1. Costs are 0 or more.
    """
    lines = JsonLines(path, OUTCOME)
    prompts, outcomes = [], []
    spent: dict[str, list[float]] = {}
    for line, row in lines.rows():
        prompt, scores = row.get("prompt"), row.get("outcomes")
        if not isinstance(prompt, str) or not prompt.strip():
            lines.wrong(line, f"'prompt' is {kind_of(prompt)}; expected text")
            continue
        if not isinstance(scores, dict):
            lines.wrong(line, f"'outcomes' is {kind_of(scores)}; expected scores by agent")
            continue
        known = _numbers(scores)
        odd = [agent for agent, score in scores.items() if score is not None and agent not in known]
        unpaid = _wrong_costs(row.get("costs"))
        if odd:
            lines.wrong(line, f"the outcome of {odd[0]!r} is {kind_of(scores[odd[0]])}; expected a finite number")
        elif unpaid:
            lines.wrong(line, unpaid)
        elif not known:
            lines.note(line, "no agent has an outcome; the prompt is left out")
        else:
            prompts.append(prompt)
            outcomes.append(known)
            for agent, cost in _numbers(row.get("costs")).items():
                spent.setdefault(agent, []).append(cost)
    notes = lines.done(rows=len(prompts), missing="rows with an outcome")
    beyond = any(not 0.0 <= score <= 1.0 for known in outcomes for score in known.values())
    scale = (f"{path}: some scores are not 0 to 1; figures are on the scale of the rows",) if beyond else ()
    costs = {agent: sum(each) / len(each) for agent, each in spent.items()}
    return OutcomeRows(tuple(prompts), tuple(outcomes), costs, (*notes, *scale))


def read_ids(path: Path, catalogue: CatalogueRows) -> tuple[int, ...]:
    """A JSON list of agent ids, as their rows in the catalogue. Raises RowsInvalid for anything else."""
    hint = 'one JSON list, for example ["summary", "translate"]'
    with opened(path) as file:
        text = file.read()
    try:
        named = ids_of(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise RowsInvalid(f"{path} is no JSON: {error}", next_step=hint) from error
    if named is None:
        raise RowsInvalid(f"{path} is no JSON list of agent ids", next_step=hint)
    positions = catalogue.positions
    unknown = [agent_id for agent_id in named if agent_id not in positions]
    if unknown:
        many = f"{len(unknown)} of its {len(named)} ids are"
        raise RowsInvalid(f"{path}: {many} not in the catalogue, first {unknown[0]!r}")
    return tuple(sorted({positions[agent_id] for agent_id in named}))


def _text(row: Mapping[str, Any], name: str, lines: JsonLines, line: int) -> str:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        lines.wrong(line, f"{name!r} is {kind_of(value)}; expected text")
        return ""
    return (value or "").strip()


def _wrong_costs(costs: object) -> str | None:
    """What is wrong with them, in words; an agent without a cost, or with null, has none that is known."""
    if costs is None:
        return None
    if not isinstance(costs, dict):
        return f"'costs' is {kind_of(costs)}; expected costs by agent"
    known = _numbers(costs)
    for agent, cost in costs.items():
        if cost is not None and not known.get(agent, -1.0) >= 0.0:
            return f"the cost of {agent!r} is {cost if agent in known else kind_of(cost)}; expected a number from 0 on"
    return None


def _numbers(values: object) -> dict[str, float]:
    """Those that are finite."""
    numbers = {str(key): number_of(value) for key, value in values.items()} if isinstance(values, dict) else {}
    return {key: number for key, number in numbers.items() if number is not None}
