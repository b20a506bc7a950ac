"""What tests of the HTTP door share: the door over a real bus, in process or served, and a very small worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
from fastapi import FastAPI
from nats.aio.client import Client
from nats.js import JetStreamContext

from agents.journey.records import TaskRecords
from agents.registry.kv_registry import KvRegistry
from gateway.door_limits import DoorLimits
from gateway.embedded.nats_server import free_port
from gateway.http.app import create_app
from gateway.http.doors import open_doors
from gateway.http.server import serve_http
from schemas import subjects
from schemas.task import (
    ApprovalState,
    TaskEvent,
    TaskEventKind,
    TaskFailure,
    TaskRecord,
    TaskResult,
    TaskState,
    TaskSubmitted,
)
from tensor_layer.storage.blobs import ObstoreBlobs


async def open_app(nc: Client, js: JetStreamContext, folder: Path, limits: DoorLimits | None = None) -> FastAPI:
    """The door over that bus and a local object store."""
    (folder / "blobs").mkdir(exist_ok=True)
    blobs = ObstoreBlobs.from_url(f"file://{folder / 'blobs'}", cache_dir=folder / "cache")
    return create_app(await open_doors(nc, js, blobs, KvRegistry(js), limits))


def in_process(app: FastAPI) -> httpx.AsyncClient:
    """A client that calls the app without a socket."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://door", timeout=30
    )


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app behind a real uvicorn."""
    stop, started, port = asyncio.Event(), asyncio.Event(), free_port()
    serving = asyncio.create_task(serve_http(app, "127.0.0.1", port, stop, started=started))
    await started.wait()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        stop.set()
        await serving


class TinyWorker:
    """Does every task by echoing its parts; keeps count. Waits for approval when the task asks for it."""

    def __init__(self, nc: Client, js: JetStreamContext) -> None:
        self._nc = nc
        self._js = js
        self.taken: list[TaskSubmitted] = []

    @asynccontextmanager
    async def working(self) -> AsyncIterator["TinyWorker"]:
        """Take tasks for as long as the block lasts."""
        self._records = TaskRecords(await self._js.key_value(subjects.BUCKET_TASKS))
        pulling = await self._js.pull_subscribe(subjects.SUBMIT_ALL, durable="tiny")
        stop = asyncio.Event()
        loop = asyncio.create_task(self._loop(pulling, stop))
        try:
            yield self
        finally:
            stop.set()
            await loop
            await pulling.unsubscribe()

    async def _loop(self, pulling: JetStreamContext.PullSubscription, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                for message in await pulling.fetch(10, timeout=0.2):
                    task = TaskSubmitted.model_validate_json(message.data)
                    await self._do(task, message.metadata.sequence.stream)
                    await message.ack_sync()

    async def _do(self, task: TaskSubmitted, stream_seq: int) -> None:
        self.taken.append(task)
        held = await self._records.load(task.tenant, task.task_id)
        while held is None:  # the door creates the record right after the ack
            await asyncio.sleep(0.01)
            held = await self._records.load(task.tenant, task.task_id)
        await self._tell(task, TaskEventKind.STARTED)
        ending = _ending(task, held.record)
        held = await self._records.change(
            held, lambda record: record.model_copy(update=ending | {"stream_seq": stream_seq})
        )
        await self._tell(task, TaskEventKind(held.record.state.value))

    async def _tell(self, task: TaskSubmitted, kind: TaskEventKind) -> None:
        event = TaskEvent(task_id=task.task_id, tenant=task.tenant, kind=kind)
        await self._js.publish(subjects.event(task.tenant, task.task_id), event.model_dump_json().encode())


def _ending(task: TaskSubmitted, record: TaskRecord) -> dict[str, object]:
    if record.cancel_requested:
        failure = TaskFailure(code="cancelled", message="the task was cancelled")
        return {"state": TaskState.CANCELLED, "failure": failure, "submission": None}
    if task.requires_approval and not record.approvals:
        waiting = {"n1": ApprovalState.PENDING, "n2": ApprovalState.PENDING}
        return {"state": TaskState.AWAITING_APPROVAL, "submission": task, "approvals": waiting}
    if ApprovalState.DENIED in record.approvals.values():
        failure = TaskFailure(code="approval_denied", message="denied")
        return {"state": TaskState.FAILED, "failure": failure, "submission": None}
    return {"state": TaskState.SUCCEEDED, "result": TaskResult(outputs=task.parts), "submission": None}
