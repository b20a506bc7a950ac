"""Server-sent events, however they are cut into lines."""

from collections.abc import AsyncIterator

from gateway.cli.door.event_stream import ServerEvent, parse


async def read(text: str) -> list[ServerEvent]:
    async def lines() -> AsyncIterator[str]:
        for line in text.split("\n"):
            yield line

    return [event async for event in parse(lines())]


async def test_an_event_has_an_id_a_name_and_data():
    assert await read("id: 7\nevent: started\ndata: {}\n\n") == [ServerEvent("7", "started", "{}")]


async def test_comments_keep_alive_and_are_no_events():
    assert await read(": still here\n\ndata: x\n\n") == [ServerEvent("", "message", "x")]


async def test_data_may_span_lines_and_the_id_stays_until_another_comes():
    events = await read("id: 1\ndata: a\ndata: b\n\ndata:c\n\n")
    assert events == [ServerEvent("1", "message", "a\nb"), ServerEvent("1", "message", "c")]


async def test_a_torn_event_is_dropped():
    assert await read("id: 1\ndata: half") == []
