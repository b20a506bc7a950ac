"""The real stack as child processes, for benchmarks and chaos tests: nats-server, roles and an echo agent."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import yaml

from gateway.embedded.nats_server import NatsServer, free_port
from gateway.leash import leash

ROOT = Path(__file__).parent.parent
ECHO = ROOT / "examples" / "echo"


@dataclass
class Stack:
    """Starts, kills and restarts the processes of one small deployment."""

    folder: Path
    workers: int = 1
    sync_interval: str = "always"
    effects: Path | None = None
    settings: dict[str, str] = field(default_factory=dict)
    with_evolution: bool = True
    with_echo: bool = True

    def __post_init__(self) -> None:
        self.nats = NatsServer(self.folder / "nats", sync_interval=self.sync_interval)
        self.http_port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """Where the HTTP door is."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def role_names(self) -> list[str]:
        """The processes of ours, by name."""
        evolution = ["evolution"] if self.with_evolution else []
        return ["gateway", *(f"agents-{n}" for n in range(self.workers)), *evolution]

    async def start(self) -> None:
        """Start everything, register the echo agent, and wait until a worker is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.nats.start()
        for name in self.role_names:
            self.start_process(name)
        if not self.with_echo:
            await self.until_ready()
            return
        self.start_echo()
        await self.until_ready()
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            card = yaml.safe_load((ECHO / "echo.yaml").read_text())
            (await client.post("/v1/agents", json=card)).raise_for_status()
        await self.until_echo_is_found()

    def start_process(self, name: str) -> None:
        """Start (again) the process of that name."""
        role = name.split("-")[0]
        self._spawn(name, [sys.executable, "-m", "gateway.cli.main", "serve", "--role", role])

    def start_echo(self) -> None:
        """Start the echo agent."""
        self._spawn("echo", [sys.executable, str(ECHO / "echo_agent.py")])

    def kill(self, name: str) -> None:
        """SIGKILL that process; nats-server too, by the name ``nats``."""
        if name == "nats":
            self.nats.kill()
            return
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    async def stop(self) -> None:
        """End everything that was started."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                await asyncio.to_thread(process.wait, 20)
            except subprocess.TimeoutExpired:
                process.kill()
        self.processes.clear()
        await self.nats.stop()

    async def until_ready(self, timeout_s: float = 90) -> None:
        """Wait until the door says that it, the bus and a worker are ready."""
        async with asyncio.timeout(timeout_s), httpx.AsyncClient(base_url=self.url) as client:
            while True:
                try:
                    answer = await client.get("/readyz")
                    if answer.status_code == 200 and answer.json().get("workers") == "seen":
                        return
                except httpx.HTTPError:
                    pass
                self._complain_about_the_dead()
                await asyncio.sleep(0.1)

    async def until_echo_is_found(self, timeout_s: float = 60) -> None:
        """Wait until a task for the echo agent would be planned."""
        async with asyncio.timeout(timeout_s), httpx.AsyncClient(base_url=self.url, timeout=10) as client:
            while True:
                with suppress(httpx.TimeoutException):
                    answer = await client.post("/v1/explain", json={"text": "echo this back"})
                    if answer.status_code == 200 and answer.json().get("plan"):
                        return
                await asyncio.sleep(0.2)

    def pause(self) -> None:
        """Every process stands still, so that this stack takes nothing from another; ``resume`` before ``stop``."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Every process goes on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self._pids().values():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _pids(self) -> dict[str, int]:
        pids = {name: process.pid for name, process in self.processes.items()}
        return pids | ({"nats-server": self.nats.pid} if self.nats.pid else {})

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time used so far, by process."""
        return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in self._pids().items()}

    def _spawn(self, name: str, command: list[str]) -> None:
        environment = os.environ | {
            "AOS_NATS_URL": self.nats.url,
            "AOS_DATA_DIR": str(self.folder / "data"),
            "AOS_HTTP_PORT": str(self.http_port),
            "AOS_TENANT": "default",
            "AOS_AGENT_ID": "echo",
            "AOS_GATEWAY_URL": self.url,
            **({"AOS_EFFECTS_FILE": str(self.effects)} if self.effects else {}),
            **self.settings,
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # as `aos up` does: Linux shares cores out by session
                preexec_fn=leash(),  # noqa: PLW1509 - it only calls prctl
            )

    def _complain_about_the_dead(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{log}")
