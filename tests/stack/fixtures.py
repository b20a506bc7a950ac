"""The shared stack as a fixture. Imported by tests/conftest.py, so that all tests of one process use the same one."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from nats.aio.client import Client

from tests.stack.listening import Listener
from tests.stack.live_stack import LiveStack


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """Started at the first test that asks for it. Loading the encoder costs each worker seconds, so it is shared."""
    stack = LiveStack.over(tmp_path_factory.mktemp("stack"))
    try:
        asyncio.run(stack.start())
        yield stack
    finally:
        asyncio.run(stack.stop())


@pytest.fixture
async def stack(running_stack: LiveStack) -> LiveStack:
    """The shared stack with every process there, whatever the test before has killed."""
    await running_stack.heal()
    return running_stack


@pytest.fixture
async def door(stack: LiveStack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the shared stack's HTTP door."""
    async with stack.door() as client:
        yield client


@pytest.fixture
async def bus(stack: LiveStack) -> AsyncIterator[Client]:
    """A connection to the shared stack's bus."""
    async with stack.bus() as client:
        yield client


@pytest.fixture
async def heard(stack: LiveStack) -> AsyncIterator[Listener]:
    """Everything told of tasks on the shared stack during the test."""
    async with stack.listening() as listener:
        yield listener
