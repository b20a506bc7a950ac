import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from schemas.percept import EncoderVersion
from tensor_layer.encoding.cache import CachedTextEncoder
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import Vector


class CountingEncoder:
    """Remembers what it was asked, and answers when it is let."""

    version = EncoderVersion(name="counting", version="1", dimension=2)

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def encode(self, texts: Sequence[str]) -> Vector:
        self.asked.append(list(texts))
        await self.open.wait()
        if "poison" in texts:
            raise EncoderUnavailable("no weights")
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


async def test_a_text_is_encoded_once():
    inner = CountingEncoder()
    encoder = CachedTextEncoder(inner)

    first = await encoder.encode(["a", "bb", "a"])
    again = await encoder.encode(["bb"])

    assert first.tolist() == [[1, 1], [2, 1], [1, 1]]
    assert again.tolist() == [[2, 1]]
    assert inner.asked == [["a", "bb"]]


async def test_a_warm_text_never_leaves_the_event_loop():
    encoder = CachedTextEncoder(CountingEncoder())
    await encoder.encode(["warm"])

    coroutine = encoder.encode(["warm"])

    with pytest.raises(StopIteration) as ended:  # it ends without ever having waited for anything
        coroutine.send(None)
    assert ended.value.value.tolist() == [[4, 1]]


async def test_a_text_under_way_is_waited_for_and_not_asked_again():
    inner = CountingEncoder()
    inner.open.clear()
    encoder = CachedTextEncoder(inner)

    callers = [asyncio.create_task(encoder.encode(["same", f"own {number}"])) for number in range(3)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.sleep(0)
    inner.open.set()
    done = await asyncio.gather(*callers, return_exceptions=True)

    assert isinstance(done[0], asyncio.CancelledError)
    assert [vectors.tolist() for vectors in done[1:]] == [[[4, 1], [5, 1]]] * 2
    assert sorted(text for texts in inner.asked for text in texts) == ["own 0", "own 1", "own 2", "same"]


async def test_a_failure_is_not_remembered():
    inner = CountingEncoder()
    encoder = CachedTextEncoder(inner)
    for _ in range(2):
        with pytest.raises(EncoderUnavailable):
            await encoder.encode(["poison"])

    assert inner.asked == [["poison"], ["poison"]]


async def test_the_least_recently_used_text_goes_first():
    inner = CountingEncoder()
    encoder = CachedTextEncoder(inner, entries=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await encoder.encode([text])

    assert inner.asked == [["a"], ["b"], ["c"], ["b"]]


async def test_nobody_can_change_a_kept_vector():
    encoder = CachedTextEncoder(CountingEncoder())
    vectors = await encoder.encode(["a"])

    with pytest.raises(ValueError, match="read-only"):
        vectors[0, 0] = 7


async def test_no_texts_are_no_rows():
    assert (await CachedTextEncoder(CountingEncoder()).encode([])).shape == (0, 2)
