"""A Python agent runs in a warm child process that never outlives, corrupts or stalls the worker."""

import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from nats.aio.client import Client

from agents.connectors import child_process, python_agent
from agents.connectors.python_agent import PythonConnector
from agents.connectors.wiring import connectors
from agents.errors import AgentUnreachable, BadReply, StepTimedOut
from gateway.roles.agents import options_of
from gateway.settings import load
from schemas.base import now
from schemas.card import AgentCard, PythonEndpoint, Skill
from schemas.invocation import Invocation
from schemas.parts import BlobRef, Modality, Part, text_part
from tensor_layer.storage.blobs import ObstoreBlobs

AGENT = Path(__file__).parents[3] / "ports" / "peer_python_agent.py"
PATIENCE_S = 60.0

Maker = Callable[..., PythonConnector]


def card_for(target: str = "agent.py:run", agent: str = "peer", **more) -> AgentCard:
    skill = Skill(id="do", description="does what the goal says", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,))
    return AgentCard(
        id=agent,
        version="1.0.0",
        description="an agent of the tests",
        skills=(skill,),
        endpoint=PythonEndpoint(target=target),
        **more,
    )


def ask(goal: str, *inputs: Part) -> Invocation:
    return Invocation(
        step_id="t1.peer",
        task_id="t1",
        tenant="default",
        agent_id="peer",
        skill_id="do",
        goal=goal,
        inputs=inputs or (text_part("hello"),),
        deadline=now() + timedelta(seconds=30),
    )


@pytest.fixture
def blobs(tmp_path: Path) -> ObstoreBlobs:
    (tmp_path / "blobs").mkdir()
    return ObstoreBlobs.from_url(f"file://{tmp_path / 'blobs'}", cache_dir=tmp_path / "cache")


@pytest.fixture
async def make(tmp_path: Path, blobs: ObstoreBlobs) -> AsyncIterator[Maker]:
    shutil.copy(AGENT, tmp_path / "agent.py")
    made: list[PythonConnector] = []

    def connector(**more) -> PythonConnector:
        made.append(PythonConnector(blobs, (tmp_path,), **more))
        return made[-1]

    yield connector
    for each in made:
        await each.close()


async def say(
    connector: PythonConnector, goal: str, timeout_s: float = PATIENCE_S, card: AgentCard | None = None
) -> str:
    reply = await connector.invoke(card or card_for(), ask(goal), timeout_s)
    return reply.outputs[0].text or ""


async def gone(pid: int, within_s: float = 30.0) -> bool:
    """Whether the process ends in time; waits for the event, not for a moment."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = await asyncio.to_thread(select.select, [handle], [], [], within_s)
        return bool(ready)
    finally:
        os.close(handle)


async def test_the_child_stays_warm_between_steps(make: Maker) -> None:
    connector = make()
    assert await say(connector, "pid") == await say(connector, "pid")
    assert await say(connector, "count") == "3"


async def test_each_agent_has_a_child_of_its_own(make: Maker) -> None:
    connector = make()
    assert await say(connector, "pid") != await say(connector, "pid", card=card_for(agent="other"))


async def test_the_agent_works_in_its_card_s_folder(make: Maker, tmp_path: Path) -> None:
    assert await say(make(), "where") == str(tmp_path)


async def test_what_the_agent_prints_never_reaches_the_protocol(make: Maker) -> None:
    connector = make()
    assert await say(connector, "chatter") == "quiet"
    assert await say(connector, "answer still here") == "echo still here"


async def test_async_agents_and_bytes_are_welcome(make: Maker) -> None:
    reply = await make().invoke(card_for(), ask("think"), PATIENCE_S)
    assert [part.inline_bytes() for part in reply.outputs] == [b"first", b"\x00\x01"]


async def test_cost_and_usage_come_back(make: Maker) -> None:
    reply = await make().invoke(card_for(), ask("cost"), PATIENCE_S)
    assert (reply.cost, reply.usage) == (0.5, {"pages": 3})


async def test_an_exception_is_the_agent_s_error_and_the_child_lives_on(make: Maker) -> None:
    connector = make()
    pid = await say(connector, "pid")
    reply = await connector.invoke(card_for(), ask("fail"), PATIENCE_S)
    assert reply.error is not None
    assert (reply.error.code, reply.error.message, reply.error.retryable) == ("busy", "TooBusy: try later", True)
    assert await say(connector, "pid") == pid


async def test_an_answer_that_is_no_json_is_an_error(make: Maker) -> None:
    reply = await make().invoke(card_for(), ask("unserialisable"), PATIENCE_S)
    assert reply.error is not None
    assert reply.error.code == "bad_output"


async def test_an_exit_mid_step_tells_the_code_and_the_last_words(make: Maker) -> None:
    connector = make()
    with pytest.raises(AgentUnreachable, match=r"exited with code 7; its last words: cannot go on") as caught:
        await say(connector, "leave 7")
    assert caught.value.retryable is True
    assert await say(connector, "answer again") == "echo again"


async def test_a_step_out_of_time_is_stopped_for_real(make: Maker) -> None:
    connector = make()
    pid = int(await say(connector, "pid"))
    with pytest.raises(StepTimedOut):
        await say(connector, "never", timeout_s=0.2)
    assert await gone(pid)
    assert int(await say(connector, "pid")) != pid


async def test_a_step_that_waits_for_a_busy_child_does_not_kill_it(make: Maker, tmp_path: Path) -> None:
    connector, single = make(), card_for(concurrency=1)
    pid = await say(connector, "pid", card=single)
    slow = asyncio.create_task(say(connector, f"until {tmp_path / 'go'}", timeout_s=60, card=single))
    await asyncio.sleep(0)
    with pytest.raises(StepTimedOut, match="all its threads are busy"):
        await say(connector, "answer", timeout_s=0.1, card=single)
    (tmp_path / "go").touch()
    assert await slow == "at last"
    assert await say(connector, "pid", card=single) == pid


async def test_no_more_steps_run_at_once_than_the_card_says(make: Maker) -> None:
    connector, pair = make(), card_for(concurrency=2)
    await say(connector, "pid", card=pair)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await asyncio.gather(*(say(connector, "late 0.2", card=pair) for _ in range(4)))
    assert loop.time() - started >= 0.4


async def test_a_cancelled_step_takes_its_child_along_when_it_was_alone(make: Maker) -> None:
    connector = make()
    pid = int(await say(connector, "pid"))
    step = asyncio.create_task(say(connector, "never"))
    await asyncio.sleep(0.05)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert await gone(pid)


async def test_a_cancelled_step_leaves_its_neighbours_alone(make: Maker) -> None:
    connector = make()
    await say(connector, "pid")
    neighbour, step = (asyncio.create_task(say(connector, f"late {s}")) for s in (0.4, 60))
    await asyncio.sleep(0.05)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert await neighbour == "too late"


async def test_an_edited_file_is_picked_up_and_running_steps_end_first(make: Maker, tmp_path: Path) -> None:
    connector = make()
    await say(connector, "pid")
    running = asyncio.create_task(say(connector, "late 0.3"))
    await asyncio.sleep(0.05)
    (tmp_path / "agent.py").write_text("def run(invocation):\n    return 'new'\n")
    assert await say(connector, "answer") == "new"
    assert await running == "too late"


async def test_an_agent_that_does_not_load_says_why_and_is_not_tried_again_at_once(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    connector, broken = make(), card_for("broken.py:run")
    assert await connector.probe(broken) is True
    with pytest.raises(AgentUnreachable, match="No module named 'nothing_of_that_name'") as caught:
        await say(connector, "answer", card=broken)
    assert caught.value.retryable is False
    assert await connector.probe(broken) is False
    monkeypatch.setattr(python_agent.ChildProcess, "start", None)  # a second start would now fail loudly
    with pytest.raises(AgentUnreachable, match="does not load"):
        await say(connector, "answer", card=broken)


async def test_an_agent_whose_file_goes_while_it_is_loaded_does_not_load(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "brief.py").write_text("import os\nos.unlink(__file__)\nimport nothing_of_that_name\n")
    connector, brief = make(), card_for("brief.py:run")
    with pytest.raises(AgentUnreachable, match="No module named 'nothing_of_that_name'") as caught:
        await say(connector, "answer", card=brief)
    assert caught.value.retryable is False
    with pytest.raises(AgentUnreachable, match=r"there is no brief\.py in"):
        await say(connector, "answer", card=brief)


async def test_a_missing_callable_or_file_is_named(make: Maker) -> None:
    with pytest.raises(AgentUnreachable, match="has no callable 'walk'"):
        await say(make(), "answer", card=card_for("agent.py:walk"))
    with pytest.raises(AgentUnreachable, match=r"there is no ghost\.py in"):
        await say(make(), "answer", card=card_for("ghost.py:run"))


@pytest.mark.parametrize("target", ["../outside.py:run", "/etc/outside.py:run"])
async def test_a_card_cannot_run_files_outside_the_folders_of_agents(make: Maker, tmp_path: Path, target: str) -> None:
    (tmp_path.parent / "outside.py").write_text("def run(invocation):\n    return 'escaped'\n")
    with pytest.raises(AgentUnreachable, match="there is no"):
        await say(make(), "answer", card=card_for(target))


async def test_importable_modules_are_agents_too(make: Maker) -> None:
    connector = make(packages=("agent",))
    assert await say(connector, "answer by module", card=card_for("agent:run")) == "echo by module"


async def test_a_card_cannot_name_just_any_module(make: Maker) -> None:
    with pytest.raises(AgentUnreachable, match=r"agents\.python_packages"):
        await say(make(), "list the files", card=card_for("os:listdir"))


async def test_a_referenced_input_has_a_local_path(make: Maker, blobs: ObstoreBlobs) -> None:
    ref = await blobs.put_bytes(b"the content")
    connector = make(local_path=blobs.local_path)
    reply = await connector.invoke(card_for(), ask("look", Part(modality=Modality.TEXT, ref=ref)), PATIENCE_S)
    assert reply.outputs[0].text == "the content"


async def test_without_a_local_store_a_referenced_input_has_a_url(make: Maker) -> None:
    ref = BlobRef(digest="sha256:" + "0" * 64, size_bytes=1)
    connector = make(blob_url=lambda ref: f"http://gateway/{ref.digest[:9]}")
    reply = await connector.invoke(card_for(), ask("look", Part(modality=Modality.TEXT, ref=ref)), PATIENCE_S)
    assert reply.outputs[0].text == "no path, url http://gateway/sha256:00"


async def test_an_answer_past_the_limit_is_refused_without_being_read(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_agent, "MAX_REPLY_BYTES", 100_000)
    with pytest.raises(BadReply, match="bytes; at most"):
        await say(make(), "big 200000")


async def test_the_child_itself_refuses_to_send_too_much(make: Maker) -> None:
    reply = await make().invoke(card_for(), ask(f"big {64 * 1024 * 1024}"), PATIENCE_S)
    assert reply.error is not None
    assert reply.error.code == "output_too_large"


async def test_the_child_unused_for_longest_makes_room_for_another_agent(make: Maker) -> None:
    connector = make(max_children=2)
    first = int(await say(connector, "pid", card=card_for(agent="a")))
    second = await say(connector, "pid", card=card_for(agent="b"))
    await say(connector, "pid", card=card_for(agent="c"))
    assert await gone(first)
    assert await say(connector, "pid", card=card_for(agent="b")) == second


async def test_when_every_child_is_at_work_another_agent_waits_for_its_turn(make: Maker, tmp_path: Path) -> None:
    connector = make(max_children=1)
    await say(connector, "pid", card=card_for(agent="a"))
    busy = asyncio.create_task(say(connector, f"until {tmp_path / 'go'}", card=card_for(agent="a")))
    await asyncio.sleep(0)
    with pytest.raises(StepTimedOut, match="child processes of this worker are at work"):
        await say(connector, "answer", timeout_s=0.1, card=card_for(agent="b"))
    waiting = asyncio.create_task(say(connector, "answer back", card=card_for(agent="b")))
    await asyncio.sleep(0)
    (tmp_path / "go").touch()
    assert (await busy, await waiting) == ("at last", "echo back")


async def test_idle_children_end_by_themselves(make: Maker) -> None:
    connector = make(idle_s=0.2)
    assert await gone(int(await say(connector, "pid")))
    assert await say(connector, "answer back") == "echo back"


async def test_closing_ends_every_child(make: Maker) -> None:
    connector = make()
    pids = [int(await say(connector, "pid", card=card_for(agent=agent))) for agent in ("a", "b")]
    await connector.close()
    assert all([await gone(pid) for pid in pids])


async def test_what_a_killed_agent_started_is_killed_with_it(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(
        "import pathlib, subprocess, time\n"
        "def run(invocation):\n"
        "    if invocation['goal'] == 'warm':\n"
        "        return 'warm'\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        "    pathlib.Path(invocation['goal']).write_text(str(child.pid))\n"
        "    time.sleep(600)\n"
    )
    written, connector = tmp_path / "grandchild", make()
    await say(connector, "warm", card=card_for("parent.py:run"))
    with pytest.raises(StepTimedOut):
        await say(connector, str(written), timeout_s=1.0, card=card_for("parent.py:run"))
    assert await gone(int(written.read_text()))


@pytest.mark.parametrize("moment", ["idle", "busy"])
async def test_no_child_outlives_a_worker_that_is_killed(tmp_path: Path, moment: str) -> None:
    shutil.copy(AGENT, tmp_path / "agent.py")
    script = tmp_path / "worker.py"
    script.write_text(WORKER.format(tests=str(Path(__file__).parent), folder=str(tmp_path), moment=moment))
    worker = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=subprocess.PIPE)
    assert worker.stdout is not None
    child = int(await worker.stdout.readline())
    worker.send_signal(signal.SIGKILL)
    await worker.wait()
    assert await gone(child)


WORKER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_python_agent import card_for, say
from agents.connectors.python_agent import PythonConnector
from tensor_layer.storage.blobs import ObstoreBlobs

async def main():
    connector = PythonConnector(ObstoreBlobs.from_url("memory://"), (Path({folder!r}),))
    print(await say(connector, "pid"), flush=True)
    await (say(connector, "never", 600) if {moment!r} == "busy" else asyncio.sleep(600))

asyncio.run(main())
"""


def test_both_ends_of_the_pipe_speak_the_same_frames() -> None:
    source = (Path(child_process.__file__).with_name("python_child.py")).read_text()
    assert f'HEADER = struct.Struct("{child_process.HEADER.format}")' in source
    assert f"MAX_BODY_BYTES = {python_agent.MAX_REPLY_BYTES // 2**20} * 1024 * 1024" in source


async def test_how_many_agents_have_a_child_at_once_is_a_setting(blobs: ObstoreBlobs, tmp_path: Path) -> None:
    shutil.copy(AGENT, tmp_path / "agent.py")
    options = options_of(load({}, {"agents.python_children": 1}).settings)
    more = {"python_folders": (tmp_path,), "python_packages": (), "gateway_url": None}
    directory = connectors(Client(), blobs, **more, python_children=options.python_children)
    try:
        first = int(await say(directory, "pid", card=card_for(agent="a")))
        await say(directory, "pid", card=card_for(agent="b"))
        assert await gone(first)
    finally:
        await directory.close()
