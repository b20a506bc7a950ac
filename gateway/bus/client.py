"""Every role's client of the bus: nats-py's, with less work for requests and stored messages. Made by `connection`.

A task makes half a dozen requests, so what one of them costs counts. The library draws two random ids for each, waits
in a wrapper and reads every acknowledgement into a model by reflection; here an id is a number, the wait is one future
with one timer, and of an acknowledgement its fields are taken. What travels and what is raised stays the same.
"""

import asyncio
import itertools
from typing import Any

import nats.errors
import orjson
from nats.aio.client import PING_PROTO, Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import Header, PubAck
from nats.js.client import KV_PRE_TEMPLATE
from nats.js.errors import APIError, NoStreamResponseError
from nats.js.kv import KeyValue

_NO_RESPONDERS = "503"


class BusClient(Client):
    """Any number of requests at once share one inbox; a reply for which nobody waits any more is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._replies_to = ""
        self._numbers = itertools.count()
        self._asked: dict[str, asyncio.Future[Msg]] = {}

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109 - the signature is the library's
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """The first reply, as the library's. Raises NoRespondersError, TimeoutError, and what publishing raises."""
        if old_style:
            return await super().request(subject, payload, timeout, old_style, headers)
        if not self._replies_to:
            await self._listen()
        number = str(next(self._numbers))
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Msg] = loop.create_future()
        self._asked[number] = reply
        patience = loop.call_later(timeout, _give_up, reply)
        try:
            await self.publish(subject, payload, f"{self._replies_to}{number}", headers)
            message = await reply
        finally:
            patience.cancel()
            del self._asked[number]
        if message.headers and message.headers.get(Header.STATUS) == _NO_RESPONDERS:
            raise nats.errors.NoRespondersError
        return message

    def jetstream(self, **options: Any) -> JetStreamContext:  # noqa: ANN401 - the signature is the library's
        """The streams, with as little work for each acknowledgement."""
        return Streams(self, **options)

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        """Behind what waits to be written, so that ``flush`` means what it says: the library's overtakes it."""
        self._pongs.append(asyncio.get_running_loop().create_future() if future is None else future)
        await self._send_command(PING_PROTO)
        await self._flush_pending()

    async def _listen(self) -> None:
        inbox = f"{self.new_inbox()}."
        await self.subscribe(f"{inbox}*", cb=self._hear_reply)
        self._replies_to = self._replies_to or inbox

    async def _hear_reply(self, message: Msg) -> None:
        reply = self._asked.get(message.subject.rpartition(".")[2])
        if reply is not None and not reply.done():
            reply.set_result(message)


class Streams(JetStreamContext):
    """As the library's, but for what an acknowledgement costs, and for who is asked for a key's value."""

    async def key_value(self, bucket: str) -> KeyValue:
        """The bucket, opened; what was written by anybody is what the next one reads.

        Any copy of a stream answers a direct get, also one that is behind: a task just accepted would not be found, an
        approval not be seen. So where there are several the leader is asked, as it is for writes.
        """
        opened = await super().key_value(bucket)
        config = (await opened.status()).stream_info.config
        if (config.num_replicas or 1) == 1:
            return opened
        return KeyValue(bucket, str(config.name), KV_PRE_TEMPLATE.format(bucket=bucket), self, direct=False)

    async def publish(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is the library's
        stream: str | None = None,
        headers: dict[str, Any] | None = None,
        msg_ttl: float | None = None,
    ) -> PubAck:
        """Store the message; returns once it is. Raises NoStreamResponseError, APIError, and what `request` raises."""
        if stream is not None or msg_ttl is not None:
            return await super().publish(subject, payload, timeout, stream, headers, msg_ttl)
        try:
            message = await self._nc.request(
                subject, payload, timeout=self._timeout if timeout is None else timeout, headers=headers
            )
        except nats.errors.NoRespondersError:
            raise NoStreamResponseError from None
        answer = orjson.loads(message.data)
        if "error" in answer:
            raise APIError.from_error(answer["error"])
        return PubAck(answer["stream"], answer["seq"], answer.get("domain"), answer.get("duplicate"))


def _give_up(reply: asyncio.Future[Msg]) -> None:
    if not reply.done():
        reply.set_exception(nats.errors.TimeoutError())
