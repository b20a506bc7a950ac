"""A door of InfluxDB's API with a real server behind it, for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.influx.wire import InfluxDoor, VictoriaMetrics


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[VictoriaMetrics]:
    server = VictoriaMetrics(tmp_path / "vm")
    yield server
    server.stop()


@pytest.fixture
def door(behind: VictoriaMetrics) -> Iterator[InfluxDoor]:
    door = InfluxDoor(behind.url)
    yield door
    door.stop()
