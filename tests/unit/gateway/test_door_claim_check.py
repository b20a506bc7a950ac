"""What is too large for a message leaves it, and no more than that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.claim_check import ClaimCheck, heaviest, inline_size
from gateway.errors import Overloaded
from schemas.parts import BlobRef, Part

LIMIT = 10_000


class Shelf:
    """An object store that counts."""

    def __init__(self):
        self.puts = []

    async def put(self, chunks, limit_bytes):
        return await self.put_bytes(b"".join([chunk async for chunk in chunks]))

    async def put_bytes(self, content):
        self.puts.append(content)
        return BlobRef(digest="sha256:" + "a" * 64, size_bytes=len(content))


def texts(sizes):
    return [Part(text="x" * size) for size in sizes]


@given(st.lists(st.integers(min_value=1, max_value=9000), min_size=1, max_size=12))
def test_what_stays_fits_or_is_too_small_to_matter(sizes):
    leaving = heaviest(texts(sizes), LIMIT)
    staying = [size for index, size in enumerate(sizes) if index not in leaving]
    assert sum(staying) <= LIMIT or all(size <= 1024 for size in staying)


@given(st.lists(st.integers(min_value=1025, max_value=9000), min_size=1, max_size=12))
def test_nothing_leaves_that_need_not(sizes):
    leaving = heaviest(texts(sizes), LIMIT)
    kept = sum(size for index, size in enumerate(sizes) if index not in leaving)
    assert not leaving or kept + min(sizes[index] for index in leaving) > LIMIT


async def test_small_parts_are_left_alone():
    parts = tuple(texts([100, 200]))
    shelf = Shelf()
    assert await ClaimCheck(shelf, inline_bytes=LIMIT, attachment_bytes=1).lighten(parts) == parts
    assert shelf.puts == []


async def test_a_stream_that_fits_is_inline_and_one_byte_more_is_not():
    for size, inline in ((7500, True), (7501, False)):
        shelf = Shelf()
        check = ClaimCheck(shelf, inline_bytes=LIMIT, attachment_bytes=10**9)
        part = await check.receive(_bytes(size), "a.png", None)
        assert (part.ref is None) is inline
        assert part.media_type == "image/png"
        assert inline_size(part) == (LIMIT if inline else 0)
        assert shelf.puts == ([] if inline else [b"z" * size])


async def test_room_that_others_took_is_not_given_twice():
    check = ClaimCheck(Shelf(), inline_bytes=LIMIT, attachment_bytes=10**9)
    assert (await check.receive(_bytes(100), None, None, already_inline_bytes=LIMIT)).ref is not None


async def test_more_uploads_than_allowed_are_refused():
    check = ClaimCheck(Shelf(), inline_bytes=LIMIT, attachment_bytes=10**9, uploads=0)
    with pytest.raises(Overloaded):
        await check.store(_bytes(10))


async def _bytes(size):
    for start in range(0, size, 1000):
        yield b"z" * min(1000, size - start)
