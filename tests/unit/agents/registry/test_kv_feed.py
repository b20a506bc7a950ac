"""How a feed tells a message that is late from one that is lost."""

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace

import nats.errors

from agents.registry.kv_feed import follow


def message(seq: int, pending: int = 0) -> SimpleNamespace:
    sequence = SimpleNamespace(consumer=seq, stream=10 + seq)
    metadata = SimpleNamespace(sequence=sequence, num_pending=pending, timestamp=datetime.now(UTC))
    return SimpleNamespace(subject=f"$KV.bucket.key-{seq}", data=b"value", headers=None, metadata=metadata)


class Script:
    """JetStream and its subscriptions: each plays its part, message by message; None is a second without any.

    A part begins with how much lies there, then come messages and silences; ``sent`` is what the server says it sent.
    """

    def __init__(self, *parts: tuple[int, int, Sequence[SimpleNamespace | None]]) -> None:
        self.parts = list(parts)
        self.subscribed = 0
        self.pending_msgs = 0

    async def subscribe(self, _subject: str, **_: object) -> "Script":
        self.there, self.sent, left = self.parts[self.subscribed]
        self.left = list(left)
        self.subscribed += 1
        self.asked = 0
        return self

    async def consumer_info(self) -> SimpleNamespace:
        self.asked += 1
        first = self.asked == 1
        delivered = SimpleNamespace(consumer_seq=0 if first else self.sent)
        return SimpleNamespace(delivered=delivered, num_pending=self.there if first else 0)

    async def next_msg(self, timeout: float) -> SimpleNamespace:  # noqa: ASYNC109 - as nats-py has it
        if not self.left:
            raise nats.errors.ConnectionClosedError
        found = self.left.pop(0)
        if found is None:
            raise nats.errors.TimeoutError
        return found

    async def unsubscribe(self) -> None:
        pass


async def told(script: Script, count: int) -> list[str]:
    found: list[str] = []
    async for entry in follow(script, "bucket"):
        found.append(entry.key)
        if len(found) == count:
            break
    return found


async def test_what_the_servers_answer_overtook_is_waited_for():
    late = Script((1, 2, [message(1), None, message(2)]))
    assert await told(late, 2) == ["key-1", "key-2"]
    assert late.subscribed == 1


async def test_a_listing_is_not_over_while_some_of_it_is_on_its_way():
    late = Script((2, 2, [message(1, pending=1), None, message(2)]))
    assert await told(late, 2) == ["key-1", "key-2"]
    assert late.subscribed == 1


async def test_what_does_not_come_in_another_second_is_lost_and_all_is_listed_again():
    lost = Script((1, 2, [message(1), None, None]), (2, 2, [message(1, pending=1), message(2)]))
    assert await told(lost, 2) == ["key-1", "key-2"]
    assert lost.subscribed == 2
