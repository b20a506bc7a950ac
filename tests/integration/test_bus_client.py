"""The client of the bus, on a real one: replies find who asked, and errors are those of the library."""

import asyncio

import nats.errors
import pytest
from nats.js.errors import APIError, NoStreamResponseError

from schemas import subjects

WITHIN_S = 30.0


async def test_many_at_once_each_get_their_own_reply(nc):
    async def answer(message):
        await message.respond(message.data[::-1])

    await nc.subscribe("reversed", cb=answer)
    asked = [f"request {number}".encode() for number in range(200)]
    replies = await asyncio.gather(*(nc.request("reversed", one, timeout=WITHIN_S) for one in asked))
    assert [reply.data for reply in replies] == [one[::-1] for one in asked]


async def test_headers_travel_both_ways(nc):
    async def answer(message):
        await nc.publish(message.reply, b"seen", headers={"Seen": message.headers["Word"]})

    await nc.subscribe("headed", cb=answer)
    reply = await nc.request("headed", b"", timeout=WITHIN_S, headers={"Word": "a b"})
    assert (reply.data, reply.headers["Seen"]) == (b"seen", "a b")


async def test_where_nobody_listens_the_answer_says_so(nc):
    with pytest.raises(nats.errors.NoRespondersError):
        await nc.request("nobody", b"?", timeout=WITHIN_S)


async def test_silence_ends_with_the_timeout_and_a_late_reply_is_dropped(nc):
    asked = asyncio.Queue()
    await nc.subscribe("slow", cb=asked.put)
    with pytest.raises(nats.errors.TimeoutError):
        await nc.request("slow", b"1", timeout=0.05)
    again = asyncio.create_task(nc.request("slow", b"2", timeout=WITHIN_S))
    for answer in (b"late", b"in time"):
        message = await asyncio.wait_for(asked.get(), WITHIN_S)
        await message.respond(answer)
    assert (await again).data == b"in time"


async def test_one_who_gives_up_leaves_the_others_alone(nc):
    asked = asyncio.Queue()
    await nc.subscribe("slow", cb=asked.put)
    gives_up = asyncio.create_task(nc.request("slow", b"1", timeout=WITHIN_S))
    stays = asyncio.create_task(nc.request("slow", b"2", timeout=WITHIN_S))
    messages = [await asyncio.wait_for(asked.get(), WITHIN_S) for _ in range(2)]
    gives_up.cancel()
    for message in messages:
        await message.respond(message.data)
    assert (await stays).data == b"2"
    with pytest.raises(asyncio.CancelledError):
        await gives_up


async def test_what_is_stored_is_acknowledged_with_its_place(js):
    subject, headers = subjects.experience("default"), {subjects.HEADER_MESSAGE_ID: "once"}
    first, second = [await js.publish(subject, b"{}", headers=headers) for _ in range(2)]
    assert (first.stream, first.duplicate) == (subjects.STREAM_EXPERIENCE, None)
    assert (second.seq, second.duplicate) == (first.seq, True)


async def test_a_refusal_and_a_subject_without_a_stream_are_told_apart(js):
    bucket = await js.key_value(subjects.BUCKET_TASKS)
    await bucket.create("default.t1", b"{}")
    with pytest.raises(APIError, match="wrong last sequence"):
        await js.publish(
            f"$KV.{subjects.BUCKET_TASKS}.default.t1", b"{}", headers={"Nats-Expected-Last-Subject-Sequence": "0"}
        )
    with pytest.raises(NoStreamResponseError):
        await js.publish("aos.nowhere", b"{}")


async def test_who_has_flushed_a_subscription_hears_what_others_publish_next(nc, monkeypatch):
    """The server must have read the subscription when it answers the ping: in the order of writing."""
    written = bytearray()
    write, writelines = nc._transport.write, nc._transport.writelines

    def wrote(payload):
        written.extend(payload)
        write(payload)

    def wrote_lines(payload):
        written.extend(b"".join(payload))
        writelines(payload)

    monkeypatch.setattr(nc._transport, "write", wrote)
    monkeypatch.setattr(nc._transport, "writelines", wrote_lines)
    await nc.subscribe("heard.at.once")
    await nc.flush()
    assert written.index(b"SUB heard.at.once") < written.index(b"PING")
