"""On a bus that takes nobody without a credentials file every connection of a worker shows it."""

import asyncio
import os
import signal
import sys

import pytest
from secured_bus import SecuredServer

from gateway.bus.connection import connect
from schemas import subjects
from schemas.explain import SearchReply, SearchRequest


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
