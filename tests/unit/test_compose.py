"""compose.yaml runs every service that the settings know, and the four roles, all pinned and all watched."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from gateway.cli.doctor.checkup import VARIABLES, services_of
from gateway.roles.running import Role
from gateway.settings import load

ROOT = Path(__file__).parents[2]
ROLES = {role.value for role in Role}
ONE_SHOT = {"s3-bucket", "cards"}


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_every_service_of_the_settings_and_every_role_is_there(compose: dict):
    assert set(compose["services"]) == set(VARIABLES) | ROLES | ONE_SHOT


def test_the_roles_settings_are_valid_and_name_exactly_these_services(compose: dict):
    for role in ROLES:
        environment = {name: _default(value) for name, value in compose["services"][role]["environment"].items()}
        urls = services_of(load(environment).settings)
        hosts = {name: re.sub(r".*://([^:/]+).*", r"\1", url or "") for name, url in urls.items()}
        assert hosts == {name: name for name in VARIABLES}


def test_every_role_runs_itself(compose: dict):
    for role in ROLES:
        assert compose["services"][role]["command"][:3] == ["serve", "--role", role]


def test_every_image_is_pinned_by_a_version_tag(compose: dict):
    for name, service in compose["services"].items():
        assert re.search(r":v?\d+\.\d+", service["image"]), name
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert all(re.search(r":\d+\.\d+\.\d+", line) for line in dockerfile.splitlines() if line.startswith("FROM"))


def test_every_service_that_stays_has_a_health_check(compose: dict):
    assert {name for name, service in compose["services"].items() if not _watched(service)} == ONE_SHOT


def test_nothing_is_open_to_other_machines(compose: dict):
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_bus_writes_accepted_work_to_the_disk():
    assert re.search(r"^\s*sync_interval: always$", (ROOT / "deploy" / "nats.conf").read_text(), re.MULTILINE)


def test_the_image_runs_as_nobody_special():
    assert re.search(r"^USER aos$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose (Debian package)")
def test_docker_compose_accepts_it():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AOS_")}
    checked = subprocess.run(
        ["docker-compose", "-f", "compose.yaml", "config", "--quiet"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr


def test_the_sample_agents_are_registered_and_can_be_run(compose: dict):
    """Relative targets become absolute when a card is registered, so both must see the folder under one path."""
    mounts = {name: compose["services"][name]["volumes"] for name in ("cards", "agents")}
    assert all("./examples/agents:/cards:ro" in volumes for volumes in mounts.values())
    assert compose["services"]["agents"]["environment"]["AOS_AGENTS_DIR"] == "/cards"
    assert compose["services"]["cards"]["command"][:3] == ["agents", "register", "/cards"]


def _watched(service: dict) -> bool:
    return not service.get("healthcheck", {"disable": True}).get("disable", False)


def _default(value: str) -> str:
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
