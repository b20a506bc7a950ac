"""Gathers what all tasks in flight want encoded into batches, for all models of one device. Wrapped by ``cache``."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Generic

import numpy as np

from schemas.percept import EncoderVersion
from tensor_layer.encoding.devices import settle_thread
from tensor_layer.encoding.room import Room
from tensor_layer.errors import DeviceFull, EncoderUnavailable
from tensor_layer.ports import Content, Discerning, EncoderCard, Model, Vector

BATCH_TOKENS = 2048
"""A batch is closed at so many tokens, so that a short text waits for seconds behind long ones never."""
SHARE_TOKENS_MIN = 64
"""Less is not split between idle threads: a pass over few tokens costs as much as one over some more."""
QUEUE_TOKENS_MAX = 262_144
"""How much may wait; then callers wait before they hand anything in."""

Row = Vector | Exception


@dataclass(slots=True)
class _Request:
    number: int
    content: Any
    tokens: int
    row: asyncio.Future[Vector]


@dataclass(slots=True)
class _Lane:
    """What waits for one model, and how many of its batches are under way."""

    model: Model[Any]
    parallel: int
    waiting: deque[_Request] = field(default_factory=deque)
    under_way: int = 0

    def ready(self) -> bool:
        """Whether another batch may start. Cancelled requests at the head are dropped here."""
        while self.waiting and self.waiting[0].row.done():
            self.waiting.popleft()
        return bool(self.waiting) and self.under_way < self.parallel


class DeviceBatcher:
    """One queue for one device: every model on it waits here, and whoever waits longest is next.

    There is no waiting time to tune: while a thread computes, requests gather, and the next batch takes them, up to
    ``batch_tokens``. A full queue makes callers wait. A cancelled request is skipped. Where the device has no memory
    for a batch, halves of it are tried, and only what does not fit alone fails. Belongs to one event loop.
    """

    def __init__(
        self, *, threads: int = 1, batch_tokens: int = BATCH_TOKENS, queue_tokens: int = QUEUE_TOKENS_MAX
    ) -> None:
        self._batch_tokens = batch_tokens
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="encoder")
        self._idle = threads
        self._room = Room(queue_tokens)
        self._lanes: list[_Lane] = []
        self._numbers = count()
        self._woken = False
        self._closed = False

    def lane(self, model: Model[Any], parallel: int) -> "_Lane":
        """A place to wait for ``model``, of which at most ``parallel`` batches compute at once."""
        lane = _Lane(model, parallel)
        self._lanes.append(lane)
        return lane

    async def submit(self, lane: _Lane, content: Any) -> asyncio.Future[Vector]:  # noqa: ANN401 - what the model reads
        """Queue one content; waits while the queue is full. Raises EncoderUnavailable when closed."""
        tokens = lane.model.tokens_of(content)
        held = await self._room.take(tokens)
        if self._closed:
            self._room.give(held)
            raise _closed()
        loop = asyncio.get_running_loop()
        row: asyncio.Future[Vector] = loop.create_future()
        row.add_done_callback(lambda _: self._room.give(held))
        lane.waiting.append(_Request(next(self._numbers), content, tokens, row))
        self._wake()
        return row

    def close(self) -> None:
        """Refuse what waits and let the threads end. Nothing may be encoded afterwards."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for lane in self._lanes:
            for request in lane.waiting:
                if not request.row.done():
                    request.row.set_exception(_closed())
            lane.waiting.clear()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            # Not at once: whoever else asks in this turn of the loop joins the batch.
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._woken = False
        while self._idle and not self._closed:
            lane = min((lane for lane in self._lanes if lane.ready()), key=_waiting_longest, default=None)
            if lane is None:
                return
            batch = self._next_batch(lane)
            contents = [request.content for request in batch]
            try:
                work = asyncio.get_running_loop().run_in_executor(self._threads, _encode, lane.model, contents)
            except RuntimeError as error:
                full = DeviceFull(f"{lane.model.card.device} has no memory for a thread: {error}")
                _answer(batch, [full] * len(batch))
                continue
            self._idle -= 1
            lane.under_way += 1
            work.add_done_callback(partial(self._settle, lane, batch))

    def _next_batch(self, lane: _Lane) -> list[_Request]:
        """The head of a lane, up to the budget; what waits is shared between the threads that are idle for it."""
        idle = min(self._idle, lane.parallel - lane.under_way)
        fair = -(-sum(request.tokens for request in lane.waiting) // idle)
        budget = min(self._batch_tokens, max(fair, SHARE_TOKENS_MIN))
        batch: list[_Request] = []
        tokens = 0
        while lane.waiting and (not batch or tokens + lane.waiting[0].tokens <= budget):
            request = lane.waiting.popleft()
            if not request.row.done():
                batch.append(request)
                tokens += request.tokens
        return batch

    def _settle(self, lane: _Lane, batch: list[_Request], work: asyncio.Future[list[Row]]) -> None:
        self._idle += 1
        lane.under_way -= 1
        error = _closed() if work.cancelled() else work.exception()
        _answer(batch, [error] * len(batch) if error is not None else work.result())
        self._dispatch()


class BatchingEncoder(Generic[Content]):
    """Implements ``ports.Encoder`` over a model and the queue of its device (its own one when none is given)."""

    def __init__(self, model: Model[Content], batcher: DeviceBatcher | None = None, *, parallel: int = 1) -> None:
        """``parallel``: how many threads may be in ``model.encode`` at once."""
        self._model = model
        self._batcher = batcher or DeviceBatcher()
        self._lane = self._batcher.lane(model, parallel)

    @property
    def card(self) -> EncoderCard:
        """Which weights make the vectors, where, under which licence."""
        return self._model.card

    @property
    def version(self) -> EncoderVersion:
        """Which weights make the vectors."""
        return self._model.card.version

    async def encode(self, contents: Sequence[Content], /) -> Vector:
        """(len(contents), dimension) float32, rows unit-norm. Raises EncoderUnavailable, DeviceFull."""
        return (await self._rows(contents))[:, : self.version.dimension]

    async def encode_discerning(self, contents: Sequence[Content]) -> Vector:
        """(len(contents), dimension + 1) float32, as ``ports.Discerning``; NaN for a model that is none."""
        rows = await self._rows(contents)
        if rows.shape[1] > self.version.dimension:
            return rows
        return np.pad(rows, ((0, 0), (0, 1)), constant_values=np.nan)

    async def _rows(self, contents: Sequence[Content]) -> Vector:
        if not contents:
            return np.zeros((0, self.version.dimension), dtype=np.float32)
        rows: list[asyncio.Future[Vector]] = []
        try:
            for content in contents:
                rows.append(await self._batcher.submit(self._lane, content))  # noqa: PERF401 - it waits for room
            return np.stack(await asyncio.gather(*rows))
        except BaseException:
            for row in rows:
                row.cancel()
            raise

    def close(self) -> None:
        """Close the device's queue, for all of its encoders."""
        self._batcher.close()


def _encode(model: Model[Any], contents: Sequence[Any]) -> list[Row]:
    settle_thread()
    return encode_in_parts(model, contents)


def encode_in_parts(model: Model[Any], contents: Sequence[Any]) -> list[Row]:
    """A row or an error for each content: a batch that does not fit into the device is halved until it does."""
    try:
        return list(model.encode_discerning(contents) if isinstance(model, Discerning) else model.encode(contents))
    except DeviceFull as error:
        if len(contents) == 1:
            return [error]
    middle = len(contents) // 2
    return encode_in_parts(model, contents[:middle]) + encode_in_parts(model, contents[middle:])


def _answer(batch: Sequence[_Request], rows: Sequence[Vector | BaseException]) -> None:
    for request, row in zip(batch, rows, strict=True):
        if request.row.done():
            continue
        if isinstance(row, BaseException):
            request.row.set_exception(row)
        else:
            request.row.set_result(row)


def _waiting_longest(lane: _Lane) -> int:
    return lane.waiting[0].number


def _closed() -> EncoderUnavailable:
    return EncoderUnavailable("the encoder is closed: this process is shutting down")
