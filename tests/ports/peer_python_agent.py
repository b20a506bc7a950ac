"""The Python agent that connector tests run in a real child process. What it does is the goal's first word."""

import asyncio
import os
import sys
import time
from pathlib import Path

CALLS = 0


class TooBusy(Exception):
    code = "busy"
    retryable = True


def run(invocation):
    global CALLS
    CALLS += 1
    verb, _, rest = invocation["goal"].partition(" ")
    return VERBS[verb](invocation, rest)


def fail(invocation, _rest):
    raise TooBusy("try later")


def leave(invocation, rest):
    sys.stderr.write("cannot go on\n")
    sys.stderr.flush()
    os._exit(int(rest or 9))


def late(invocation, rest):
    time.sleep(float(rest))
    return "too late"


def until(invocation, path):
    while not Path(path).exists():
        time.sleep(0.01)
    return "at last"


def deep(invocation, _rest):
    answer = nested = []
    for _ in range(100_000):
        nested.append([])
        nested = nested[0]
    return {"outputs": ["x"], "usage": {"deep": answer}}


async def give_up(invocation, _rest):
    raise asyncio.CancelledError


def chatter(invocation, _rest):
    sys.stdout.write("this must not reach the protocol\n" * 1000)
    os.write(1, b"\x00\x00\x00\x05raw bytes on fd 1")
    return "quiet"


async def think(invocation, _rest):
    await asyncio.sleep(0)
    return ["first", {"modality": "data", "media_type": "application/octet-stream", "data": b"\x00\x01"}]


def look(invocation, _rest):
    part = invocation["inputs"][0]
    return Path(part["path"]).read_text() if "path" in part else f"no path, url {part['ref']['url']}"


VERBS = {
    "answer": lambda invocation, rest: f"echo {rest}",
    "fail": fail,
    "garbage": lambda invocation, _: {"outputs": [{"colour": "blue"}]},
    "unserialisable": lambda invocation, _: {"outputs": [{"text": object()}]},
    "other": lambda invocation, _: {"step_id": "another.step", "outputs": ["x"]},
    "empty": lambda invocation, _: {"outputs": []},
    "big": lambda invocation, rest: "x" * int(rest),
    "leave": leave,
    "late": late,
    "never": lambda invocation, _: time.sleep(3600),
    "chatter": chatter,
    "deep": deep,
    "give_up": give_up,
    "until": until,
    "think": think,
    "look": look,
    "pid": lambda invocation, _: str(os.getpid()),
    "count": lambda invocation, _: str(CALLS),
    "where": lambda invocation, _: os.getcwd(),
    "reference": lambda invocation, rest: {"modality": "file", "ref": {"digest": rest, "size_bytes": 1}},
    "cost": lambda invocation, _: {"outputs": ["x"], "cost": 0.5, "usage": {"pages": 3}},
}
