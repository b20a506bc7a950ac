"""Copies the sample agents into the demo's own folder, each service on a port of its own. Called by `show`.

The cards name fixed ports, as a person writes them; a demo must not meet the agents of a gateway that runs already.
"""

import re
import shutil
from pathlib import Path

from gateway.embedded.nats_server import free_port

_LOCAL_PORT = re.compile(r"127\.0\.0\.1:(\d+)")


def stage_agents(source: Path, target: Path) -> Path:
    """The copied folder. Every port that cards name is replaced by a free one, the same wherever it is named."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    ports: dict[str, int] = {}
    for card in sorted(target.glob("*.yaml")):
        text = card.read_text()
        for port in _LOCAL_PORT.findall(text):
            ports.setdefault(port, free_port())
        card.write_text(_LOCAL_PORT.sub(lambda found: f"127.0.0.1:{ports[found.group(1)]}", text))
    return target
