"""The demo itself: a real stack in a temporary folder, real tasks through both doors, one worker killed on the way.

Called by ``aos demo``. Ends with a verdict and leaves nothing running.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError
from rich.live import Live
from rich.table import Table

from gateway.cli.demo.crash import Crash
from gateway.cli.demo.report import Story, crash_problems, summary, tell, tell_crash
from gateway.cli.demo.script import EXAMPLES, DemoTask, load_script
from gateway.cli.demo.staging import stage_agents
from gateway.cli.door.client import GatewayClient
from gateway.cli.task import bus_door
from gateway.errors import ServerDidNotStart
from gateway.settings import Settings
from gateway.settings.sections import Bus
from gateway.supervision.deployment import Deployment
from schemas import subjects
from schemas.parts import Modality, Part
from schemas.task import TaskEvent, TaskEventKind, TaskRecord

TASK_TIMEOUT_S = 90.0
LEAST_STEPS_TO_CRASH = 3
_SUFFIXES = {
    Modality.TEXT: ".txt",
    Modality.IMAGE: ".png",
    Modality.AUDIO: ".wav",
    Modality.TABLE: ".csv",
    Modality.DOCUMENT: ".html",
    Modality.DATA: ".json",
}

Say = Callable[[str], None]


async def run_demo(settings: Settings, say: Say, results: Path | None = None) -> int:
    """Play the whole demo; 0 when every task ended as expected, else 1. Raises GatewayError when it cannot begin."""
    script = load_script()
    folder = results or Path(tempfile.mkdtemp(prefix="aos-demo-results-"))
    with tempfile.TemporaryDirectory(prefix="aos-demo-") as data:
        deployment = Deployment(_demo_settings(settings, Path(data)), os.environ)
        try:
            started = time.monotonic()
            await _start(deployment, script, say)
            stories, crash = await _play(deployment, script, folder)
            return _verdict(stories, crash, folder, time.monotonic() - started, say)
        finally:
            await deployment.stop()


def _demo_settings(settings: Settings, data: Path) -> Settings:
    """Two workers, so that one can die; free ports, so that a running gateway is left alone."""
    cards_dir = stage_agents(EXAMPLES / "agents", data / "sample-agents")
    agents = settings.agents.model_copy(update={"cards_dir": cards_dir, "workers": 2, "ack_wait_s": 2.0})
    http = settings.http.model_copy(update={"port": 0})
    bus = settings.bus.model_copy(update={"url": None, "embedded_port": 0})
    changes = {"agents": agents, "http": http, "bus": bus, "data_dir": data}
    return settings.model_copy(update=changes)


async def _start(deployment: Deployment, script: Sequence[DemoTask], say: Say) -> None:
    say("starting nats-server, gateway, two workers, the recorder and the sample agents …")
    await deployment.start()
    await deployment.until_ready()
    wanted = {agent for task in script for agent in task.expect.agents}
    await _until_alive(deployment.gateway_url, wanted)
    say(f"ready: {deployment.gateway_url}, {deployment.nats_url}, {len(wanted)} kinds of agents")


async def _until_alive(gateway_url: str, wanted: set[str], timeout_s: float = 60.0) -> None:
    """Wait until every agent that the script needs has been heard of."""
    deadline = time.monotonic() + timeout_s
    async with GatewayClient(gateway_url, "default") as client:
        while True:
            listing = await client.get("/v1/agents", limit=200)
            alive = {entry["card"]["id"] for entry in listing["agents"] if entry["liveness"] == "alive"}
            if wanted <= alive:
                return
            if time.monotonic() > deadline:
                raise ServerDidNotStart(f"these sample agents do not come alive: {', '.join(sorted(wanted - alive))}")
            await asyncio.sleep(0.1)


async def _play(deployment: Deployment, script: Sequence[DemoTask], folder: Path) -> tuple[list[Story], Crash]:
    """Submit everything, follow it on the bus, and fetch what came out."""
    board = _Board()
    nc = await nats.connect(deployment.nats_url)
    await nc.subscribe(subjects.EVENT_ALL, cb=board.hear)
    settings = Settings(bus=Bus(url=deployment.nats_url), url=deployment.gateway_url)
    async with GatewayClient(deployment.gateway_url, "default") as client, _closing(nc):
        with Live(get_renderable=board.table, refresh_per_second=8, transient=True):
            for task in script:
                board.add(Story(task, await _submit(settings, client, task)))
            await board.until_all_ended(TASK_TIMEOUT_S)
        for story in board.stories.values():
            await _fetch(client, story, folder / story.task.id)
    return list(board.stories.values()), board.crash


@asynccontextmanager
async def _closing(nc: Client) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await nc.close()


async def _submit(settings: Settings, client: GatewayClient, task: DemoTask) -> str:
    """Through the door that the script says; the same task either way."""
    draft, files = {"text": task.instruction}, task.files(EXAMPLES)
    if task.door == "bus":
        return (await bus_door.publish(settings, draft, files, None)).task_id
    return str((await client.submit(draft, files))["task_id"])


async def _fetch(client: GatewayClient, story: Story, folder: Path) -> None:
    story.record = TaskRecord.model_validate(await client.get(f"/v1/tasks/{story.task_id}"))
    outputs = story.record.result.outputs if story.record.result else ()
    if outputs:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    for number, part in enumerate(outputs):
        path = folder / _file_name(number, part)
        await client.download(f"/v1/tasks/{story.task_id}/outputs/{number}", path)
        story.files.append(path)


def _file_name(number: int, part: Part) -> str:
    name = part.name or f"result-{number + 1}"
    return name if "." in name else name + _SUFFIXES.get(part.modality or Modality.FILE, ".bin")


def _verdict(stories: Sequence[Story], crash: Crash, folder: Path, seconds: float, say: Say) -> int:
    for story in stories:
        for line in tell(story, EXAMPLES):
            say(line)
    crashed = next(story for story in stories if story.task_id == crash.task_id)
    for line in [*tell_crash(crash, crashed), *summary(stories, seconds, folder)]:
        say(line)
    problems = [*crash_problems(crash, crashed), *(p for story in stories for p in story.problems())]
    for problem in crash_problems(crash, crashed):
        say(f"   ✗ {problem}")
    return 1 if problems else 0


class _Board:
    """Everything heard of the demo's tasks, as it is heard; also the live table."""

    def __init__(self) -> None:
        self.stories: dict[str, Story] = {}
        self.crash = Crash("")
        self._early: dict[str, list[TaskEvent]] = {}
        self._ended = asyncio.Condition()

    def add(self, story: Story) -> None:
        """A task was submitted. The first one that needs several agents is the one whose worker dies."""
        if not self.crash.task_id and len(story.task.expect.agents) >= LEAST_STEPS_TO_CRASH:
            self.crash = Crash(story.task_id)
        self.stories[story.task_id] = story
        for event in self._early.pop(story.task_id, ()):
            self._take(event)

    async def hear(self, message: Msg) -> None:
        """One event of one task."""
        try:
            event = TaskEvent.from_peer(message.data)
        except ValidationError:
            return
        if event.task_id in self.stories:
            self._take(event)
        else:
            self._early.setdefault(event.task_id, []).append(event)
        async with self._ended:
            self._ended.notify_all()

    def _take(self, event: TaskEvent) -> None:
        self.stories[event.task_id].events.append(event)
        self.crash.hear(event)

    async def until_all_ended(self, timeout_s: float) -> None:
        """Wait for every task's last event; what has not ended by then is reported as it stands."""
        try:
            async with asyncio.timeout(timeout_s), self._ended:
                await self._ended.wait_for(lambda: all(_has_ended(story) for story in self.stories.values()))
        except TimeoutError:
            return

    def table(self) -> Table:
        """The live view: one line for each task."""
        table = Table(box=None, show_header=False)
        for story in self.stories.values():
            last = story.events[-1] if story.events else None
            mark = "✓" if _has_ended(story) else "…"
            table.add_row(mark, story.task.title, _said(last), story.task.door)
        return table


def _has_ended(story: Story) -> bool:
    return any(event.kind.terminal for event in story.events)


def _said(event: TaskEvent | None) -> str:
    if event is None:
        return "queued"
    where = f" {event.data['node']} ({event.data.get('agent_id', '')})" if "node" in event.data else ""
    died = " — another worker goes on" if event.kind is TaskEventKind.RESUMED else ""
    return f"{event.kind.value.replace('_', ' ')}{where}{died}"
