"""Reads ``{query, nodes, edges}``: tasks with the graphs that did them. Called by ``aos bench graph``.

Rows may also have ``steps``, texts that say what the nodes were asked: learned from in the experience, ignored in
tasks.

Whatever is wrong is said with file and line, as the other evaluation commands do.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.evolving.prediction.past import PastGraph
from agents.matching.evaluation.rows import CatalogueRows, RowsInvalid

SHOWN_MAX = 5
AROUND_WORDS = ".,:;!?()[]'\"`"


@dataclass(frozen=True, slots=True)
class GraphRows:
    """Tasks and their graphs, by rows of the catalogue."""

    queries: tuple[str, ...]
    graphs: tuple[PastGraph, ...]
    notes: tuple[str, ...] = ()

    def known(self, agents: int) -> list[int]:
        """Rows with an agent of the catalogue: those that can be learned from."""
        return [row for row, graph in enumerate(self.graphs) if any(node < agents for node in graph.agents)]


def read_graphs(path: Path, catalogue: CatalogueRows) -> GraphRows:
    """Nodes that the catalogue lacks stay in, as rows behind its end: they count as missed, and cannot be predicted.

    Raises RowsInvalid for rows without query, nodes or edges of the right form, and for an empty file.
    """
    positions, problems, notes = dict(catalogue.positions), list[str](), list[str]()
    queries, graphs = list[str](), list[PastGraph]()
    for line, row in _rows(path, problems):
        problem = _wrong(row)
        if problem:
            problems.append(f"{path}:{line}: {problem}")
            continue
        unknown = [node for node in row["nodes"] if node not in catalogue.positions]
        if unknown:
            notes.append(f"{path}:{line}: node {unknown[0]!r} is not in the catalogue; it counts as missed")
        for node in row["nodes"]:
            positions.setdefault(node, len(positions))
        agents = tuple(dict.fromkeys(positions[node] for node in row["nodes"]))
        edges = dict.fromkeys((positions[source], positions[target]) for source, target in row["edges"])
        queries.append(row["query"])
        steps = tuple((positions[node], words) for node, words in _steps(row))
        graphs.append(PastGraph(agents, tuple(edges), steps))
    if problems:
        shown = (
            *problems[:SHOWN_MAX],
            *([f"and {len(problems) - SHOWN_MAX} more"] if len(problems) > SHOWN_MAX else []),
        )
        raise RowsInvalid(f"{path}: {len(problems)} wrong rows. {'; '.join(shown)}", tuple(shown))
    if not queries:
        raise RowsInvalid(f"{path} has no rows; expected one task a line")
    more = [f"and {len(notes) - SHOWN_MAX} more like these"] if len(notes) > SHOWN_MAX else []
    return GraphRows(tuple(queries), tuple(graphs), (*notes[:SHOWN_MAX], *more))


def within(graph: PastGraph, agents: int) -> PastGraph:
    """The graph without agents that the catalogue lacks."""
    kept = tuple(node for node in graph.agents if node < agents)
    steps = tuple((agent, words) for agent, words in graph.steps if agent < agents)
    return PastGraph(kept, tuple(edge for edge in graph.edges if max(edge) < agents), steps)


def _rows(path: Path, problems: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if isinstance(row, dict):
                    yield number, row
                else:
                    problems.append(f"{path}:{number}: no JSON object; expected one task a line")
    except (OSError, UnicodeDecodeError) as error:
        raise RowsInvalid(f"{path} cannot be read: {error}") from error


def _steps(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Each step with the one node that it names, else with the node of its place where there are as many of both.

    The node's id is cut out of the words: nobody who asks knows it. Steps that belong to no node are passed over.
    """
    steps, nodes = row.get("steps", ()), row["nodes"]
    found = list[tuple[str, str]]()
    for place, step in enumerate(steps):
        words = step.split()
        named = {word.strip(AROUND_WORDS) for word in words}.intersection(nodes)
        if len(named) == 1:
            node = named.pop()
            found.append((node, " ".join(word for word in words if word.strip(AROUND_WORDS) != node)))
        elif not named and len(steps) == len(nodes):
            found.append((nodes[place], step))
    return found


def _wrong(row: dict[str, Any]) -> str | None:
    """What is wrong with a row, in words."""
    query, nodes, edges = row.get("query"), row.get("nodes"), row.get("edges")
    if not isinstance(query, str) or not query.strip():
        return "'query' is missing or empty; expected text"
    if not isinstance(nodes, list) or not nodes or not all(isinstance(node, str) for node in nodes):
        return '\'nodes\' is missing or empty; expected a list of ids, for example ["ocr", "summary"]'
    if not isinstance(edges, list) or not all(isinstance(edge, list) and len(edge) == 2 for edge in edges):
        return '\'edges\' is missing; expected pairs of ids, for example [["ocr", "summary"]]'
    steps = row.get("steps", [])
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        return "'steps' may be left out; else a list of texts, for example [\"Call ocr to read the scan\"]"
    outside = next((end for edge in edges for end in edge if end not in nodes), None)
    return None if outside is None else f"an edge names {outside!r}, which is not among the nodes"
