"""Every thread of a Python agent's child answers, or its place stays taken: no step waits behind one that is gone."""

import asyncio
from pathlib import Path

import pytest
from test_python_agent import Maker, ask, blobs, card_for, make, say  # noqa: F401 - fixtures

from agents.errors import StepTimedOut

PATIENCE_S = 60.0


@pytest.mark.parametrize(
    ("goal", "code", "words"), [("give_up", "failed", "Cancelled"), ("deep", "bad_output", "JSON")]
)
async def test_whatever_ends_an_agent_is_its_answer_and_the_thread_lives_on(
    make: Maker,  # noqa: F811
    goal: str,
    code: str,
    words: str,
) -> None:
    connector, single = make(), card_for(concurrency=1)
    pid = await say(connector, "pid", PATIENCE_S, single)
    reply = await connector.invoke(single, ask(goal), PATIENCE_S)
    assert reply.error is not None
    assert (reply.error.code, words in reply.error.message) == (code, True)
    assert await say(connector, "pid", PATIENCE_S, single) == pid


async def test_a_cancelled_step_keeps_its_place_while_its_thread_works(
    make: Maker,  # noqa: F811
    tmp_path: Path,
) -> None:
    connector, pair = make(), card_for(concurrency=2)
    pid = await say(connector, "pid", PATIENCE_S, pair)
    paths = [tmp_path / "neighbour", tmp_path / "cancelled"]
    neighbour, step = (asyncio.create_task(say(connector, f"until {path}", PATIENCE_S, pair)) for path in paths)
    while connector._seats["default", "peer"].child._slots._value:
        await asyncio.sleep(0)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    with pytest.raises(StepTimedOut, match="all its threads are busy"):
        await say(connector, "pid", 0.1, pair)
    paths[1].touch()
    assert await say(connector, "pid", PATIENCE_S, pair) == pid
    paths[0].touch()
    assert await neighbour == "at last"
