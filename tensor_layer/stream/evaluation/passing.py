"""One tensor from this process to another: as a mapped file whose reference travels, and through the bus in chunks.

Both ends run real code over a real NATS server; the receiver is a child process. Time is from values in an array here
to values in an array there whose every page the receiver has read.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import nats
import numpy as np
from nats.aio.client import Client
from nats.aio.msg import Msg

from schemas.tensor import TensorMessage
from tensor_layer.stream import handoff
from tensor_layer.stream.mapped_files import MappedFiles
from tensor_layer.stream.tensor import Tensor, from_numpy

CHUNK = 512 * 1024
WINDOW = 16
ROOM = 2 << 30
SUBJECT = "bench.tensor"


async def compare(nats_url: str, folder: Path, size_bytes: int = 100_000_000, rounds: int = 3) -> dict[str, Any]:
    """Seconds of both ways (medians), their ratio, and by how much the receiver's own memory grew."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", __name__, nats_url, str(folder), stdout=asyncio.subprocess.PIPE
    )
    connection = await nats.connect(nats_url)
    try:
        if child.stdout is None or await child.stdout.readline() != b"ready\n":
            raise RuntimeError("the receiving process did not start")
        files = MappedFiles(folder, ROOM)
        return await _measure(connection, files, size_bytes // 4, rounds)
    finally:
        await connection.close()
        child.kill()
        await child.wait()


async def _measure(connection: Client, files: MappedFiles, values: int, rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    ways: dict[str, Callable[[np.ndarray[Any, Any]], Awaitable[dict[str, Any]]]] = {
        "kept by content": lambda array: _by_reference(connection, files, array),
        "handed over once": lambda array: _once(connection, files, array),
        "in place": lambda array: _in_place(connection, files, array),
        "bus": lambda array: _by_chunks(connection, array),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    grown: dict[str, int] = {}
    for _ in range(rounds):
        for name, send in ways.items():
            array = rng.standard_normal(values, dtype=np.float32)
            said = await send(array)
            seconds[name].append(said["seconds"])
            if abs(said["sum"] - float(array[:: CHUNK // 512].sum(dtype=np.float64))) > 1e-3:
                raise AssertionError(f"{name}: other values arrived")
            grown[name] = max(grown.get(name, 0), said["own_memory_peak_bytes"])
    median = {name: round(statistics.median(each), 4) for name, each in seconds.items()}
    return {
        "bytes": 4 * values,
        "median_s": median,
        "times_faster_than_bus": {name: round(median["bus"] / each, 2) for name, each in median.items()},
        "receiver_own_memory_peak_bytes": grown,
    }


async def _by_reference(connection: Client, files: MappedFiles, array: np.ndarray[Any, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    message = await asyncio.to_thread(handoff.offer, from_numpy(array), files)
    return await _ask(connection, message, started)


async def _once(connection: Client, files: MappedFiles, array: np.ndarray[Any, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    message = await asyncio.to_thread(handoff.offer_once, from_numpy(array), files)
    said = await _ask(connection, message, started)
    files.drop(message.tensor_id)
    return said


async def _in_place(connection: Client, files: MappedFiles, array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The producer writes its values straight into the file: writing them is its own work and not counted."""
    with files.draft("float32", array.shape) as draft:
        draft.array[...] = array
        started = time.perf_counter()
        tensor: Tensor = await asyncio.to_thread(draft.seal_once)
    said = await _ask(connection, handoff.refer(tensor), started)
    files.drop(tensor.tensor_id)
    return said


async def _ask(connection: Client, message: TensorMessage, started: float) -> dict[str, Any]:
    reply = await connection.request(f"{SUBJECT}.mapped", message.model_dump_json().encode(), timeout=60)
    return {**json.loads(reply.data), "seconds": time.perf_counter() - started}


async def _by_chunks(connection: Client, array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Core publishes, every 16th answered so that the server never has more than 8 MiB waiting for the receiver (it
    cuts off whoever lets 64 MiB wait). Nothing is stored: faster than JetStream could be.
    """
    content = array.view(np.uint8).data
    started = time.perf_counter()
    await connection.request(f"{SUBJECT}.begin", str(len(content)).encode(), timeout=60)
    for number, start in enumerate(range(0, len(content), CHUNK)):
        chunk = bytes(content[start : start + CHUNK])
        if number % WINDOW == WINDOW - 1:
            await connection.request(f"{SUBJECT}.chunk", chunk, timeout=60)
        else:
            await connection.publish(f"{SUBJECT}.chunk", chunk)
    reply = await connection.request(f"{SUBJECT}.end", b"", timeout=60)
    return {**json.loads(reply.data), "seconds": time.perf_counter() - started}


class _Receiver:
    """The other process."""

    def __init__(self, folder: Path) -> None:
        self._files = MappedFiles(folder, ROOM)
        self._room = bytearray()
        self._filled = self._own_before = 0
        self._full = asyncio.Event()

    async def mapped(self, message: Msg) -> None:
        before = _own_memory_bytes()
        tensor = handoff.accept(TensorMessage.model_validate_json(message.data), self._files)
        await self._answer(message, tensor.array, before)

    async def begin(self, message: Msg) -> None:
        self._own_before = _own_memory_bytes()
        self._room, self._filled = bytearray(int(message.data)), 0
        self._full.clear()
        await message.respond(b"")

    async def chunk(self, message: Msg) -> None:
        end = self._filled + len(message.data)
        self._room[self._filled : end] = message.data
        self._filled = end
        if message.reply:
            await message.respond(b"")
        if end == len(self._room):
            self._full.set()

    async def end(self, message: Msg) -> None:
        await self._full.wait()  # the last chunks come by another subscription
        await self._answer(message, np.frombuffer(self._room, np.float32), self._own_before)

    async def _answer(self, message: Msg, array: np.ndarray[Any, Any], before: int) -> None:
        total = float(array[:: CHUNK // 512].sum(dtype=np.float64))  # every page is read
        said = {"sum": total, "own_memory_peak_bytes": max(_own_memory_bytes() - before, 0)}
        await message.respond(json.dumps(said).encode())


def _own_memory_bytes() -> int:
    """Memory of this process that is not shared with files or others (RssAnon)."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon"))


async def _receive(nats_url: str, folder: Path) -> None:
    connection, receiver = await nats.connect(nats_url), _Receiver(folder)
    for verb in ("mapped", "begin", "chunk", "end"):
        # No limits: a dropped chunk would end the measurement.
        await connection.subscribe(
            f"{SUBJECT}.{verb}", cb=getattr(receiver, verb), pending_msgs_limit=0, pending_bytes_limit=0
        )
    await connection.flush()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_receive(sys.argv[1], Path(sys.argv[2])))
