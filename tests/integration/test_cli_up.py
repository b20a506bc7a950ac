"""`aos up`, for real: everything starts, what is killed comes back, and at the end nothing is left running."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.embedded.nats_server import free_port

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux only")]

CARD = """\
id: sleeper
version: 1.0.0
description: Says that it lives, and does nothing else.
skills:
  - {id: sleep, description: Sleeps for a long time., inputs: [text], outputs: [text]}
endpoint: {kind: nats, command: [python, sleeper.py]}
"""
SLEEPER = """\
import asyncio, json, os
import nats

async def main():
    agent, tenant = os.environ["AOS_AGENT_ID"], os.environ["AOS_TENANT"]
    nc = await nats.connect(os.environ["AOS_NATS_URL"], max_reconnect_attempts=-1)
    print(agent, "sleeps", flush=True)
    while True:
        await nc.publish(f"aos.{tenant}.agent.{agent}.heartbeat", json.dumps({"agent_id": agent}).encode())
        await asyncio.sleep(0.5)

asyncio.run(main())
"""


class Up:
    """One `aos up` with its whole family of processes."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, folder: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.said: list[str] = []

    async def until_said(self, pattern: str) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(120):
            while line := (await self.process.stdout.readline()).decode():
                self.said.append(line)
                if re.search(pattern, line):
                    return line
        raise AssertionError(f"{pattern!r} was never said:\n{''.join(self.said)}")

    def family(self) -> dict[str, psutil.Process]:
        """The children by what they are."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            words = child.cmdline()
            name = words[words.index("--role") + 1] if "--role" in words else Path(words[-1]).name
            found["nats-server" if name == "nats-server.conf" else name] = child
        return found

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Up]:
    cards = tmp_path / "cards"
    cards.mkdir()
    (cards / "sleeper.yaml").write_text(CARD)
    (cards / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "agents.py").write_text("raise SystemExit('a file of the user stands for a package of ours')")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AOS_")}
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "gateway.cli.main", "up"),
        *("--agents", str(cards), "--data", str(tmp_path / "data"), "--port", str(port)),
        env=clean | {"AOS_BUS__EMBEDDED_PORT": "0", "AOS_BUS__EMBEDDED_SYNC": "2m"},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    started = Up(process, port, tmp_path)
    yield started
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def until_all_gone(processes: list[psutil.Process]) -> None:
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, timeout=30)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


async def test_everything_starts_what_is_killed_comes_back_and_ctrl_c_leaves_nothing(up: Up):
    await up.until_said("stop .* Ctrl-C")
    family = up.family()
    assert set(family) == {"nats-server", "gateway", "agents", "evolution", "sleeper.py"}
    async with httpx.AsyncClient(base_url=up.url) as client:
        listed = (await client.get("/v1/agents")).json()["agents"]
    assert [(view["card"]["id"], view["liveness"]) for view in listed] == [("sleeper", "alive")]

    for name in ("nats-server", "sleeper.py"):
        family[name].kill()
        await up.until_said(f"{name.removesuffix('.py')}.*running again")
    assert up.family()["nats-server"].pid != family["nats-server"].pid

    descendants = up.descendants()
    up.process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(up.process.wait(), 60) == 0
    await until_all_gone(descendants)


async def test_agents_come_and_go_with_their_cards_and_nothing_outlives_an_aos_up_that_is_killed(up: Up):
    await up.until_said("stop .* Ctrl-C")
    cards = up.folder / "cards"
    await asyncio.to_thread((cards / "second.yaml").write_text, CARD.replace("id: sleeper", "id: second"))
    second = up.folder / "data" / "logs" / "agent-default-second.log"
    async with asyncio.timeout(30):
        while "second sleeps" not in _read(second):
            await asyncio.sleep(0.05)
    assert len(up.family()) == 5
    sleepers = [child for child in up.descendants() if child.cmdline()[-1].endswith("sleeper.py")]
    assert len(sleepers) == 2

    await asyncio.to_thread((cards / "second.yaml").unlink)
    gone, _ = await asyncio.to_thread(psutil.wait_procs, sleepers, timeout=30)
    assert len(gone) == 1

    descendants = up.descendants()
    assert len(descendants) >= 5
    up.process.kill()
    await until_all_gone(descendants)


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""
