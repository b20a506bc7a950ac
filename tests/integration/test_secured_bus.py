"""On a bus that takes nobody without a credentials file every connection of a worker shows it."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from secured_bus import SecuredServer

from gateway.bus.connection import connect
from gateway.settings import load
from gateway.supervision.agent_commands import command_of
from gateway.supervision.deployment import Deployment
from schemas import subjects
from schemas.card import AgentCard
from schemas.explain import SearchReply, SearchRequest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
async def secured(tmp_path):
    server = SecuredServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


@pytest.mark.timeout(180)
async def test_a_worker_answers_questions_on_a_secured_bus(secured, tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AOS_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli.main", "serve", "--role", "agents"),
        *("--nats", secured.url, "--data", str(tmp_path)),
        env=clean | {"AOS_NATS_CREDENTIALS": str(secured.credentials)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    nc = await connect(secured.url, "test", credentials=str(secured.credentials))
    try:
        while b"takes tasks" not in (line := await process.stdout.readline()):
            assert line, "the role ended by itself"
        question = SearchRequest(tenant="default", text="anybody").model_dump_json().encode()
        answer = await nc.request(subjects.SEARCH, question, timeout=60)
        assert SearchReply.from_peer(answer.data).report.candidates == ()
        process.send_signal(signal.SIGTERM)
        await asyncio.gather(process.stdout.read(), process.wait())
        assert process.returncode == 0
    finally:
        await nc.close()
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(("script", "folder"), [("echo_agent.py", "echo"), ("extract_nats.py", "agents")])
async def test_agents_that_aos_up_starts_are_told_the_credentials_wherever_they_run(
    secured, tmp_path, monkeypatch, script, folder
):
    """The path is relative to where somebody calls `aos up`; agents run in the folder of their card."""
    monkeypatch.chdir(secured.credentials.parent)
    told = {"bus.url": secured.url, "bus.credentials": secured.credentials.name, "data_dir": str(tmp_path / "data")}
    deployment = Deployment(load({}, told).settings, {"PATH": os.environ["PATH"]})
    skill = {"id": "echo", "description": "says it again", "inputs": ["text"], "outputs": ["text"]}
    card = {"id": "one", "version": "1.0.0", "description": "An agent.", "skills": [skill]}
    card["endpoint"] = {"kind": "nats", "command": ["python", script]}
    spec = command_of(
        AgentCard.model_validate(card),
        EXAMPLES / folder,
        deployment.role_environ(),
        nats_url=secured.url,
        gateway_url=deployment.gateway_url,
    )
    assert spec is not None
    nc = await connect(secured.url, "test", credentials=str(secured.credentials))
    alive = await nc.subscribe(subjects.HEARTBEAT_ALL)
    process = await asyncio.create_subprocess_exec(*spec.argv, cwd=spec.cwd, env=spec.env)
    try:
        assert json.loads((await alive.next_msg(60)).data)["agent_id"] == "one"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        await nc.close()
        if process.returncode is None:
            process.kill()
            await process.wait()
