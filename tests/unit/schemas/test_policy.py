"""A policy is read whole, or not at all and with a reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.policy import AgentStanding, PolicySnapshot, PolicyTooNew, PolicyTruncated, PolicyUnreadable, dumps, loads

SNAPSHOT = PolicySnapshot(
    policy="learned-2",
    parent="learned-1",
    encoder="some-encoder-1",
    events=7,
    weights={"similarity": 8.0},
    standings={"summary": AgentStanding(successes=3, failures=1)},
)


def test_what_is_written_is_read():
    assert loads(dumps(SNAPSHOT)) == SNAPSHOT


@given(cut=st.integers(min_value=0, max_value=len(dumps(SNAPSHOT)) - 1))
def test_any_cut_is_noticed(cut: int):
    with pytest.raises(PolicyUnreadable):
        loads(dumps(SNAPSHOT)[:cut])


def test_a_cut_body_says_that_it_is_truncated():
    with pytest.raises(PolicyTruncated, match="bytes where"):
        loads(dumps(SNAPSHOT)[:-5])


def test_one_changed_byte_is_noticed():
    content = bytearray(dumps(SNAPSHOT))
    content[-20] ^= 1
    with pytest.raises(PolicyTruncated, match="its bytes were changed"):
        loads(bytes(content))


def test_a_newer_format_is_refused_before_its_body_is_looked_at():
    head, _, _ = dumps(SNAPSHOT).partition(b"\n")
    newer = json.dumps(json.loads(head) | {"format": 2}).encode() + b"\nwho knows"
    with pytest.raises(PolicyTooNew, match="format 2"):
        loads(newer)


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n{}", b"[1]\n", b"x" * 5_000, b'{"kind": "aos-policy"}\n{}'])
def test_anything_else_is_no_policy(content: bytes):
    with pytest.raises(PolicyUnreadable):
        loads(content)
