"""Gathers the texts of all tasks in flight into batches for one model in one thread. Wrapped by ``cache``."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import numpy as np

from schemas.percept import EncoderVersion
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import Vector

BATCH_TEXTS_MAX = 64
BATCH_CHARACTERS = 8_000
"""A batch is closed once it has so many characters, so that a short text waits for seconds behind long ones never."""
QUEUE_TEXTS_MAX = 4096


class SentenceModel(Protocol):
    """A model that blocks. Used by one thread at a time."""

    @property
    def version(self) -> EncoderVersion:
        """Which weights make the vectors."""
        ...

    def encode(self, texts: Sequence[str]) -> Vector:
        """(len(texts), dimension) float32, rows unit-norm. Raises EncoderUnavailable."""
        ...


_Request = tuple[str, asyncio.Future[Vector]]


class BatchingEncoder:
    """Implements ``ports.TextEncoder``. Belongs to one event loop.

    There is no waiting time to tune: while the thread computes, requests gather, and the next batch takes them. A full
    queue makes callers wait. A cancelled request is skipped.
    """

    def __init__(self, model: SentenceModel, *, queue_texts: int = QUEUE_TEXTS_MAX) -> None:
        self._model = model
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="text-encoder")
        self._room = asyncio.Semaphore(queue_texts)
        self._waiting: deque[_Request] = deque()
        self._busy = False
        self._closed = False

    @property
    def version(self) -> EncoderVersion:
        """Which weights make the vectors."""
        return self._model.version

    async def encode(self, texts: Sequence[str]) -> Vector:
        """(len(texts), dimension) float32, rows unit-norm. Raises EncoderUnavailable."""
        if not texts:
            return np.zeros((0, self.version.dimension), dtype=np.float32)
        rows = [await self._enqueue(text) for text in texts]
        return np.stack(await asyncio.gather(*rows))

    def close(self) -> None:
        """Refuse what waits and let the thread end. Nothing may be encoded afterwards."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        for _, row in self._waiting:
            if not row.done():
                row.set_exception(_closed())
        self._waiting.clear()

    async def _enqueue(self, text: str) -> asyncio.Future[Vector]:
        await self._room.acquire()
        if self._closed:
            self._room.release()
            raise _closed()
        loop = asyncio.get_running_loop()
        row: asyncio.Future[Vector] = loop.create_future()
        row.add_done_callback(lambda _: self._room.release())
        self._waiting.append((text, row))
        if not self._busy:
            self._busy = True
            # Not at once: whoever else asks in this turn of the loop joins the batch.
            loop.call_soon(self._dispatch)
        return row

    def _dispatch(self) -> None:
        batch = self._next_batch()
        if not batch:
            self._busy = False
            return
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._model.encode, [text for text, _ in batch])
        work.add_done_callback(partial(self._settle, batch))

    def _next_batch(self) -> list[_Request]:
        batch: list[_Request] = []
        characters = 0
        while self._waiting and len(batch) < BATCH_TEXTS_MAX and characters < BATCH_CHARACTERS:
            text, row = self._waiting.popleft()
            if not row.done():
                batch.append((text, row))
                characters += len(text)
        return batch

    def _settle(self, batch: list[_Request], work: asyncio.Future[Vector]) -> None:
        error = _closed() if work.cancelled() else work.exception()
        for index, (_, row) in enumerate(batch):
            if row.done():
                continue
            if error is not None:
                row.set_exception(error)
            else:
                row.set_result(work.result()[index])
        self._dispatch()


def _closed() -> EncoderUnavailable:
    return EncoderUnavailable("the text encoder is closed: this process is shutting down")
