"""Draws a network as text, from left to right. Called by explain, the demo and the command line.

Columns are the groups of execution; between two columns branches run in lanes of their own, so that they can be told
apart. An edge that passes a column runs through it as a line (the dummy nodes of Sugiyama 1981).
"""

from dataclasses import dataclass

from schemas.network import TASK, Network

# A cell of the gutter is the set of its arms: up, down, left, right.
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = {
    0: " ",
    _LEFT | _RIGHT: "─",
    _UP | _DOWN: "│",
    _LEFT | _DOWN: "┐",
    _LEFT | _UP: "┘",
    _RIGHT | _DOWN: "┌",
    _RIGHT | _UP: "└",
    _LEFT | _RIGHT | _DOWN: "┬",
    _LEFT | _RIGHT | _UP: "┴",
    _UP | _DOWN | _RIGHT: "├",
    _UP | _DOWN | _LEFT: "┤",
    _UP | _DOWN | _LEFT | _RIGHT: "┼",
    _LEFT: "─",
    _RIGHT: "─",
    _UP: "│",
    _DOWN: "│",
}


@dataclass(frozen=True, slots=True)
class _Cell:
    """What stands in one row of a column: a node, or the line of an edge on its way past it (``id`` of its source)."""

    id: str
    label: str = ""

    @property
    def passes(self) -> bool:
        return not self.label


@dataclass(frozen=True, slots=True)
class _Lane:
    """One vertical line of a gutter, with the rows it collects from and leads to."""

    sources: tuple[int, ...]
    targets: tuple[int, ...]


def draw(network: Network) -> str:
    """The network as lines of box characters: ``task ──▶ ocr.read ──▶ summary.extract``."""
    columns = _columns(network)
    canvas = [""] * max(len(column) for column in columns)
    for index, column in enumerate(columns):
        _append_column(canvas, column)
        if index + 1 < len(columns):
            _append_gutter(canvas, columns[index + 1], _lanes(network, column, columns[index + 1]))
    return "\n".join(line.rstrip() for line in canvas)


def _columns(network: Network) -> list[list[_Cell]]:
    groups = network.groups()
    level = {TASK: 0} | {node: depth for depth, group in enumerate(groups, 1) for node in group}
    columns = [[_Cell(TASK, TASK)]]
    for depth, group in enumerate(groups, 1):
        nodes = [_Cell(node, _label(network, node)) for node in group]
        passing = dict.fromkeys(
            edge.source for edge in network.edges if level[edge.source] < depth < level[edge.target]
        )
        cells = [*nodes, *(_Cell(source) for source in passing)]
        columns.append(sorted(cells, key=lambda cell: _middle_of_sources(cell, network, columns[-1])))
    return columns


def _middle_of_sources(cell: _Cell, network: Network, before: list[_Cell]) -> float:
    """Where the cell's sources stand on average, so that lines cross little (the barycentre heuristic)."""
    rows = {other.id: row for row, other in enumerate(before)}
    if cell.passes:
        return rows.get(cell.id, 0.0) + 0.01
    found = [rows[edge.source] for edge in network.edges if edge.target == cell.id and edge.source in rows]
    return sum(found) / len(found) if found else 0.0


def _label(network: Network, node_id: str) -> str:
    node = network.node(node_id)
    return f"{node.agent_id}.{node.skill_id}"


def _lanes(network: Network, left: list[_Cell], right: list[_Cell]) -> list[_Lane]:
    """The vertical lines between two columns; sources that lead to the same targets share one."""
    shared: dict[tuple[int, ...], list[int]] = {}
    for row, cell in enumerate(left):
        targets = tuple(place for place, target in enumerate(right) if _leads(network, cell, target))
        if targets:
            shared.setdefault(targets, []).append(row)
    lanes = [_Lane(tuple(sources), targets) for targets, sources in shared.items()]
    # Of lanes that lead upwards the lowest turns first, so that its line does not cross those of higher ones.
    return sorted(lanes, key=lambda lane: -lane.sources[0] if lane.targets[0] < lane.sources[0] else lane.sources[0])


def _leads(network: Network, cell: _Cell, target: _Cell) -> bool:
    if target.passes:
        return target.id == cell.id
    return any(edge.source == cell.id and edge.target == target.id for edge in network.edges)


def _append_column(canvas: list[str], column: list[_Cell]) -> None:
    width = max(len(cell.label) for cell in column)
    for row in range(len(canvas)):
        cell = column[row] if row < len(column) else None
        if cell is None:
            canvas[row] += " " * (width + 2)
        elif cell.passes:
            canvas[row] += "─" * (width + 2)
        else:
            canvas[row] += f" {cell.label} ".ljust(width + 2, "─")


def _append_gutter(canvas: list[str], right: list[_Cell], lanes: list[_Lane]) -> None:
    grid = [[0] * (len(lanes) + 2) for _ in canvas]
    for place, lane in enumerate(lanes, 1):
        _route(grid, lane, place)
    arrows = {row for lane in lanes for row in lane.targets}
    for row, arms in enumerate(grid):
        end = " " if row not in arrows else "─" if right[row].passes else "▶"
        canvas[row] += "".join(_LINES[arm] for arm in arms) + end


def _route(grid: list[list[int]], lane: _Lane, place: int) -> None:
    for row in lane.sources:
        _horizontal(grid[row], 0, place)
        grid[row][place] |= _LEFT
    top, bottom = min(*lane.sources, *lane.targets), max(*lane.sources, *lane.targets)
    for row in range(top, bottom + 1):
        grid[row][place] |= (_UP if row > top else 0) | (_DOWN if row < bottom else 0)
    for row in lane.targets:
        grid[row][place] |= _RIGHT
        _horizontal(grid[row], place + 1, len(grid[row]))


def _horizontal(row: list[int], start: int, end: int) -> None:
    for column in range(start, end):
        row[column] |= _LEFT | _RIGHT
