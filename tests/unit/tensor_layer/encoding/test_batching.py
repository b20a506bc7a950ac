import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from schemas.parts import Modality
from schemas.percept import EncoderVersion
from tensor_layer.encoding.batching import BATCH_TOKENS, BatchingEncoder, DeviceBatcher
from tensor_layer.errors import DeviceFull, EncoderUnavailable
from tensor_layer.ports import EncoderCard, Vector


class CountingModel:
    """Marks a text's length in its vector, remembers every batch, and waits at a gate."""

    card = EncoderCard(
        EncoderVersion(name="counting", version="1", dimension=2), Modality.TEXT, "float32", "cpu", "Apache-2.0"
    )

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()

    def tokens_of(self, content: str) -> int:
        return len(content)

    def encode(self, texts: Sequence[str]) -> Vector:
        self.gate.wait(10)
        self.batches.append(list(texts))
        self.threads.add(threading.get_ident())
        if "poison" in texts:
            raise EncoderUnavailable("no weights")
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


async def test_texts_asked_for_together_are_one_batch_in_one_other_thread():
    model = CountingModel()
    encoder = BatchingEncoder(model)

    rows = await asyncio.gather(*(encoder.encode(["x" * size]) for size in range(1, 21)))

    assert [int(row[0, 0]) for row in rows] == list(range(1, 21))
    assert len(model.batches) == 1
    assert model.threads != {threading.get_ident()}
    encoder.close()


async def test_what_arrives_while_the_thread_computes_is_the_next_batch():
    model = CountingModel()
    model.gate.clear()
    encoder = BatchingEncoder(model)
    first = asyncio.create_task(encoder.encode(["first"]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    later = [asyncio.create_task(encoder.encode([f"later {number}"])) for number in range(5)]
    await asyncio.sleep(0)

    model.gate.set()
    await asyncio.gather(first, *later)

    assert [len(batch) for batch in model.batches] == [1, 5]
    encoder.close()


async def test_long_texts_close_a_batch_early():
    model = CountingModel()
    encoder = BatchingEncoder(model)

    await encoder.encode(["x" * BATCH_TOKENS] * 3)

    assert [len(batch) for batch in model.batches] == [1, 1, 1]
    encoder.close()


async def test_more_texts_than_the_queue_holds_are_all_encoded():
    encoder = BatchingEncoder(CountingModel(), DeviceBatcher(queue_tokens=60))

    vectors = await encoder.encode(["x" * size for size in range(1, 50)])

    assert vectors[:, 0].tolist() == list(range(1, 50))
    encoder.close()


async def test_a_cancelled_request_is_never_computed():
    model = CountingModel()
    model.gate.clear()
    encoder = BatchingEncoder(model)
    first = asyncio.create_task(encoder.encode(["first"]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    given_up = asyncio.create_task(encoder.encode(["given up"]))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)

    model.gate.set()
    await first
    await encoder.encode(["last"])

    assert model.batches == [["first"], ["last"]]
    encoder.close()


async def test_a_failing_model_fails_its_batch_and_not_the_next():
    encoder = BatchingEncoder(CountingModel())

    with pytest.raises(EncoderUnavailable, match="no weights"):
        await encoder.encode(["poison"])

    assert (await encoder.encode(["fine"])).tolist() == [[4, 1]]
    encoder.close()


async def test_a_closed_encoder_refuses_what_waits_and_what_comes():
    model = CountingModel()
    model.gate.clear()
    encoder = BatchingEncoder(model)
    first = asyncio.create_task(encoder.encode(["first"]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waits = asyncio.create_task(encoder.encode(["waits"]))
    await asyncio.sleep(0)

    encoder.close()
    model.gate.set()

    assert (await first).tolist() == [[5, 1]]
    with pytest.raises(EncoderUnavailable, match="shutting down"):
        await waits
    with pytest.raises(EncoderUnavailable, match="shutting down"):
        await encoder.encode(["late"])


async def test_no_texts_are_no_rows():
    encoder = BatchingEncoder(CountingModel())

    assert (await encoder.encode([])).shape == (0, 2)
    encoder.close()


class SmallDevice(CountingModel):
    """Has room for three texts at once, none longer than nine characters."""

    def encode(self, texts: Sequence[str]) -> Vector:
        if len(texts) > 3 or max(map(len, texts)) > 9:
            raise DeviceFull("cuda:0 has no memory for this")
        return super().encode(texts)


async def test_a_batch_that_does_not_fit_the_device_is_halved_and_only_what_never_fits_fails():
    model = SmallDevice()
    encoder = BatchingEncoder(model)

    rows = await asyncio.gather(
        *(encoder.encode(["x" * size]) for size in (1, 2, 3, 4, 5, 6, 7, 8, 20, 9)), return_exceptions=True
    )

    assert isinstance(rows[8], DeviceFull)
    assert [int(row[0, 0]) for row in rows if not isinstance(row, BaseException)] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert max(map(len, model.batches)) <= 3
    encoder.close()


async def test_where_no_thread_can_be_started_the_batch_fails_and_the_queue_goes_on(monkeypatch: pytest.MonkeyPatch):
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")  # what Python says when memory is gone

    encoder = BatchingEncoder(CountingModel())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        with pytest.raises(DeviceFull, match="cpu has no memory for a thread"):
            await encoder.encode(["a", "b"])

    assert (await encoder.encode(["abc"]))[0, 0] == 3
    encoder.close()


async def test_models_of_one_device_take_turns_in_the_order_of_asking():
    first, second = CountingModel(), CountingModel()
    order: list[str] = []
    for name, model in (("first", first), ("second", second)):
        model.batches = RememberedAs(name, order)
    batcher = DeviceBatcher()
    encoders = [BatchingEncoder(first, batcher), BatchingEncoder(second, batcher)]
    first.gate.clear()
    blocker = asyncio.create_task(encoders[0].encode(["blocks"]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    later = [asyncio.create_task(encoders[number % 2].encode(["x"])) for number in (1, 0, 1)]
    await asyncio.sleep(0)

    first.gate.set()
    await asyncio.gather(blocker, *later)

    assert order == ["first", "second", "first"]
    batcher.close()


class RememberedAs(list):
    def __init__(self, name: str, order: list[str]) -> None:
        super().__init__()
        self.name, self.order = name, order

    def append(self, batch: list[str]) -> None:
        super().append(batch)
        self.order.append(self.name)


async def test_what_waits_is_shared_between_idle_threads():
    model = CountingModel()
    encoder = BatchingEncoder(model, DeviceBatcher(threads=2), parallel=2)

    await asyncio.gather(*(encoder.encode(["x" * 20]) for _ in range(16)))

    assert sorted(len(batch) for batch in model.batches) == [8, 8]
    encoder.close()


async def test_room_in_the_queue_is_given_back_when_a_waiting_caller_gives_up():
    model = CountingModel()
    model.gate.clear()
    encoder = BatchingEncoder(model, DeviceBatcher(queue_tokens=10))
    first = asyncio.create_task(encoder.encode(["x" * 10]))
    waiting = [asyncio.create_task(encoder.encode(["x" * 9])) for _ in range(3)]
    for _ in range(3):
        await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()

    model.gate.set()

    assert (await first).tolist() == [[10, 1]]
    assert (await waiting[2]).tolist() == [[9, 1]]
    assert (await encoder.encode(["x" * 10])).tolist() == [[10, 1]]
    encoder.close()
