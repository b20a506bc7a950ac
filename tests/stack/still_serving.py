"""The other half of every bad-input test: whatever came in, no process died of it and the next task is served."""

from collections.abc import AsyncIterator

import httpx
import pytest

from schemas import subjects
from tests.stack.live_stack import LiveStack


@pytest.fixture(autouse=True)
async def still_serving(stack: LiveStack, door: httpx.AsyncClient) -> AsyncIterator[None]:
    """After the test: the same processes, an echo, and nothing that stays behind in the work queue."""
    before = {name: process.pid for name, process in stack.processes.items()}
    yield
    record = (await door.post("/v1/tasks?wait=30", json={"text": "echo this back"})).json()
    assert record["state"] == "succeeded"
    assert {name: process.pid for name, process in stack.processes.items() if stack.is_running(name)} == before
    await stack.until_empty(subjects.STREAM_TASKS)
