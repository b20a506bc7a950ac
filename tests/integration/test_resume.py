"""Whatever is killed in the middle of a plan, another worker ends it, and no step's effect happens twice."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from resuming_worker import EffectFile, request_for, silent

from agents.errors import BusUnavailable, WorkerStops
from agents.ports.running import RunOutcome
from agents.running.runner import jetstream_runner
from agents.stopping import Stopping
from schemas import subjects

CHAIN = ["task>a", "a>b", "b>c", "c>d"]
DIAMOND = ["task>a", "a>b", "a>c", "b>d", "c>d"]
BRANCHES_FIRST = ["task>a", "task>b", "a>c", "b>c"]
WORKER = Path(__file__).with_name("resuming_worker.py")


@asynccontextmanager
async def worker_that_hangs(url: str, effects: Path, at: str, arrows: list[str]) -> AsyncIterator[None]:
    """A real process that runs the plan until it is asked for step ``at``; it is killed afterwards."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, WORKER, url, effects, at, "t1", *arrows, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(30):
            assert (await child.stdout.readline()).decode() == f"asked {at}\n"
        yield
    finally:
        child.send_signal(signal.SIGKILL)
        assert await child.wait() == -signal.SIGKILL


async def stored(js, subject_filter: str, count: int) -> None:
    """Wait until the stream holds that many messages under the filter."""
    async with asyncio.timeout(30):
        while True:
            found = (await js.stream_info(subjects.STREAM_CHECKPOINTS, subject_filter)).state.subjects or {}
            if len(found) >= count:
                return
            await asyncio.sleep(0.01)


async def finish(nc, agent: EffectFile, arrows: list[str], **more) -> RunOutcome:
    async with asyncio.timeout(30):
        return await jetstream_runner(nc, agent).run(request_for("t1", arrows, **more), silent)


async def test_a_worker_killed_between_any_two_steps_is_replaced(nats_server, nc, js, tmp_path):
    agent = EffectFile(tmp_path / "effects")
    for at in "bcd":
        async with worker_that_hangs(nats_server.url, tmp_path / "effects", at, CHAIN):
            pass
    outcome = await finish(nc, agent, CHAIN)
    assert agent.effects() == ["a", "b", "c", "d"]
    assert outcome.resumed_steps == 3
    assert [part.text for part in outcome.outputs] == ["d(c(b(a())))"]
    assert [step.node for step in outcome.steps] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("arrows", "hangs", "done_before"), [(DIAMOND, "c", ["a", "b"]), (BRANCHES_FIRST, "b", ["a"])])
async def test_a_branch_that_was_done_is_not_done_again(arrows, hangs, done_before, nats_server, nc, js, tmp_path):
    agent = EffectFile(tmp_path / "effects")
    async with worker_that_hangs(nats_server.url, tmp_path / "effects", hangs, arrows):
        await stored(js, "aos_checkpoint.*.*.*.w.>", 1)
    assert agent.effects() == done_before
    outcome = await finish(nc, agent, arrows)
    assert sorted(agent.effects()) == sorted({node for arrow in arrows for node in arrow.split(">")} - {"task"})
    assert outcome.resumed_steps == len(done_before)
    assert "," in (outcome.outputs[0].text or "")


@pytest.mark.parametrize(("arrows", "last"), [(CHAIN, "b"), (DIAMOND, "c")])
async def test_a_worker_that_stops_keeps_the_steps_that_it_had_asked_for(arrows, last, nats_server, nc, js, tmp_path):
    stopping = Stopping()

    class Stopped(EffectFile):
        async def invoke(self, card, invocation, timeout_s):
            if card.id == last:
                stopping.wish()
            return await super().invoke(card, invocation, timeout_s)

    runner = jetstream_runner(nc, Stopped(tmp_path / "effects"), stopping=stopping)
    with pytest.raises(WorkerStops):
        await runner.run(request_for("t1", arrows), silent)
    agent = EffectFile(tmp_path / "effects")
    done_before = agent.effects()
    assert last in done_before
    assert "d" not in done_before
    outcome = await finish(nc, agent, arrows)
    assert sorted(agent.effects()) == ["a", "b", "c", "d"]
    assert outcome.resumed_steps == len(done_before)


async def test_worker_and_server_killed_together_lose_nothing(nats_server, nc, js, tmp_path):
    agent = EffectFile(tmp_path / "effects")
    async with worker_that_hangs(nats_server.url, tmp_path / "effects", "c", CHAIN):
        nats_server.kill()
    await nats_server.start()
    outcome = await finish(nc, agent, CHAIN)
    assert agent.effects() == ["a", "b", "c", "d"]
    assert outcome.resumed_steps == 2


@pytest.mark.parametrize("arrows", [CHAIN, DIAMOND])
async def test_a_server_that_restarts_under_a_run_is_waited_for(arrows, nats_server, nc, js, tmp_path):
    class Unsettling(EffectFile):
        async def invoke(self, card, invocation, timeout_s):
            reply = await super().invoke(card, invocation, timeout_s)
            if card.id == "b":
                nats_server.kill()
                await nats_server.start()
            return reply

    agent = Unsettling(tmp_path / "effects")
    outcome = await finish(nc, agent, arrows)
    assert sorted(agent.effects()) == ["a", "b", "c", "d"]
    assert outcome.resumed_steps == 0


async def test_a_server_that_stays_away_ends_the_run_and_a_later_one_goes_on(nats_server, nc, js, tmp_path):
    class Outage(EffectFile):
        async def invoke(self, card, invocation, timeout_s):
            if card.id == "b":
                nats_server.kill()
            return await super().invoke(card, invocation, timeout_s)

    unlucky = jetstream_runner(nc, Outage(tmp_path / "effects"), patience_s=0.1)
    with pytest.raises(BusUnavailable) as caught:
        await unlucky.run(request_for("t1", CHAIN), silent)
    assert caught.value.retryable
    await nats_server.start()
    agent = EffectFile(tmp_path / "effects")
    outcome = await finish(nc, agent, CHAIN)
    # The client may still deliver what it had buffered, once the server is back: then not even b is asked again.
    assert agent.effects() in (["a", "b", "c", "d"], ["a", "b", "b", "c", "d"])
    assert outcome.resumed_steps == (1 if agent.effects().count("b") == 2 else 2)


async def test_an_approval_may_be_taken_up_by_another_worker(nats_server, nc, js, tmp_path):
    agent = EffectFile(tmp_path / "effects")
    waiting = await finish(nc, agent, DIAMOND, approvals=("c",))
    assert waiting.waiting_for == ("c",)
    assert agent.effects() == ["a", "b"]
    approved = {"approvals": ("c",), "approved": frozenset({"c"})}
    outcome = await finish(nc, agent, DIAMOND, **approved)
    assert agent.effects() == ["a", "b", "c", "d"]
    assert outcome.resumed_steps == 2


async def test_a_finished_task_leaves_nothing_behind(nc, js, tmp_path):
    agent = EffectFile(tmp_path / "effects")
    runner = jetstream_runner(nc, agent)
    await runner.run(request_for("t1", DIAMOND), silent)
    assert (await js.stream_info(subjects.STREAM_CHECKPOINTS)).state.messages > 0
    await runner.forget("default", "t1")
    assert (await js.stream_info(subjects.STREAM_CHECKPOINTS)).state.messages == 0


@pytest.mark.parametrize(("arrows", "messages"), [(CHAIN, 4), (DIAMOND, 5), (BRANCHES_FIRST, 5), (["task>a"], 0)])
async def test_a_step_costs_no_more_messages_than_a_resume_needs(arrows, messages, nc, js, tmp_path):
    await finish(nc, EffectFile(tmp_path / "effects"), arrows)
    assert (await js.stream_info(subjects.STREAM_CHECKPOINTS)).state.last_seq == messages
