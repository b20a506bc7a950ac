"""Values of any size fit the bus and come back whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.running.frames import Value, pack, unpack


@given(kind=st.text(min_size=1, max_size=20), body=st.binary(max_size=500), limit=st.integers(100, 300))
def test_what_is_packed_comes_back(kind, body, limit):
    frames = pack(Value(kind, body), limit)
    parts = {(frames.digest, n): part for n, part in enumerate(frames.parts)}
    assert all(len(part) <= limit for part in frames.parts)
    assert unpack(frames.head, lambda digest, n: parts.get((digest, n))) == Value(kind, body)


def test_a_value_whose_part_is_gone_is_gone():
    frames = pack(Value("bytes", b"x" * 1000), 100)
    assert unpack(frames.head, lambda _, n: frames.parts[n] if n != 3 else None) is None


def test_parts_of_two_versions_have_different_names():
    assert pack(Value("bytes", b"x" * 1000), 100).digest != pack(Value("bytes", b"y" * 1000), 100).digest


def test_a_format_of_the_future_is_refused():
    head = pack(Value("bytes", b"x"), 100).head
    with pytest.raises(ValueError, match="format 9"):
        unpack(b"\x09" + head[1:], lambda *_: None)
