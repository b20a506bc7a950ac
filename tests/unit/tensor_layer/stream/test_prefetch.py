"""Forecasts, and whether acting on them pays."""

import asyncio
import random

import numpy as np
import pytest

from tensor_layer.errors import TensorNotFound
from tensor_layer.stream.cache import TensorCache
from tensor_layer.stream.fetching import Fetching
from tensor_layer.stream.markov import Markov
from tensor_layer.stream.prefetch import Prefetch
from tensor_layer.stream.tensor import Tensor, from_numpy

LAYERS = {t.tensor_id: t for t in (from_numpy(np.full(256, n, np.float32)) for n in range(32))}
SIZE = 1024


class Shelf:
    """A source that answers when told to, or at the next turn of the loop."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self, tensor_id: str) -> Tensor:
        self.fetched.append(tensor_id)
        await self.open.wait()
        if tensor_id not in LAYERS:
            raise TensorNotFound(tensor_id)
        return LAYERS[tensor_id]


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0.0005)
        if len(asyncio.all_tasks()) == 1:
            return


def test_a_sequence_seen_twice_is_forecast_to_its_end():
    markov = Markov()
    for key in "abcdabcda":
        markov.saw(key)

    assert [key for key, _ in markov.ahead(3)] == ["b", "c", "d"]
    assert all(chance == 1 for _, chance in markov.ahead(3))


def test_two_steps_back_tell_what_one_step_cannot():
    markov = Markov()
    for key in "xaxbyaybxaxbyayb" * 3:
        markov.saw(key)
    markov.saw("x")
    markov.saw("a")

    assert markov.ahead(1)[0][0] == "x"


def test_memory_of_sequences_is_bounded():
    markov = Markov(contexts_max=100)
    for number in range(10_000):
        markov.saw(str(number))

    assert len(markov._followers) <= 100


async def test_a_cyclic_loop_over_twice_the_cache_hits_and_is_timely():
    fetching = Fetching(Shelf(), TensorCache(14 * SIZE), Prefetch(Markov(), 2))
    for _ in range(6):
        for tensor_id in LAYERS:
            assert (await fetching.get(tensor_id)).tensor_id == tensor_id
            await settle()
        if _ == 1:
            fetching.counts.at_once = fetching.counts.waited = fetching.counts.fetched = 0

    assert fetching.counts.hit_share >= 0.97
    counts = fetching.prefetch_counts()
    assert counts.timely >= 0.9 * (counts.timely + counts.late + counts.wasted)
    await fetching.close()


async def test_without_prefetch_the_same_loop_misses():
    fetching = Fetching(Shelf(), TensorCache(16 * SIZE))
    for _ in range(4):
        for tensor_id in LAYERS:
            await fetching.get(tensor_id)

    assert fetching.counts.hit_share < 0.6


async def test_a_use_that_meets_its_prefetch_under_way_waits_for_it_and_counts_as_late():
    shelf, ids = Shelf(), list(LAYERS)[:3]
    fetching = Fetching(shelf, TensorCache(SIZE), Prefetch(Markov(), 1))
    for tensor_id in [*ids, *ids, ids[0]]:
        await fetching.get(tensor_id)
        await settle()
    shelf.open.clear()
    await_next = ids[1]
    # ids[1] waits already; the use of it starts fetching ids[2], which the closed shelf holds back.
    await fetching.get(await_next)
    late = asyncio.create_task(fetching.get(ids[2]))
    await asyncio.sleep(0)
    fetched = len(shelf.fetched)
    shelf.open.set()
    await late

    assert fetching.prefetch_counts().late == 1
    assert len([tensor_id for tensor_id in shelf.fetched[fetched - 1 :] if tensor_id == ids[2]]) <= 1
    await fetching.close()


def test_prefetching_stops_when_it_is_wasted_and_starts_again_when_forecasts_come_true():
    rng = random.Random(5)

    class Nothing:
        def holds(self, _: str) -> bool:
            return False

    class Wrong:
        """Sure of itself, and wrong until told better."""

        right = False
        last = 0

        def saw(self, key: str) -> None:
            self.last = int(key)

        def ahead(self, steps: int) -> list[tuple[str, float]]:
            return [(str(self.last + 1 if self.right else -rng.randrange(10**9)), 1.0)]

    forecaster = Wrong()
    prefetch = Prefetch(forecaster, 2)

    def run(count: int) -> int:
        started = 0
        for number in range(count):
            prefetch.used(str(number))
            for key in prefetch.wanted(Nothing()):
                prefetch.started(key)
                prefetch.arrived(key)
                started += 1
        return started

    assert run(300) < 100
    assert not prefetch.on
    assert prefetch.counts.wasted >= 64
    forecaster.right = True
    assert run(300) > 100
    assert prefetch.on
    assert prefetch.counts.timely > 100


def test_what_waits_already_is_not_wanted_again():
    class Sure:
        def saw(self, key: str) -> None:
            pass

        def ahead(self, steps: int) -> list[tuple[str, float]]:
            return [("b", 1.0), ("c", 0.9), ("d", 0.4)]

    class Nothing:
        def holds(self, _: str) -> bool:
            return False

    prefetch = Prefetch(Sure(), 4)
    prefetch.used("a")
    assert prefetch.wanted(Nothing()) == ["b", "c"]
    prefetch.started("b")
    prefetch.arrived("b")
    assert prefetch.wanted(Nothing()) == ["c"]


@pytest.mark.parametrize(("useful", "goes_on"), [(32, True), (31, False)])
def test_prefetching_goes_on_while_every_other_one_is_used(useful, goes_on):
    class Next:
        def saw(self, key: str) -> None:
            self.last = int(key)

        def ahead(self, steps: int) -> list[tuple[str, float]]:
            return [(str(self.last + 1), 1.0)]

    class Nothing:
        def holds(self, _: str) -> bool:
            return False

    prefetch, key = Prefetch(Next(), 1), 0
    for number in range(64):
        prefetch.used(str(key))
        assert prefetch.on
        assert prefetch.wanted(Nothing()) == [str(key + 1)]
        prefetch.started(str(key + 1))
        prefetch.arrived(str(key + 1))
        if number >= useful:
            prefetch.failed(str(key + 1))
        key += 1 if number < useful else 10
    prefetch.used(str(key))
    assert (prefetch.on, prefetch.counts.timely, prefetch.counts.wasted) == (goes_on, useful, 64 - useful)


async def test_a_source_that_fails_fails_the_caller_and_nobody_else():
    fetching = Fetching(Shelf(), TensorCache(SIZE), Prefetch(Markov(), 1))

    with pytest.raises(TensorNotFound):
        await fetching.get("nobody")
    assert (await fetching.get(next(iter(LAYERS)))).size_bytes == SIZE
    await fetching.close()


async def test_many_callers_of_one_tensor_cause_one_fetch():
    shelf, wanted = Shelf(), next(iter(LAYERS))
    fetching = Fetching(shelf, TensorCache(SIZE))

    got = await asyncio.gather(*(fetching.get(wanted) for _ in range(20)))

    assert shelf.fetched == [wanted]
    assert (fetching.counts.fetched, fetching.counts.waited) == (1, 19)
    assert {tensor.tensor_id for tensor in got} == {wanted}
