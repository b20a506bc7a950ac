"""The bus changes its credentials under a role: it does not stay there as a process that hears nothing, but ends."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from gateway.foundation import BusRefuses, open_bus
from gateway.settings.sections import Bus, Settings

READY = {"agents": b"the worker takes tasks", "gateway": b"Started server process"}


def refuse(server, folder: Path) -> None:
    """From now on the server takes other credentials only, and lets go of everybody without them."""
    config = folder / "nats-server.conf"
    config.write_text(config.read_text() + "\nauthorization { user: somebody, password: new }\n")
    os.kill(server.pid, signal.SIGHUP)


@pytest.mark.timeout(120)
async def test_whoever_stands_on_a_bus_that_refuses_it_is_told_to_stop_and_why(nats_server, tmp_path):
    stop = asyncio.Event()
    settings = Settings(bus=Bus(url=nats_server.url), data_dir=tmp_path / "data")

    async def role() -> None:
        async with open_bus(settings, "test", stop=stop):
            refuse(nats_server, tmp_path / "nats")
            await stop.wait()

    with pytest.raises(BusRefuses, match="credentials"):
        await role()


async def test_a_bus_that_is_left_in_good_order_refuses_nobody(nats_server, tmp_path):
    settings = Settings(bus=Bus(url=nats_server.url), data_dir=tmp_path / "data")
    async with open_bus(settings, "test", stop=asyncio.Event()) as bus:
        assert bus.nc.is_connected
    assert bus.nc.is_closed


@pytest.mark.timeout(180)
@pytest.mark.parametrize("role", ["gateway", "agents"])
async def test_a_role_that_its_bus_refuses_drains_and_ends_with_an_error(role, nats_server, tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AOS_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli.main", "serve", "--role", role),
        *("--nats", nats_server.url, "--data", str(tmp_path), "--port", "0"),
        env=clean,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        while READY[role] not in (line := await process.stdout.readline()):
            assert line, "the role ended by itself"
        refuse(nats_server, tmp_path / "nats")
        said, code = await asyncio.gather(process.stdout.read(), process.wait())
        assert code != 0
        assert b"credentials" in said
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
