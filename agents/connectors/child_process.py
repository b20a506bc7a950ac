"""One warm child process and the calls under way in it, as its parent sees them. Used by ``python_agent``.

Frames go both ways over the child's stdin and stdout (see ``python_child``); what it prints comes over stderr, of which
the last lines are kept for error messages.
"""

import asyncio
import contextlib
import logging
import os
import signal
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

logger = logging.getLogger(__name__)

HEADER = struct.Struct(">IQ")
STDERR_TAIL_BYTES = 4096
PIPE_BUFFER_BYTES = 1024 * 1024
GOODBYE_S = 1.0


class ChildExited(Exception):
    """The child ended, or was ended, with calls under way."""


class ChildNotLoaded(Exception):
    """The child cannot load the agent; another start would end the same way."""


class ChildNotReady(Exception):
    """The call could not begin in time: the agent is still loading, or all its threads are busy."""


class ChildTimedOut(Exception):
    """The call did not end in time; the child was killed to stop it."""


class AnswerTooLarge(Exception):
    """The child announced an answer past the limit; it was killed."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"an answer of {size_bytes} bytes")
        self.size_bytes = size_bytes


class ChildProcess:
    """Runs up to ``threads`` calls at once. Every end of the process fails the calls that it interrupts."""

    def __init__(self, process: asyncio.subprocess.Process, threads: int, max_body_bytes: int) -> None:
        self._process = process
        self._slots = asyncio.Semaphore(threads)
        self._max_body_bytes = max_body_bytes
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        self._calls: dict[int, asyncio.Future[bytes]] = {}
        self._number = 0
        self._awaited = 0
        self._stderr = bytearray()
        self._stopped_because = ""
        self.users = 0
        """Invocations that hold or wait for this child."""
        self._listening = asyncio.ensure_future(self._listen())
        self._draining = asyncio.ensure_future(self._drain_stderr())

    @classmethod
    async def start(
        cls, command: Sequence[str], folder: Path, env: Mapping[str, str] | None, threads: int, max_body_bytes: int
    ) -> "ChildProcess":
        """Start the child in a session of its own, so that what it starts can be ended with it."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env=env,
            start_new_session=True,
            limit=PIPE_BUFFER_BYTES,
        )
        return cls(process, threads, max_body_bytes)

    @property
    def alive(self) -> bool:
        """Whether calls can still be made."""
        return self._process.returncode is None and not self._listening.done() and not self._stopped_because

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def call(self, body: bytes, timeout_s: float) -> bytes:
        """One call. Raises ChildNotReady, ChildTimedOut, ChildExited, ChildNotLoaded, AnswerTooLarge.

        A call that is cancelled takes the child with it when nobody waits for anything else that runs in it. Otherwise
        its thread cannot be stopped, so it keeps its slot: a call begun in its place would only wait in the child.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        await self._slot(deadline)
        exchange = asyncio.ensure_future(self._exchange(body, deadline))
        exchange.add_done_callback(self._free_slot)
        self._awaited += 1
        try:
            return await asyncio.shield(exchange)
        except asyncio.CancelledError:
            if self._awaited == 1:
                self.kill("all its steps were cancelled")
            raise
        finally:
            self._awaited -= 1

    def kill(self, because: str) -> None:
        """SIGKILL for the child and everything it started."""
        self._stopped_because = self._stopped_because or because
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def retire(self) -> None:
        """Close the child once the calls under way have ended; each of them has its own time limit."""
        while self._calls and self.alive:
            await asyncio.wait(list(self._calls.values()))
        await self.close()

    async def close(self) -> None:
        """Close the child's input, at which it ends; kill it when it does not."""
        self._stopped_because = self._stopped_because or "it was closed"
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._process.wait()
        except TimeoutError:
            self.kill("it did not end when asked")
            await self._process.wait()
        await asyncio.wait((self._listening, self._draining), timeout=GOODBYE_S)
        self._listening.cancel()
        self._draining.cancel()

    async def _slot(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(self._ready)
                await self._slots.acquire()
        except TimeoutError as error:
            raise ChildNotReady("all its threads are busy" if self._ready.done() else "it is still loading") from error

    async def _exchange(self, body: bytes, deadline: float) -> bytes:
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        if not self.alive:
            raise ChildExited(self._last_words())
        self._calls[number] = answer
        try:
            async with asyncio.timeout_at(deadline):
                await self._send(number, body)
                return await answer  # type: ignore[no-any-return]
        except TimeoutError as error:
            self.kill("a step in it ran out of time")
            raise ChildTimedOut(self._tail()) from error
        finally:
            del self._calls[number]

    def _free_slot(self, exchange: asyncio.Future[bytes]) -> None:
        self._slots.release()
        if not exchange.cancelled():
            exchange.exception()  # of a call that was cancelled nobody else asks

    async def _send(self, number: int, body: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(HEADER.pack(len(body), number) + body)
            await stdin.drain()
        except (ConnectionError, RuntimeError) as error:  # RuntimeError: uvloop, when the pipe is closing
            raise ChildExited(self._last_words()) from error

    async def _listen(self) -> None:
        """Give every answer to its call until the child's output ends."""
        stdout = self._process.stdout
        assert stdout is not None
        failure: Exception | None = None
        try:
            while True:
                length, number = HEADER.unpack(await stdout.readexactly(HEADER.size))
                if length > self._max_body_bytes:
                    self.kill("its answer was too large")
                    self._settle(number, AnswerTooLarge(length))
                    break
                self._deliver(number, await stdout.readexactly(length))
        except asyncio.IncompleteReadError:
            pass
        await self._process.wait()
        await asyncio.wait((self._draining,), timeout=GOODBYE_S)
        failure = ChildExited(self._last_words())
        if not self._ready.done():
            self._ready.set_exception(failure)
        for number in list(self._calls):
            self._settle(number, failure)

    def _deliver(self, number: int, body: bytes) -> None:
        if number:
            self._settle(number, body)
            return
        told = orjson.loads(body)
        if "ready" in told:
            self._ready.set_result(None)
        else:
            logger.warning("python agent does not load: %s", told["trace"])
            self._ready.set_exception(ChildNotLoaded(told["failed"]))

    def _settle(self, number: int, result: bytes | Exception) -> None:
        answer = self._calls.get(number)  # none: the call was given up, and its late answer is dropped
        if answer is None or answer.done():
            return
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    async def _drain_stderr(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        while chunk := await stderr.read(STDERR_TAIL_BYTES):
            logger.debug("python agent %s: %s", self._process.pid, chunk)
            self._stderr += chunk
            del self._stderr[:-STDERR_TAIL_BYTES]

    def _last_words(self) -> str:
        ended = self._stopped_because or f"it exited with code {self._process.returncode}"
        return f"{ended}; {self._tail()}"

    def _tail(self) -> str:
        lines = self._stderr.decode(errors="replace").strip().splitlines()[-5:]
        return "its last words: " + " | ".join(lines) if lines else "it said nothing"
