import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from schemas.percept import EncoderVersion
from tensor_layer.encoding.batching import BATCH_CHARACTERS, BatchingEncoder
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import Vector


class CountingModel:
    """Marks a text's length in its vector, remembers every batch, and waits at a gate."""

    version = EncoderVersion(name="counting", version="1", dimension=2)

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()

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

    await encoder.encode(["x" * BATCH_CHARACTERS] * 3)

    assert [len(batch) for batch in model.batches] == [1, 1, 1]
    encoder.close()


async def test_more_texts_than_the_queue_holds_are_all_encoded():
    encoder = BatchingEncoder(CountingModel(), queue_texts=3)

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
