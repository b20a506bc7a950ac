"""The real stack with two workers, the sample agents' cards and the test agents of ``unruly.py``."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml
from nats.aio.client import Client

from benchmarks.stack import ROOT, Stack
from evolution.errors import ExperienceStoreUnavailable
from evolution.ports import ExperienceQuery, ExperienceStore
from evolution.wiring import StoreSettings, build_store
from gateway.bus.connection import connect
from schemas import subjects
from schemas.experience import ExperienceRecord, Feedback
from tests.stack.agents import register, until_planned
from tests.stack.listening import Listener

SAMPLES = ROOT / "examples" / "agents"
INPUTS = ROOT / "examples" / "inputs"
UNRULY = Path(__file__).with_name("unruly.py")
SAMPLE_AGENTS = ("calculator", "chart", "language_id", "ocr", "sentiment", "table_from_text", "summary")
WORDY_AGENTS = ("calculator", "language_id", "sentiment", "summary")
"""Those that read plain words, in the order of registration."""
MAX_DELIVERIES = 3
ACK_WAIT_S = 4.0
"""A worker that got no core for as long loses its tasks to another one."""
DRAIN_S = 10.0
INSPECTED_BYTES = 64 * 1024
ATTACHMENT_BYTES = 4 * 1024 * 1024


class LiveStack(Stack):
    """Processes that a test may kill, freeze and read the traces of; ``heal`` brings back what is missing."""

    @classmethod
    def over(cls, folder: Path, **settings: str) -> "LiveStack":
        """A stack over that folder, not yet started."""
        defaults = {
            "AOS_AGENTS_DIR": str(folder / "cards"),
            "AOS_AGENTS__ACK_WAIT_S": str(ACK_WAIT_S),
            "AOS_AGENTS__MAX_DELIVER": str(MAX_DELIVERIES),
            "AOS_AGENTS__FRESH_PLAN_SHARE": "0",
            "AOS_LEARNING__ENABLED": "false",  # a choice that changes with what other tests did would be no test
            "AOS_LEARNING__EXPERIMENTS_EVERY_S": "0.5",
            "AOS_LEARNING__PRIOR_EVERY_S": "3",
            "AOS_LEARNING__NICENESS": "0",  # many suites share these cores: who gives way to all of them never gets one
            "AOS_SUPERVISION__DRAIN_S": str(DRAIN_S),
            "AOS_LIMITS__INSPECTED_BYTES": str(INSPECTED_BYTES),
            "AOS_LIMITS__ATTACHMENT_BYTES": str(ATTACHMENT_BYTES),
        }
        return cls(folder, workers=2, sync_interval="2m", effects=folder / "effects.txt", settings=defaults | settings)

    async def start(self) -> None:
        """Start everything and register the sample agents that run in the workers' own child processes."""
        shutil.copytree(SAMPLES, self.folder / "cards", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(UNRULY, self.folder / "cards")
        await super().start()
        async with self.door() as door:
            for name in SAMPLE_AGENTS:
                await register(door, self.sample_card(name))
            for name in WORDY_AGENTS:  # every worker knows them, and so those that were registered before
                await until_planned(door, {"text": "do your one thing", "routing": {"pin": [name]}})

    def sample_card(self, name: str) -> dict[str, Any]:
        """A sample agent's card as it is sent over HTTP, where relative files mean nothing."""
        card = yaml.safe_load((SAMPLES / f"{name}.yaml").read_text())
        target = f"{self.folder / 'cards'}/{card['endpoint']['target']}"
        return card | {"endpoint": {"kind": "python", "target": target}}

    @asynccontextmanager
    async def door(self, tenant: str = "default") -> AsyncIterator[httpx.AsyncClient]:
        """A client of the HTTP door."""
        headers = {"X-AOS-Tenant": tenant}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60) as client:
            yield client

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[Client]:
        """A connection of the test's own to the bus."""
        nc = await connect(self.nats.url, "test")
        try:
            yield nc
        finally:
            await nc.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        """Everything that is told of any task while the block lasts."""
        async with self.bus() as nc:
            listener = Listener()
            await nc.subscribe(subjects.EVENT_ALL, cb=listener.hear)
            await nc.flush()
            yield listener

    async def heal(self) -> None:
        """Start again what died, and wait until tasks are taken. Every test begins with all processes there."""
        missing = [name for name in [*self.role_names, "echo"] if not self.is_running(name)]
        for name in missing:
            if name == "echo":
                self.start_echo()
            else:
                self.start_process(name)
        if missing:
            await self.until_ready()

    drain_s = DRAIN_S * 0.75
    """How long a worker lets its tasks end after SIGTERM: most of the time that the process has."""

    def is_running(self, name: str) -> bool:
        process = self.processes.get(name)
        return process is not None and process.poll() is None

    def worker_named(self, worker_id: str) -> str:
        """The process name of a worker by the id that it tells: that ends in its process id and a little chance."""
        pid = int(worker_id.rsplit("-", 2)[1])
        return next(name for name, process in self.processes.items() if process.pid == pid)

    @contextmanager
    def frozen(self, role: str) -> Iterator[None]:
        """Stop (SIGSTOP) every process of a role for the length of the block: there, but doing nothing."""
        chosen = [process for name, process in self.processes.items() if name.split("-")[0] == role]
        for process in chosen:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in chosen:
                process.send_signal(signal.SIGCONT)

    def effects_of(self, task_id: str) -> list[str]:
        """The step ids of that task in the file where the echo agent counts its effects."""
        assert self.effects is not None
        return [line for line in self.effects.read_text().split() if line.startswith(task_id)]

    @asynccontextmanager
    async def limited(self, stream: str, **limits: Any) -> AsyncIterator[None]:
        """Other limits for a stream of the running bus, such as ``max_bytes``, for the length of the block."""
        async with self.bus() as nc:
            js = nc.jetstream(timeout=10)
            config = (await js.stream_info(stream)).config
            await js.update_stream(config.evolve(**limits))
            try:
                yield
            finally:
                await js.update_stream(config)

    async def experience_of(self, task_id: str, timeout_s: float = 45) -> ExperienceRecord:
        """The task's one record in the experience store, once the recorder has stored it."""
        async with self._store() as store, asyncio.timeout(timeout_s):
            while True:
                with suppress(ExperienceStoreUnavailable):  # it appears when the recorder has started
                    found = [r for r in await store.find(ExperienceQuery(limit=100_000)) if r.task_id == task_id]
                    if found:
                        (record,) = found
                        return record
                await asyncio.sleep(0.1)

    async def feedback_on(self, task_id: str, tenant: str = "default", timeout_s: float = 45) -> list[Feedback]:
        """What was said of the task, once the recorder has stored something."""
        async with self._store() as store, asyncio.timeout(timeout_s):
            while not (feedback := (await store.feedback_by_task(tenant, [task_id]))[task_id]):
                await asyncio.sleep(0.1)
            return feedback

    @asynccontextmanager
    async def _store(self) -> AsyncIterator[ExperienceStore]:
        path = self.folder / "data" / "experience" / "experience.db"
        store = build_store(StoreSettings(path=path, read_only=True))
        try:
            yield store
        finally:
            await store.close()

    async def aos(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """Run a command of the command line against this stack: its exit code and what it printed."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AOS_")}
        told = {"AOS_URL": self.url, "AOS_DATA_DIR": str(self.folder / "data"), "AOS_NATS_URL": self.nats.url}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli.main", *arguments),
            env=environment | told | settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, said.decode()

    async def until_empty(self, stream: str, timeout_s: float = 45) -> None:
        """Wait until a work queue holds nothing: acknowledgements come just after results."""
        async with self.bus() as nc, asyncio.timeout(timeout_s):
            while (await nc.jetstream(timeout=10).stream_info(stream)).state.messages:
                await asyncio.sleep(0.05)
