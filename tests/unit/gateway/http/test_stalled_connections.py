"""When a connection counts as stalled: with times that are set, and a transport that keeps what is written."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.http.connections import BoundedConnection

PATIENCE_S = 60.0


class Kept(asyncio.Transport):
    """Keeps what is written; ``unsent`` says how much of it the client has not taken."""

    def __init__(self):
        super().__init__()
        self.written, self.unsent, self.ended = b"", 0, ""

    def write(self, data):
        self.written += data

    def get_write_buffer_size(self):
        return self.unsent

    def is_closing(self):
        return bool(self.ended)

    def close(self):
        self.ended = "closed"

    def abort(self):
        self.ended = "aborted"

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


async def answers_nothing(scope, receive, send):
    """Reads the body and then thinks for ever."""
    while (await receive()).get("more_body"):
        pass
    await asyncio.Event().wait()


def connection():
    config = uvicorn.Config(answers_nothing, http=BoundedConnection, ws="none", lifespan="off", log_config=None)
    made, transport = BoundedConnection(config, ServerState(), {}), Kept()
    made.connection_made(transport)
    return made, transport, asyncio.get_running_loop().time()


async def test_who_sends_slowly_is_not_stalled():
    made, transport, now = connection()
    made.data_received(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
    await asyncio.sleep(0)
    made.drop_if_stalled(now + PATIENCE_S - 1, PATIENCE_S)
    assert not transport.ended
    made.drop_if_stalled(now + PATIENCE_S + 1, PATIENCE_S)
    assert (transport.ended, transport.written[:12]) == ("closed", b"HTTP/1.1 408")


class Hours:
    """The event loop, with a clock that the test puts forward."""

    def __init__(self):
        self._loop, self.ahead_s = asyncio.get_running_loop(), 0.0

    def time(self):
        return self._loop.time() + self.ahead_s

    def __getattr__(self, name):
        return getattr(self._loop, name)


async def sending(chunk, every_s, times):
    """A connection after so many chunks of an upload, looked at after each."""
    made, transport, _ = connection()
    made.loop = Hours()
    made.data_received(b"POST / HTTP/1.1\r\nContent-Length: 2147483648\r\n\r\n")
    for _ in range(times):
        made.loop.ahead_s += every_s
        made.data_received(chunk)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        made.drop_if_stalled(made.loop.time(), PATIENCE_S)
        if transport.ended:
            break
    return transport


@pytest.mark.parametrize(("chunk", "every_s"), [(b"a" * 1460, 0.4), (b"a" * 65536, 50.0)])
async def test_a_large_upload_over_a_phone_line_goes_on_for_hours(chunk, every_s):
    assert not (await sending(chunk, every_s, 2_000)).ended


@pytest.mark.parametrize(("chunk", "every_s"), [(b"a", 59.0), (b"a" * 100, 1.0), (b"a" * 16, 15.0)])
async def test_an_upload_of_a_byte_a_minute_is_ended(chunk, every_s):
    transport = await sending(chunk, every_s, 200)
    assert (transport.ended, transport.written[:12]) == ("closed", b"HTTP/1.1 408")


async def test_a_head_of_a_byte_a_minute_is_ended():
    made, transport, _ = connection()
    made.loop = Hours()
    made.data_received(b"GET / HTTP/1.1\r\nX: ")
    for _ in range(200):
        made.loop.ahead_s += 30.0
        made.data_received(b"a")
        made.drop_if_stalled(made.loop.time(), PATIENCE_S)
    assert (transport.ended, transport.written[:12]) == ("closed", b"HTTP/1.1 408")


async def test_a_request_after_a_long_rest_has_all_the_time():
    made, transport, _ = connection()
    made.loop = Hours()
    made.loop.ahead_s += 0.9 * PATIENCE_S
    made.data_received(b"GET / HTTP/1.1\r\n")
    made.drop_if_stalled(made.loop.time() + 0.9 * PATIENCE_S, PATIENCE_S)
    assert not transport.ended


async def test_who_has_sent_all_may_wait_for_ever():
    made, transport, now = connection()
    made.data_received(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
    await asyncio.sleep(0)
    made.drop_if_stalled(now + 100 * PATIENCE_S, PATIENCE_S)
    assert not transport.ended


async def test_what_the_door_has_not_read_is_not_the_clients_fault():
    made, transport, now = connection()
    made.data_received(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
    made.drop_if_stalled(now + 2 * PATIENCE_S, PATIENCE_S)
    assert not transport.ended


async def test_who_takes_a_little_now_and_then_is_not_stalled():
    made, transport, now = connection()
    made.data_received(b"GET / HTTP/1.1\r\n\r\n")
    for minute in range(1, 10):
        transport.unsent = 100_000 - minute
        made.drop_if_stalled(now + minute * PATIENCE_S, PATIENCE_S)
    assert not transport.ended
    made.drop_if_stalled(now + 10 * PATIENCE_S, PATIENCE_S)
    assert (transport.ended, transport.written) == ("aborted", b"")


async def test_a_second_head_waits_behind_an_answer_that_is_due():
    made, transport, now = connection()
    made.data_received(b"GET / HTTP/1.1\r\n\r\nGET /second")
    await asyncio.sleep(0)
    made.drop_if_stalled(now + 2 * PATIENCE_S, PATIENCE_S)
    assert (transport.ended, transport.written) == ("", b"")
