"""Up to how many points a graph's segment compares one by one, by their int8 copies, instead of walking its graph.

The engine takes one number for this and for which tags get edges of their own, when it builds a graph; what it then
searches by lies in a file of each segment. The graph process widens it there: comparing many int8 copies, which stay in
memory, costs half of comparing as many floats, which may have to be read from disk. Where the file is not as expected
nothing is widened, and larger parts are compared by floats.
"""

import json
from collections.abc import Iterator
from pathlib import Path

SCANNED_POINTS = 20_000
"""What the engine is told when it builds a graph: a tag of fewer gets no edges of its own. 0.2 µs a point."""

SCANNED_SHARE = 0.16
"""Of the index: more are better found by walking or sieving. Only the smaller 0.75 of it is sure to be compared: what
the engine estimates of a filter may be another number than what it tells."""

_KEY = "full_scan_threshold"


def widen(folder: Path, points: int) -> None:
    """Let segments below ``folder``, which nobody has open, compare that share of so many points."""
    for file, settings in _settings(folder):
        settings[_KEY] = max(settings[_KEY], int(SCANNED_SHARE * points))
        file.write_text(json.dumps(settings))


def scanned_below(folder: Path) -> int:
    """A filter that leaves fewer points of the shard in ``folder`` is answered by comparing each, by int8 copies."""
    return min((settings[_KEY] for _, settings in _settings(folder)), default=SCANNED_POINTS)


def _settings(folder: Path) -> Iterator[tuple[Path, dict[str, int]]]:
    for file in folder.glob("segments/*/vector_index/hnsw_config.json"):
        try:
            settings = json.loads(file.read_text())
        except ValueError:
            continue
        if isinstance(settings, dict) and isinstance(settings.get(_KEY), int):
            yield file, settings
