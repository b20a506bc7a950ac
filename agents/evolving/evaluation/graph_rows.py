"""Reads ``{query, nodes, edges}``: tasks with the graphs that did them. Called by ``aos bench graph``.

Rows may also have ``steps``, texts that say what the nodes were asked: learned from in the experience, ignored in
tasks.

Whatever is wrong is said with file and line, as the other evaluation commands do. A graph without nodes says that
nobody was needed.
"""

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from agents.evolving.prediction.past import PastGraph
from agents.matching.evaluation.json_lines import JsonLines, ids_of, kind_of, kind_of_list
from agents.matching.evaluation.rows import CatalogueRows

AROUND_WORDS = ".,:;!?()[]'\"`"
TASK = '{"query": "Read the scan and sum it up", "nodes": ["ocr", "summary"], "edges": [["ocr", "summary"]]}'


@dataclass(frozen=True, slots=True)
class GraphRows:
    """Tasks and their graphs, by rows of the catalogue."""

    queries: tuple[str, ...]
    graphs: tuple[PastGraph, ...]
    notes: tuple[str, ...] = ()

    def known(self, agents: int) -> list[int]:
        """Rows with an agent of the catalogue: those that can be learned from."""
        return [row for row, graph in enumerate(self.graphs) if any(node < agents for node in graph.agents)]


def read_graphs(path: Path, catalogue: CatalogueRows, *, may_be_empty: bool = False) -> GraphRows:
    """Nodes that the catalogue lacks stay in, as rows behind its end: they count as missed, and cannot be predicted.

    Raises RowsInvalid for rows without query, nodes or edges of the right form, and for an empty file unless it
    ``may_be_empty``.
    """
    lines = JsonLines(path, TASK)
    known = catalogue.positions
    positions = dict(known)
    queries, graphs = list[str](), list[PastGraph]()
    for line, found in lines.rows():
        row = _with_words(found)
        problem = _wrong(row)
        if problem:
            lines.wrong(line, problem)
            continue
        for odd in _odd(row, known):
            lines.note(line, odd)
        for node in row["nodes"]:
            positions.setdefault(node, len(positions))
        agents = tuple(dict.fromkeys(positions[node] for node in row["nodes"]))
        edges = dict.fromkeys((positions[source], positions[target]) for source, target in row["edges"])
        queries.append(row["query"])
        steps = tuple((positions[node], words) for node, words in _steps(row))
        graphs.append(PastGraph(agents, tuple(edges), steps))
    missing = "" if may_be_empty else "rows: no task"
    return GraphRows(tuple(queries), tuple(graphs), lines.done(rows=len(queries), missing=missing))


def _odd(row: dict[str, Any], known: Container[str]) -> Iterator[str]:
    """What in a row is read otherwise than its writer may think."""
    nodes: list[str] = row["nodes"]
    unknown = next((node for node in nodes if node not in known), None)
    if unknown is not None:
        yield f"node {unknown!r} is not in the catalogue; nothing of it is learned, and among tasks it counts as missed"
    repeated = next((node for node, times in Counter(nodes).items() if times > 1), None)
    if repeated is not None:
        yield f"node {repeated!r} is named twice; it counts once"
    own = next((source for source, target in row["edges"] if source == target), None)
    if own is not None:
        yield f"an edge leads from {own!r} to itself; no predicted graph has such an edge, and it counts as missed"
    elif _circular(row["edges"]):
        yield "its edges go round in a circle; those of no predicted graph do, and one at least counts as missed"
    if not _are_texts(row.get("steps", [])):
        yield "'steps' is no list of texts; it is passed over"


def _circular(edges: list[list[str]]) -> bool:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for source, target in edges:
        sorter.add(target, source)
    try:
        sorter.prepare()
    except CycleError:
        return True
    return False


def within(graph: PastGraph, agents: int) -> PastGraph:
    """The graph without agents that the catalogue lacks."""
    kept = tuple(node for node in graph.agents if node < agents)
    steps = tuple((agent, words) for agent, words in graph.steps if agent < agents)
    return PastGraph(kept, tuple(edge for edge in graph.edges if max(edge) < agents), steps)


def _steps(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Each step with the one node that it names, else with the node of its place where there are as many of both.

    The node's id is cut out of the words: nobody who asks knows it. Steps that belong to no node are passed over.
    """
    nodes, steps = row["nodes"], row.get("steps", [])
    if not _are_texts(steps):
        return []
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


def _with_words(row: dict[str, Any]) -> dict[str, Any]:
    """The row with ids that are numbers as words, where nodes and edges are lists at all."""
    nodes, edges = row.get("nodes"), row.get("edges")
    if isinstance(edges, list):
        edges = [ids_of(edge) or edge for edge in edges]
    return {**row, "nodes": ids_of(nodes) or nodes, "edges": edges}


def _are_texts(steps: object) -> bool:
    return isinstance(steps, list) and all(isinstance(step, str) for step in steps)


def _wrong(row: dict[str, Any]) -> str | None:
    """What is wrong with a row, in words."""
    query, nodes, edges = row.get("query"), row.get("nodes"), row.get("edges")
    if not isinstance(query, str) or not query.strip():
        return f"'query' is {kind_of(query)}; expected text"
    if not isinstance(nodes, list) or not all(isinstance(node, str) for node in nodes):
        return f'\'nodes\' is {kind_of_list(nodes)}; expected a list of ids, for example ["ocr", "summary"]'
    if not isinstance(edges, list) or not all(ids_of(edge) and len(edge) == 2 for edge in edges):
        return f'\'edges\' is {kind_of_list(edges)}; expected pairs of ids, for example [["ocr", "summary"]]'
    named = set(nodes)
    outside = next((end for edge in edges for end in edge if end not in named), None)
    return None if outside is None else f"an edge names {outside!r}, which is not among the nodes"
