"""Which keys go: the rules of S3-FIFO, and its bounds whatever happens."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensor_layer.stream.s3fifo import S3Fifo


def hits(cache: S3Fifo, keys: list[str]) -> int:
    count = 0
    for key in keys:
        if cache.use(key):
            count += 1
        else:
            cache.admit(key, 1)
    return count


def test_a_scan_does_not_drive_out_what_is_used():
    cache = S3Fifo(100)
    hot = [f"hot-{number}" for number in range(50)]
    hits(cache, hot * 4)
    hits(cache, [f"scan-{number}" for number in range(1000)])

    assert hits(cache, hot) == 50


def test_what_was_let_go_and_comes_back_is_kept_longer():
    cache = S3Fifo(10)
    hits(cache, [str(number) for number in range(10)])
    gone = cache.admit("one more", 1)
    assert gone
    assert gone[0] not in cache
    cache.admit(gone[0], 1)
    hits(cache, [f"new-{number}" for number in range(8)])

    assert gone[0] in cache
    assert "new-1" not in cache


def test_a_thing_larger_than_everything_is_not_kept():
    cache = S3Fifo(10)
    cache.admit("small", 3)

    assert cache.admit("huge", 11) is None
    assert "small" in cache


def test_a_key_used_elsewhere_gets_one_more_round():
    cache = S3Fifo(3)
    for key in "abc":
        cache.admit(key, 1)

    assert cache.admit("d", 1, used_elsewhere=lambda key: key == "a") != ["a"]
    assert "a" in cache


def test_everyone_used_elsewhere_still_ends():
    cache = S3Fifo(3)
    for key in "abc":
        cache.admit(key, 1)

    assert len(cache.admit("d", 3, used_elsewhere=lambda _: True) or []) == 3


steps = st.lists(st.tuples(st.sampled_from(["use", "admit", "remove"]), st.integers(0, 30), st.integers(0, 40)))


@given(capacity=st.integers(1, 100), steps=steps)
@settings(max_examples=200, deadline=None)
def test_the_bound_and_the_books_hold_whatever_happens(capacity: int, steps: list[tuple[str, int, int]]):
    cache, sizes = S3Fifo(capacity), dict[str, int]()
    for what, number, size in steps:
        key = str(number)
        if what == "use":
            assert cache.use(key) == (key in sizes)
        elif what == "remove":
            cache.remove(key)
            sizes.pop(key, None)
        else:
            gone = cache.admit(key, size)
            if gone is not None:
                sizes.setdefault(key, size)
                for each in gone:
                    del sizes[each]
        assert set(cache) == set(sizes)
        assert cache.used_bytes == sum(sizes.values()) <= capacity


@pytest.mark.skipif(importlib.util.find_spec("libcachesim") is None, reason="libcachesim (GPL) is not installed")
@pytest.mark.parametrize("capacity", [100, 1000])
def test_it_hits_as_often_as_the_authors_own_implementation(capacity: int):
    import libcachesim

    chances = 1 / np.arange(1, 10_001)
    ids = np.random.default_rng(1).choice(10_000, 20_000, p=chances / chances.sum())
    theirs, request = libcachesim.S3FIFO(capacity), libcachesim.Request()
    count = 0
    for number in ids:
        request.obj_id, request.obj_size = int(number) + 1, 1
        count += theirs.get(request)

    assert abs(hits(S3Fifo(capacity), [str(number) for number in ids]) - count) <= 0.005 * len(ids)


def test_of_what_was_used_once_the_oldest_goes_first():
    cache = S3Fifo(100)
    for number in range(20):
        assert cache.admit(str(number), 5) == []
    assert [cache.admit(key, 5) for key in ("x", "y", "z")] == [["0"], ["1"], ["x"]]
