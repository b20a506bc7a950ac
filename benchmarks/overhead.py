"""What the gateway costs: accept-to-result with an echo agent, over HTTP and the bus, beside a bare NATS request.

    python -m benchmarks.overhead [--seconds 5] [--json] [--write]

The client, the servers and the agent share this machine's cores, so the ratios to the bare request of the same run
say more than the figures.
"""

import argparse
import asyncio
import itertools
import json
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import nats
import orjson
from rich.progress import Progress

from benchmarks.report import table, write
from benchmarks.stack import Stack
from schemas import subjects
from schemas.base import new_id, now
from schemas.invocation import Invocation
from schemas.parts import text_part
from schemas.task import Priority, TaskSubmitted

IN_FLIGHT = (1, 16, 64)
WARM = "echo this back"


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of the table."""

    path: str
    embeddings: str
    in_flight: int
    tasks: int
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: dict[str, float]


Once = Callable[[str], Awaitable[None]]


async def load(once: Once, texts: Callable[[], str], in_flight: int, seconds: float) -> list[float]:
    """Latencies in ms of everything that ``in_flight`` clients got done in that time."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        while time.perf_counter() < end:
            started = time.perf_counter()
            await once(texts())
            latencies.append((time.perf_counter() - started) * 1e3)

    await asyncio.gather(*(client() for _ in range(in_flight)))
    return latencies


async def measure(stack: Stack, path: str, once: Once, *, cold: bool, in_flight: int, seconds: float) -> Figures:
    """One line: a short warm-up, then the load with the CPU time of every process around it."""
    numbers = itertools.count(time.time_ns())
    texts = (lambda: f"echo this back number {next(numbers)}") if cold else (lambda: WARM)
    await load(once, texts, in_flight, 0.5)
    before, started = _cpu_seconds(stack), time.perf_counter()
    latencies = sorted(await load(once, texts, in_flight, seconds))
    elapsed, after = time.perf_counter() - started, _cpu_seconds(stack)
    count = len(latencies)
    return Figures(
        path=path,
        embeddings="cold" if cold else "warm",
        in_flight=in_flight,
        tasks=count,
        per_s=count / elapsed,
        p50_ms=statistics.median(latencies),
        p99_ms=latencies[min(count - 1, int(count * 0.99))],
        cpu_ms={name: (after[name] - before[name]) * 1e3 / count for name in after},
    )


def _cpu_seconds(stack: Stack) -> dict[str, float]:
    """CPU time by process, this client included."""
    return {"client": time.process_time(), **stack.cpu_seconds()}


class BusClient:
    """Publishes tasks straight to the bus and hears their last event."""

    def __init__(self, nc: nats.NATS) -> None:
        self._nc = nc
        self._js = nc.jetstream()
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def start(self) -> None:
        """Listen for every task's events."""
        await self._nc.subscribe(subjects.event("default", "x").removesuffix("x") + "*", cb=self._hear)

    async def _hear(self, message: nats.aio.msg.Msg) -> None:
        waiting = self._waiting.get(message.subject.rsplit(".", 1)[1])
        if waiting is None or waiting.done():
            return
        kind = orjson.loads(message.data)["kind"]
        if kind == "succeeded":
            waiting.set_result(None)
        elif kind in ("failed", "rejected", "cancelled"):
            waiting.set_exception(RuntimeError(message.data.decode()))

    async def once(self, text: str) -> None:
        """One task, from publishing to its last event."""
        task = TaskSubmitted(parts=(text_part(text),))
        future = self._waiting[task.task_id] = asyncio.get_running_loop().create_future()
        headers = {subjects.HEADER_MESSAGE_ID: task.task_id}
        subject = subjects.submit("default", Priority.NORMAL)
        await self._js.publish(subject, task.model_dump_json().encode(), headers=headers)
        async with asyncio.timeout(60):
            await future
        del self._waiting[task.task_id]


def bare_request(nc: nats.NATS) -> Once:
    """The same agent, asked directly."""

    async def once(text: str) -> None:
        task_id = new_id()
        invocation = Invocation(
            step_id=f"{task_id}.echo", task_id=task_id, tenant="default", agent_id="echo", skill_id="echo", goal=text,
            inputs=(text_part(text),), deadline=now() + timedelta(seconds=30),
        )  # fmt: skip
        await nc.request(subjects.invoke("default", "echo"), invocation.model_dump_json().encode(), timeout=30)

    return once


class HttpClient:
    """One kept-alive connection for each request in flight, and no more: the load should not outweigh what it loads."""

    def __init__(self, url: str) -> None:
        self._host, self._port = url.removeprefix("http://").split(":")
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def once(self, text: str) -> None:
        """Accept to result through the HTTP door."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, int(self._port))
        body = orjson.dumps({"text": text})
        head = (
            f"POST /v1/tasks?wait=30 HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        header = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", header)[1])  # type: ignore[index]
        answer = orjson.loads(await reader.readexactly(length))
        self._idle.append((reader, writer))
        if answer.get("state") != "succeeded":
            raise RuntimeError(answer)


async def stage_times(client: httpx.AsyncClient, tasks: int = 200) -> dict[str, float]:
    """Median milliseconds of each stage, from the records of one-at-a-time tasks."""
    samples: list[Counter[str]] = []
    for _ in range(tasks):
        answer = await client.post("/v1/tasks?wait=30", content=orjson.dumps({"text": WARM}))
        samples.append(Counter(answer.json()["result"]["times"]))
    return {stage: statistics.median(sample[stage] for sample in samples) for stage in samples[0]}


async def run(seconds: float, sync_interval: str, workers: int) -> tuple[list[Figures], dict[str, float]]:
    """All lines of the table, in one run on one stack."""
    with tempfile.TemporaryDirectory(prefix="aos-overhead-") as folder:
        stack = Stack(Path(folder), sync_interval=sync_interval, workers=workers)
        try:
            await stack.start()
            return await _all_lines(stack, seconds)
        finally:
            await stack.stop()


async def _all_lines(stack: Stack, seconds: float) -> tuple[list[Figures], dict[str, float]]:
    nc = await nats.connect(stack.nats.url)
    bus = BusClient(nc)
    await bus.start()
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as client:
        paths: list[tuple[str, Once, tuple[bool, ...]]] = [
            ("bare NATS request", bare_request(nc), (False,)),
            ("bus", bus.once, (False, True)),
            ("HTTP", HttpClient(stack.url).once, (False, True)),
        ]
        plan = [(name, once, cold, n) for name, once, colds in paths for cold in colds for n in IN_FLIGHT]
        lines: list[Figures] = []
        with Progress(transient=True) as progress:
            for name, once, cold, n in progress.track(plan, description="measuring"):
                lines.append(await measure(stack, name, once, cold=cold, in_flight=n, seconds=seconds))
        stages = await stage_times(client)
    await nc.close()
    return lines, stages


def as_text(lines: list[Figures], stages: dict[str, float]) -> str:
    """The two tables."""
    processes = list(lines[0].cpu_ms)
    header = ["path", "embeddings", "in flight", "tasks/s", "p50 ms", "p99 ms", *(f"{p} CPU ms" for p in processes)]
    rows = [
        [f.path, f.embeddings, f.in_flight, f.per_s, f.p50_ms, f.p99_ms, *(f.cpu_ms.get(p, 0.0) for p in processes)]
        for f in lines
    ]
    times = table(["stage (HTTP, warm, 1 in flight)", "median ms"], [list(item) for item in stages.items()])
    return f"{table(header, rows)}\n\n{times}"


def main() -> None:
    """Measure, print, and write when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="load time for each line")
    parser.add_argument("--workers", type=int, default=1, help="agents workers")
    parser.add_argument("--sync-interval", default="always", help="nats-server's fsync interval")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    lines, stages = asyncio.run(run(arguments.seconds, arguments.sync_interval, arguments.workers))
    if arguments.json:
        figures = [{name: getattr(line, name) for name in Figures.__slots__} for line in lines]
        json.dump({"lines": figures, "stages_ms": stages}, sys.stdout, indent=2)
        return
    text = as_text(lines, stages)
    print(text)
    if arguments.write:
        write("overhead", text, "python -m benchmarks.overhead --write")


if __name__ == "__main__":
    main()
