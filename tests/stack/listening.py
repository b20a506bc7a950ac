"""Hears what is told of tasks on the bus, and waits for the moments that tests are about."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from nats.aio.msg import Msg

from schemas.task import TaskEvent, TaskEventKind


class Listener:
    """Every event heard, by task."""

    def __init__(self) -> None:
        self.events: defaultdict[str, list[TaskEvent]] = defaultdict(list)
        self._came = asyncio.Condition()

    async def hear(self, message: Msg) -> None:
        event = TaskEvent.model_validate_json(message.data)
        self.events[event.task_id].append(event)
        async with self._came:
            self._came.notify_all()

    async def until(
        self,
        task_id: str,
        kind: TaskEventKind,
        where: Callable[[TaskEvent], bool] = lambda _event: True,
        timeout_s: float = 45,
    ) -> TaskEvent:
        """The first event of that kind, heard already or to come."""

        def found() -> TaskEvent | None:
            return next((event for event in self.events[task_id] if event.kind is kind and where(event)), None)

        try:
            async with asyncio.timeout(timeout_s), self._came:
                await self._came.wait_for(lambda: found() is not None)
        except TimeoutError:
            raise AssertionError(f"{kind} was not told of {task_id}; heard: {self.told(task_id)}") from None
        event = found()
        assert event is not None
        return event

    async def until_any(self, kind: TaskEventKind, timeout_s: float = 45) -> TaskEvent:
        """The first event of that kind of any task."""

        def found() -> TaskEvent | None:
            return next((e for events in self.events.values() for e in events if e.kind is kind), None)

        async with asyncio.timeout(timeout_s), self._came:
            await self._came.wait_for(lambda: found() is not None)
        event = found()
        assert event is not None
        return event

    def told(self, task_id: str) -> list[str]:
        """The kinds heard so far, in order, with the step where there is one."""
        return [f"{e.kind.value}:{e.data['node']}" if "node" in e.data else e.kind.value for e in self.events[task_id]]

    def count(self, task_id: str, kind: TaskEventKind) -> int:
        return sum(event.kind is kind for event in self.events[task_id])
