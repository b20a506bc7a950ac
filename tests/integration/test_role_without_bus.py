"""A role waits for a bus that does not answer yet, but not once it is told to stop."""

import asyncio
import os
import signal
import sys

import pytest

from gateway.embedded.nats_server import free_port


@pytest.mark.parametrize("role", ["gateway", "agents", "evolution", "perception"])
async def test_a_role_that_waits_for_its_bus_ends_when_it_is_told_to(role, tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AOS_")}
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli.main", "serve", "--role", role),
        *("--nats", f"nats://somebody:s3cret@127.0.0.1:{port}", "--data", str(tmp_path), "--port", "0"),
        env=clean | {"AOS_NATS_ULR": "nats://elsewhere"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(90):
            assert b"AOS_NATS_ULR is no setting" in await process.stdout.readline()
            while b"refused" not in (line := await process.stdout.readline()):
                assert line, "the role ended by itself"
            assert f"bus at 127.0.0.1:{port}: ".encode() in line
            process.send_signal(signal.SIGTERM)
            _, code = await asyncio.gather(process.stdout.read(), process.wait())
        assert code == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
