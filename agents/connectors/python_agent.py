"""Runs Python agents, each in a warm child process of this worker. Called by `running` for endpoint kind python.

A child is started at the first step for its agent, serves up to the card's concurrency in threads, and ends when it
idles, when the worker closes or dies, when a step in it runs out of time, or when its file changes.
"""

import asyncio
import logging
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import TypeAdapter

from agents.connectors.child_process import (
    AnswerTooLarge,
    ChildExited,
    ChildNotLoaded,
    ChildNotReady,
    ChildProcess,
    ChildTimedOut,
)
from agents.connectors.claim_check import BlobUrl, checked_in, with_urls
from agents.connectors.faults import timed_out, unreachable
from agents.connectors.replies import MAX_REPLY_BYTES, read_reply_aside, too_large
from agents.connectors.targets import Target, TargetMissing, locate
from schemas.card import AgentCard, PythonEndpoint
from schemas.invocation import Invocation, InvocationReply
from schemas.parts import BlobRef
from tensor_layer.ports import Blobs

logger = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("python_child.py")
CHILDREN = 16
MAX_THREADS = 64
MAX_TARGETS = 10_000
BROKEN_FOR_S = 10.0

LocalPath = Callable[[BlobRef], Awaitable[Path]]
_INVOCATION = TypeAdapter(Invocation)


@dataclass(slots=True)
class _Seat:
    """One agent's child and when it was last used."""

    target: Target
    child: ChildProcess
    used_at_s: float


class PythonConnector:
    """Implements ``ports.Connector``. Safe for concurrent use within one event loop."""

    def __init__(
        self,
        blobs: Blobs,
        folders: Sequence[Path],
        *,
        packages: Sequence[str] = (),
        local_path: LocalPath | None = None,
        blob_url: BlobUrl | None = None,
        max_children: int = CHILDREN,
        idle_s: float = 600.0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """What cards may name: files in ``folders``, modules of ``packages``. ``env``: the children's; None: ours."""
        self._blobs = blobs
        self._folders = tuple(folder.resolve() for folder in folders)
        self._packages = tuple(packages)
        self._local_path = local_path
        self._blob_url = blob_url
        self._max_children = max_children
        self._idle_s = idle_s
        self._env = env
        self._seats: OrderedDict[tuple[str, str], _Seat] = OrderedDict()
        self._broken: dict[tuple[str, str], tuple[Target, float, str]] = {}
        self._targets: dict[str, Target] = {}
        self._starting = asyncio.Lock()
        self._idle = asyncio.Event()
        self._reaping: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        """Run the step in the agent's child. Raises StepTimedOut, AgentUnreachable, BadReply."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        request = await self._request(invocation)
        child = await self._child(card, invocation, timeout_s)
        child.users += 1
        try:
            body = await child.call(request, deadline - loop.time())
        except (ChildTimedOut, ChildNotReady) as error:
            raise timed_out(invocation, timeout_s, str(error)) from error
        except ChildExited as error:
            raise unreachable(invocation, f"its process ended before answering: {error}") from error
        except ChildNotLoaded as error:
            self._mark_broken(card, str(error))
            raise unreachable(invocation, f"it does not load: {error}", retryable=False) from error
        except AnswerTooLarge as error:
            raise too_large(invocation, error.size_bytes) from error
        finally:
            child.users -= 1
            if not child.users:
                self._idle.set()
        return await checked_in(await read_reply_aside(body, invocation), invocation, self._blobs)

    async def probe(self, card: AgentCard) -> bool | None:
        """Whether its file is there and did not fail to load; nothing is started for it."""
        try:
            return self._known_fault(card, self._locate(card)) is None
        except TargetMissing:
            return False

    async def close(self) -> None:
        """End all children."""
        if self._reaping is not None:
            self._reaping.cancel()
        seats, self._seats = self._seats, OrderedDict()
        await asyncio.gather(*(seat.child.close() for seat in seats.values()), *self._leaving)

    async def _request(self, invocation: Invocation) -> bytes:
        paths: dict[str, str] = {}
        for place, part in enumerate(invocation.inputs):
            if part.ref is not None and self._local_path is not None:
                paths[str(place)] = str(await self._local_path(part.ref))
        message = _INVOCATION.dump_json(with_urls(invocation, self._blob_url))
        return b'{"paths":' + orjson.dumps(paths) + b',"invocation":' + message + b"}"

    async def _child(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> ChildProcess:
        try:
            target = self._locate(card)
        except TargetMissing as error:
            raise unreachable(invocation, str(error), retryable=False) from error
        fault = self._known_fault(card, target)
        if fault is not None:
            raise unreachable(invocation, f"it does not load: {fault}", retryable=False)
        key = (card.tenant, card.id)
        seat = self._seated(key, target)
        if seat is None:
            try:
                async with asyncio.timeout(timeout_s), self._starting:
                    seat = self._seated(key, target) or await self._start(key, card, target)
            except TimeoutError as error:
                why = f"all {self._max_children} child processes of this worker are at work"
                raise timed_out(invocation, timeout_s, why) from error
        seat.used_at_s = time.monotonic()
        self._seats.move_to_end(key)
        return seat.child

    def _seated(self, key: tuple[str, str], target: Target) -> _Seat | None:
        """The agent's live child; one that runs an older file or another target is let go."""
        seat = self._seats.get(key)
        if seat is not None and (seat.target != target or not seat.child.alive):
            self._let_go(key)
            return None
        return seat

    async def _start(self, key: tuple[str, str], card: AgentCard, target: Target) -> _Seat:
        await self._make_room()
        threads = min(card.concurrency, MAX_THREADS)
        command = (sys.executable, "-P", str(CHILD), target.text, str(os.getpid()), str(threads))
        child = await ChildProcess.start(command, target.folder, self._env, threads, MAX_REPLY_BYTES)
        seat = self._seats[key] = _Seat(target, child, time.monotonic())
        if self._reaping is None:
            self._reaping = asyncio.create_task(self._reap())
        return seat

    async def _make_room(self) -> None:
        """Let the child go that was unused for longest; while all are at work, wait for one."""
        while len(self._seats) >= self._max_children:
            unused = next((key for key, seat in self._seats.items() if not seat.child.users), None)
            if unused is not None:
                self._let_go(unused)
                continue
            self._idle.clear()
            await self._idle.wait()

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(self._idle_s / 4)
            unused_since_s = time.monotonic() - self._idle_s
            for key, seat in list(self._seats.items()):
                if not seat.child.users and seat.used_at_s < unused_since_s:
                    self._let_go(key)

    def _let_go(self, key: tuple[str, str]) -> None:
        """End a child beside the work, once the steps under way in it are done."""
        leaving = asyncio.create_task(self._seats.pop(key).child.retire())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _locate(self, card: AgentCard) -> Target:
        assert isinstance(card.endpoint, PythonEndpoint), f"{card.id} is no python agent"
        text = card.endpoint.target
        target = self._targets.get(text)
        if target is None or not target.current:
            if len(self._targets) > MAX_TARGETS:
                self._targets.clear()
            target = self._targets[text] = locate(text, self._folders, self._packages)
        return target

    def _mark_broken(self, card: AgentCard, fault: str) -> None:
        """Remember for a while that it does not load, so that a storm of tasks is no storm of processes."""
        with suppress(TargetMissing):  # removed while it was loaded: that is what the next task hears
            self._broken[card.tenant, card.id] = (self._locate(card), time.monotonic() + BROKEN_FOR_S, fault)
        while len(self._broken) > 1000:
            self._broken.pop(next(iter(self._broken)))

    def _known_fault(self, card: AgentCard, target: Target) -> str | None:
        broken = self._broken.get((card.tenant, card.id))
        if broken is None:
            return None
        at_target, until_s, fault = broken
        return fault if at_target == target and time.monotonic() < until_s else None
