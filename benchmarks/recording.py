"""What recording adds to a task: the same steady load on two stacks in turns, one of which keeps no experience.

    python -m benchmarks.recording [--rate 250] [--seconds 10] [--rounds 4] [--json]

The load is open: a task starts every 1/rate seconds whether or not the ones before have ended. The stacks take turns,
and a latency counts from when a task was due.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import nats

from benchmarks.overhead import WARM, BusClient
from benchmarks.report import table
from benchmarks.stack import Stack

QUANTILES = (0.5, 0.95)


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


async def measure(rate_per_s: float, seconds: float, rounds: int, sync_interval: str) -> dict[bool, list[float]]:
    """Latencies with and without recording, one stack after the other in turns."""
    found: dict[bool, list[float]] = {True: [], False: []}
    async with AsyncExitStack() as held:
        clients = {recorded: await _client(held, recorded, sync_interval) for recorded in (True, False)}
        for round_number in range(rounds):
            order = (True, False) if round_number % 2 else (False, True)
            for recorded in order:
                await paced(clients[recorded].once, rate_per_s, 1.0)  # warm
                found[recorded] += await paced(clients[recorded].once, rate_per_s, seconds)
    return found


async def _client(held: AsyncExitStack, recorded: bool, sync_interval: str) -> BusClient:
    folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="aos-recording-")))
    settings = {"AOS_AGENTS__RECORD_EXPERIENCE": str(recorded).lower()}
    stack = Stack(folder, sync_interval=sync_interval, settings=settings)
    held.push_async_callback(stack.stop)
    await stack.start()
    held.push_async_callback(_tell_warnings, stack)
    nc = await nats.connect(stack.nats.url)
    held.push_async_callback(nc.close)
    client = BusClient(nc)
    await client.start()
    return client


async def _tell_warnings(stack: Stack) -> None:
    """What workers complained about: a figure with complaints behind it is worth less."""
    lines = (stack.folder / "agents-0.log").read_text(errors="replace").splitlines()
    said = [line for line in lines if " INFO " not in line]
    if said:
        print(*said[:20], f"... {len(said)} lines", sep="\n", file=sys.stderr)


def quantiles(latencies: list[float]) -> dict[str, float]:
    """p50 and p95 in ms."""
    cuts = statistics.quantiles(latencies, n=100)
    return {f"p{share * 100:.0f}_ms": round(cuts[int(share * 100) - 1], 2) for share in QUANTILES}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=250.0, help="tasks per second")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of one round on one stack")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--sync-interval", default="always", help="nats-server's fsync interval")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    started = time.perf_counter()
    found = asyncio.run(measure(given.rate, given.seconds, given.rounds, given.sync_interval))
    with_, without = quantiles(found[True]), quantiles(found[False])
    added = {name: round(with_[name] - without[name], 2) for name in with_}
    report = {"rate_per_s": given.rate, "tasks": len(found[True]), "with": with_, "without": without, "added": added}
    if given.json:
        print(json.dumps(report))
        return
    rows = [["with recording", *with_.values()], ["without", *without.values()], ["added", *added.values()]]
    print(table(["stack", "p50 ms", "p95 ms"], rows))
    print(f"{given.rate:g} tasks/s over the bus, {len(found[True])} tasks each, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
