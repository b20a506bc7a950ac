"""What recording adds to a task: the same steady load on two stacks in turns, one of which keeps no experience.

    python -m benchmarks.recording [--rate 250] [--seconds 10] [--rounds 4] [--json]

The load is open: a task starts every 1/rate seconds whether or not the ones before have ended, and a latency counts
from when the task was due. The stack whose turn it is not stands still: what one of them has still to learn is done in
its own turns, and takes nothing from the other's. Keeping no experience is learning nothing as well, so what is added
is what recording and learning cost together.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats

from benchmarks.overhead import WARM, BusClient
from benchmarks.report import machine, table
from benchmarks.stack import Stack

QUANTILES = (0.5, 0.95)
WARM_S = 1.0


@dataclass
class Side:
    """One stack, and what was seen of it: latencies in ms by turn, CPU seconds by process."""

    stack: Stack
    client: BusClient
    turns: list[list[float]] = field(default_factory=list)
    cpu_s: Counter[str] = field(default_factory=Counter)

    @property
    def latencies(self) -> list[float]:
        """Of all turns."""
        return [latency for turn in self.turns for latency in turn]

    async def turn(self, rate_per_s: float, seconds: float) -> None:
        """Go on, warm up, and take the load; then stand still again."""
        with self._going_on():
            await self.stack.until_echo_is_found()
            await paced(self.client.once, rate_per_s, WARM_S)
            before = Counter(self.stack.cpu_seconds())
            self.turns.append(await paced(self.client.once, rate_per_s, seconds))
            after = Counter(self.stack.cpu_seconds())
            after.subtract(before)
            self.cpu_s.update(after)

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        self.stack.resume()
        try:
            yield
        finally:
            self.stack.pause()


async def paced(once: Callable[[str], Awaitable[None]], rate_per_s: float, seconds: float) -> list[float]:
    """Milliseconds from when each task was due to its result."""
    loop, latencies = asyncio.get_running_loop(), []
    start = loop.time()

    async def one(due: float) -> None:
        await once(WARM)
        latencies.append((loop.time() - due) * 1e3)

    running = []
    for number in range(int(rate_per_s * seconds)):
        due = start + number / rate_per_s
        await asyncio.sleep(max(0.0, due - loop.time()))
        running.append(asyncio.create_task(one(due)))
    await asyncio.gather(*running)
    return latencies


async def measure(rate_per_s: float, seconds: float, rounds: int, sync_interval: str) -> dict[bool, Side]:
    """Both sides, with recording and without, one after the other in turns."""
    async with AsyncExitStack() as held:
        sides = {recorded: await held.enter_async_context(_side(recorded, sync_interval)) for recorded in (True, False)}
        for number in range(rounds):
            for recorded in (True, False) if number % 2 else (False, True):
                await sides[recorded].turn(rate_per_s, seconds)
        return sides


@asynccontextmanager
async def _side(recorded: bool, sync_interval: str) -> AsyncIterator[Side]:
    settings = {"AOS_AGENTS__RECORD_EXPERIENCE": str(recorded).lower()}
    with tempfile.TemporaryDirectory(prefix="aos-recording-") as folder:
        stack = Stack(Path(folder), sync_interval=sync_interval, settings=settings)
        try:
            await stack.start()
            nc = await nats.connect(stack.nats.url)
            client = BusClient(nc)
            await client.start()
            stack.pause()
            yield Side(stack, client)
            stack.resume()
            await nc.close()
        finally:
            stack.resume()
            await stack.stop()
            _tell_warnings(stack)


def _tell_warnings(stack: Stack) -> None:
    """What workers complained about: a figure with complaints behind it is worth less."""
    lines = (stack.folder / "agents-0.log").read_text(errors="replace").splitlines()
    said = [line for line in lines if " INFO " not in line]
    if said:
        print(*said[:20], f"... {len(said)} lines", sep="\n", file=sys.stderr)


def quantiles(latencies: list[float]) -> dict[str, float]:
    """p50 and p95 in ms."""
    cuts = statistics.quantiles(latencies, n=100)
    return {f"p{share * 100:.0f}_ms": round(cuts[int(share * 100) - 1], 2) for share in QUANTILES}


def added(more: list[float], less: list[float]) -> dict[str, float]:
    """By how much the quantiles differ, in ms."""
    one, other = quantiles(more), quantiles(less)
    return {name: round(one[name] - other[name], 2) for name in one}


def report(sides: dict[bool, Side]) -> dict[str, Any]:
    """All figures; CPU as milliseconds per task of each process."""
    with_, without = sides[True], sides[False]
    cpu_ms = {
        name: {process: round(s * 1e3 / len(side.latencies), 3) for process, s in side.cpu_s.items()}
        for name, side in (("with", with_), ("without", without))
    }
    return {
        "tasks": len(with_.latencies),
        "with": quantiles(with_.latencies),
        "without": quantiles(without.latencies),
        "added": added(with_.latencies, without.latencies),
        "added_by_round": [added(*pair) for pair in zip(with_.turns, without.turns, strict=True)],
        "cpu_ms": cpu_ms,
        "load": round(os.getloadavg()[0], 1),
    }


def as_text(found: dict[str, Any], rate_per_s: float) -> str:
    """Two tables: latency and CPU with and without, and what was added in each round."""
    processes = list(found["cpu_ms"]["with"])
    rows = [[name, *found[name].values(), *found["cpu_ms"][name].values()] for name in ("with", "without")]
    more = [round(found["cpu_ms"]["with"][one] - found["cpu_ms"]["without"][one], 3) for one in processes]
    rows.append(["added", *found["added"].values(), *more])
    rounds = [[number, *one.values()] for number, one in enumerate(found["added_by_round"], 1)]
    both = table(["recording", "p50 ms", "p95 ms", *(f"{process} CPU ms" for process in processes)], rows)
    by_round = table(["round", "p50 ms added", "p95 ms added"], rounds)
    under = f"{rate_per_s:g} tasks/s over the bus, {found['tasks']} tasks each, load {found['load']}"
    return f"{both}\n\n{by_round}\n\n{under}, {machine()}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=250.0, help="tasks per second")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of one round on one stack")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--sync-interval", default="always", help="nats-server's fsync interval")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = report(asyncio.run(measure(given.rate, given.seconds, given.rounds, given.sync_interval)))
    print(json.dumps(figures) if given.json else as_text(figures, given.rate))


if __name__ == "__main__":
    main()
