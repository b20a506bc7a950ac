"""A perception role that is told to run an encoder which is not there says so and ends."""

import asyncio
import os
import sys
from pathlib import Path

from gateway.embedded.nats_server import NatsServer


async def test_an_encoder_that_is_not_there_is_said_at_start(nats_server: NatsServer, tmp_path: Path):
    aos = [sys.executable, "-m", "gateway.cli.main", "serve", "--role", "perception", "--nats", nats_server.url]
    environment = os.environ | {"AOS_PERCEPTION__IMAGE": "open_clip:/nowhere", "AOS_DATA_DIR": str(tmp_path / "data")}
    process = await asyncio.create_subprocess_exec(
        *aos, env=environment, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), 90)

    assert process.returncode == 1, said.decode()
    assert "there is no checkpoint at /nowhere" in said.decode()
    assert "Traceback" not in said.decode()
