"""The shipped text encoder as its library serves it, in a process of its own: what ``serving`` compares batching with.

Run as a program it answers every line "<first number> <count>" with the seconds that many sentences took, one by one.
"""

import asyncio
import importlib.util
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from typing import Self

from tensor_layer.encoding.minilm import MODULE
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.evaluation.contents import sentence

WARM_UP_SENTENCES = 16


@dataclass(frozen=True, slots=True)
class Spent:
    """What some work took, in seconds: by the clock, and of all of its process's threads."""

    wall_s: float
    cpu_s: float


class PlainLibrary:
    """``SentenceTransformer.encode`` of one sentence after the other."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, threads: int | None) -> Self | None:
        """Loaded and warm; None where sentence-transformers is not installed. ``threads`` None leaves it to torch."""
        if importlib.util.find_spec("sentence_transformers") is None:
            return None
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", __name__, str(threads or len(os.sched_getaffinity(0))),
            stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
        )  # fmt: skip
        library = cls(process)
        await library.one_at_a_time(0, WARM_UP_SENTENCES)
        return library

    async def one_at_a_time(self, first: int, count: int) -> Spent:
        """Encode that many sentences, each after the answer to the one before. Raises EncoderUnavailable."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write(f"{first} {count}\n".encode())
        answer = (await self._process.stdout.readline()).split()
        if len(answer) != 2:
            raise EncoderUnavailable(
                "the process with sentence-transformers ended: does `import torchvision` work here?"
            )
        # torch's threads spin for a while after their work, on the cores where something else is measured next.
        self._process.send_signal(signal.SIGSTOP)
        return Spent(*map(float, answer))

    async def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.send_signal(signal.SIGCONT)
        await self._process.wait()


def _serve(threads: int) -> None:
    from tensor_layer.encoding.devices import ready
    from tensor_layer.encoding.models.checkpoints import find_checkpoint

    ready(threads)
    from sentence_transformers import SentenceTransformer

    network = SentenceTransformer(str(find_checkpoint(f"package:{MODULE}/model")), device="cpu", local_files_only=True)
    for line in sys.stdin:
        first, count = map(int, line.split())
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(first, first + count):
            network.encode(sentence(number), show_progress_bar=False)
        sys.stdout.write(f"{time.perf_counter() - wall} {time.process_time() - cpu}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
