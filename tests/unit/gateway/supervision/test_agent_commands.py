"""A card's command becomes a process that knows the bus, its tenant, its id and its port."""

import os
import sys
from pathlib import Path

from gateway.supervision.agent_commands import command_of
from schemas.card import AgentCard

FOLDER = Path("/cards")


def card(endpoint: dict) -> AgentCard:
    skill = {"id": "echo", "description": "says it again", "inputs": ["text"], "outputs": ["text"]}
    return AgentCard.model_validate(
        {"id": "echo", "version": "1.0.0", "description": "An echo.", "skills": [skill], "endpoint": endpoint}
    )


def command(endpoint: dict):
    return command_of(card(endpoint), FOLDER, {"HOME": "/h"}, nats_url="nats://n:4222", gateway_url="http://g:8080")


def test_python_means_the_interpreter_of_the_gateway():
    found = command({"kind": "nats", "command": ["python", "echo.py"]})
    assert found.argv == (sys.executable, "echo.py")
    assert found.cwd == FOLDER


def test_the_process_is_told_where_it_belongs():
    env = command({"kind": "nats", "command": ["./agent"]}).env
    told = {name: env[name] for name in ("AOS_NATS_URL", "AOS_TENANT", "AOS_AGENT_ID", "AOS_GATEWAY_URL", "HOME")}
    assert told == {
        "AOS_NATS_URL": "nats://n:4222",
        "AOS_TENANT": "default",
        "AOS_AGENT_ID": "echo",
        "AOS_GATEWAY_URL": "http://g:8080",
        "HOME": "/h",
    }
    assert env["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_an_http_agent_is_told_the_port_of_its_url():
    assert command({"kind": "http", "url": "http://127.0.0.1:9123/run", "command": ["serve"]}).env["PORT"] == "9123"
    assert command({"kind": "http", "url": "https://agent.local/run", "command": ["serve"]}).env["PORT"] == "443"


def test_agents_that_run_elsewhere_have_no_process():
    assert command({"kind": "nats"}) is None
    assert command({"kind": "python", "target": "echo.py:run"}) is None
