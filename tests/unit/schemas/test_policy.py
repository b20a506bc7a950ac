"""A policy is read whole, or not at all and with a reason."""

import hashlib
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import policy
from schemas.policy import (
    FORMAT,
    PLAIN_BYTES_MAX,
    AgentStanding,
    PolicySnapshot,
    PolicyTooNew,
    PolicyTruncated,
    PolicyUnreadable,
    dumps,
    loads,
)

BUS_BYTES_MAX = 1_024 * 1_024
"""What nats-server takes at once, unless told otherwise."""

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
    newer = json.dumps(json.loads(head) | {"format": FORMAT + 1}).encode() + b"\nwho knows"
    with pytest.raises(PolicyTooNew, match=f"format {FORMAT + 1}"):
        loads(newer)


def fleet_of(agents: int) -> PolicySnapshot:
    standings = {
        f"agent-{n:05d}": AgentStanding(successes=n / 7, failures=n / 11, latency_ms=n / 13, cost=1 / (n + 1))
        for n in range(agents)
    }
    return SNAPSHOT.model_copy(update={"standings": standings})


def format_of(content: bytes) -> int:
    return json.loads(content.partition(b"\n")[0])["format"]


def test_what_fits_is_written_as_every_release_reads_it():
    content = dumps(fleet_of(1_000))
    assert format_of(content) == 1
    assert len(content) <= PLAIN_BYTES_MAX + policy.FRAME_BYTES_MAX


def test_a_fleet_of_twenty_thousand_fits_into_one_message():
    snapshot = fleet_of(20_000)
    content = dumps(snapshot)
    assert len(snapshot.model_dump_json()) > BUS_BYTES_MAX > len(content)
    assert format_of(content) == 2
    assert loads(content) == snapshot
    with pytest.raises(PolicyTruncated):
        loads(content[:-1])


@pytest.mark.parametrize("body", [b"not deflated", zlib.compress(b"{}"), zlib.compress(b"x" * 2_000)[:-4]])
def test_a_deflated_body_that_is_none_is_refused(body: bytes):
    frame = {"kind": "aos-policy", "format": 2, "sha256": hashlib.sha256(body).hexdigest()}
    with pytest.raises(PolicyUnreadable):
        loads(json.dumps(frame).encode() + b"\n" + body)


def test_a_small_file_never_fills_the_memory(monkeypatch: pytest.MonkeyPatch):
    content = dumps(fleet_of(5_000))
    monkeypatch.setattr(policy, "UNPACKED_BYTES_MAX", 1_000)
    with pytest.raises(PolicyUnreadable, match="more than 1000 bytes"):
        loads(content)


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n{}", b"[1]\n", b"x" * 5_000, b'{"kind": "aos-policy"}\n{}'])
def test_anything_else_is_no_policy(content: bytes):
    with pytest.raises(PolicyUnreadable):
        loads(content)
