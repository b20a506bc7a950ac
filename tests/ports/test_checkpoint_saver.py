"""What LangGraph's suite does not ask of a saver: large states, many workers, outages, a full store."""

import asyncio
from dataclasses import dataclass
from uuid import uuid4

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.types import INTERRUPT, RESUME

from agents.errors import BusUnavailable
from agents.running.checkpoints import JetStreamSaver
from schemas import subjects

BIG = b"\x00\x01" * 1_600_000
ODD_THREADS = ["", "a.b", "*", ">", "two words", "ünï/cødé", "=", "x" * 300]


def place(thread_id: str, checkpoint_id: str | None = None, namespace: str = "") -> dict:
    chosen = {"checkpoint_id": checkpoint_id} if checkpoint_id else {}
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace, **chosen}}


async def put(saver, thread_id, *, parent=None, step=0, **values):
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = values
    checkpoint["channel_versions"] = dict.fromkeys(values, step + 1)
    config = parent or place(thread_id)
    return await saver.aput(config, checkpoint, {"source": "loop", "step": step}, checkpoint["channel_versions"])


async def messages_in_stream(js) -> int:
    return (await js.stream_info(subjects.STREAM_CHECKPOINTS)).state.messages


@pytest.mark.parametrize("thread_id", ODD_THREADS)
async def test_any_text_is_a_thread(thread_id, nc, js):
    saver = JetStreamSaver(nc)
    await put(saver, "bystander", a=2)
    await put(saver, thread_id, a=1)
    found = await saver.aget_tuple(place(thread_id))
    assert found.config["configurable"]["thread_id"] == thread_id
    assert found.checkpoint["channel_values"] == {"a": 1}
    await saver.adelete_thread(thread_id)
    assert await saver.aget_tuple(place(thread_id)) is None
    assert await saver.aget_tuple(place("bystander")) is not None


async def test_a_state_larger_than_the_bus_carries_comes_back_whole(nc, js):
    saver = JetStreamSaver(nc)
    huge = BIG * 4
    assert len(huge) > 3 * nc.max_payload
    stored = await put(saver, "t", big=huge, small=1)
    await saver.aput_writes(stored, [("big", huge[::-1])], "task")
    found = await JetStreamSaver(nc).aget_tuple(place("t"))
    assert found.checkpoint["channel_values"] == {"big": huge, "small": 1}
    assert found.pending_writes == [("task", "big", huge[::-1])]


async def test_large_states_are_copied_pruned_and_deleted_without_a_trace(nc, js):
    saver = JetStreamSaver(nc)
    first = await put(saver, "t", step=0, big=BIG)
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"big": BIG, "new": 2}
    checkpoint["channel_versions"] = {"big": 1, "new": 2}
    await saver.aput(first, checkpoint, {"source": "loop", "step": 1}, {"new": 2})
    await saver.acopy_thread("t", "copy")
    await saver.aprune(["copy"])
    kept = [found async for found in saver.alist(place("copy"))]
    assert [found.checkpoint["channel_values"] for found in kept] == [{"big": BIG, "new": 2}]
    await saver.adelete_thread("t")
    await saver.adelete_thread("copy")
    assert await messages_in_stream(js) == 0


async def test_a_deleted_run_leaves_its_values_to_the_checkpoints_after_it(nc, js):
    saver = JetStreamSaver(nc)
    old = empty_checkpoint() | {"channel_values": {"a": "old"}, "channel_versions": {"a": 1}}
    first = await saver.aput(place("t"), old, {"source": "loop", "step": 0, "run_id": "r1"}, {"a": 1})
    new = empty_checkpoint() | {"channel_values": {"a": "old", "b": "new"}, "channel_versions": {"a": 1, "b": 1}}
    await saver.aput(first, new, {"source": "loop", "step": 1, "run_id": "r2"}, {"b": 1})
    await saver.adelete_for_runs(["r1"])
    (left,) = [found async for found in saver.alist(None)]
    assert left.checkpoint["channel_values"] == {"a": "old", "b": "new"}


async def test_two_branches_of_a_thread_do_not_see_each_others_values(nc, js):
    saver = JetStreamSaver(nc)
    root = await put(saver, "t", a=0)
    one, two = [await put(saver, "t", parent=root, step=1, a=value) for value in ("one", "two")]
    assert (await saver.aget_tuple(one)).checkpoint["channel_values"] == {"a": "one"}
    assert (await saver.aget_tuple(two)).checkpoint["channel_values"] == {"a": "two"}


async def test_a_stored_result_stays_when_another_worker_stores_its_own(nc, js):
    one, two = JetStreamSaver(nc), JetStreamSaver(nc)
    stored = await put(one, "t", a=1)
    await one.aput_writes(stored, [("a", "first")], "task")
    await two.aput_writes(stored, [("a", "second"), ("b", "more")], "task")
    found = await one.aget_tuple(stored)
    assert found.pending_writes == [("task", "a", "first"), ("task", "b", "more")]


async def test_special_writes_change(nc, js):
    saver = JetStreamSaver(nc)
    stored = await put(saver, "t", a=1)
    await saver.aput_writes(stored, [(INTERRUPT, "may I?")], "task")
    await saver.aput_writes(stored, [(RESUME, ["yes"])], "task")
    await saver.aput_writes(stored, [(RESUME, ["no"])], "task")
    writes = {channel: value for _, channel, value in (await saver.aget_tuple(stored)).pending_writes}
    assert writes == {INTERRUPT: "may I?", RESUME: ["no"]}


async def test_pending_writes_come_in_the_order_of_their_paths(nc, js):
    saver = JetStreamSaver(nc)
    stored = await put(saver, "t", a=1)
    for path, task in (("~c", "1"), ("~a", "3"), ("~b", "2")):
        await saver.aput_writes(stored, [("x", path), ("y", path)], task, path)
    found = await saver.aget_tuple(stored)
    assert [(c, v) for _, c, v in found.pending_writes] == [(c, p) for p in ("~a", "~b", "~c") for c in "xy"]


@dataclass
class Stranger:
    name: str


async def test_no_class_is_rebuilt_from_what_lies_on_the_bus(nc, js):
    saver = JetStreamSaver(nc)
    await put(saver, "t", a=Stranger("x"))
    found = await saver.aget_tuple(place("t"))
    assert not isinstance(found.checkpoint["channel_values"]["a"], Stranger)


async def test_long_threads_are_read_page_by_page(nc, js):
    saver = JetStreamSaver(nc)
    config = place("t")
    for step in range(300):
        config = await put(saver, "t", parent=config, step=step, a=step)
    found = await saver.aget_tuple(place("t"))
    assert found.checkpoint["channel_values"] == {"a": 299}
    assert len([found async for found in saver.alist(place("t"), limit=280)]) == 280


async def test_a_put_waits_for_a_server_that_restarts(nats_server, nc, js):
    saver = JetStreamSaver(nc)
    first = await put(saver, "t", a="before")
    nats_server.kill()
    storing = asyncio.create_task(put(saver, "t", parent=first, step=1, a="after"))
    await asyncio.sleep(0)
    await nats_server.start()
    await storing
    found = await saver.aget_tuple(place("t"))
    assert found.checkpoint["channel_values"] == {"a": "after"}
    assert found.parent_config["configurable"]["checkpoint_id"] == first["configurable"]["checkpoint_id"]


async def test_a_bus_that_stays_away_is_an_error_that_asks_to_try_again(nats_server, nc, js):
    saver = JetStreamSaver(nc, patience_s=0.1)
    nats_server.kill()
    with pytest.raises(BusUnavailable) as caught:
        await put(saver, "t", a=1)
    assert caught.value.retryable


async def test_a_full_store_refuses_at_once_and_recovers(nc, js):
    config = (await js.stream_info(subjects.STREAM_CHECKPOINTS)).config
    config.max_bytes = 4 * 1024 * 1024
    await js.update_stream(config)
    saver = JetStreamSaver(nc)
    await put(saver, "t1", big=BIG)
    async with asyncio.timeout(12):
        with pytest.raises(BusUnavailable, match="maximum bytes"):
            await put(saver, "t2", big=BIG)
    await saver.adelete_thread("t1")
    await saver.adelete_thread("t2")
    await put(saver, "t3", big=BIG)
    assert (await saver.aget_tuple(place("t3"))).checkpoint["channel_values"] == {"big": BIG}


async def test_workers_in_great_numbers_share_the_stream(nc, js):
    async def worker(number: int) -> None:
        saver, thread_id, config = JetStreamSaver(nc), uuid4().hex, None
        for step in range(5):
            config = await put(saver, thread_id, parent=config, step=step, a=f"{number}.{step}")
            await saver.aput_writes(config, [("a", step)], f"task{step}")
        found = await saver.aget_tuple(place(thread_id))
        assert found.checkpoint["channel_values"] == {"a": f"{number}.4"}
        assert found.pending_writes == [("task4", "a", 4)]

    await asyncio.gather(*(worker(number) for number in range(40)))
