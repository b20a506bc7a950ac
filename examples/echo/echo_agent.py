"""The fastest agent there can be on bare nats-py: says back the texts it is given. For load and crash tests.

With AOS_EFFECTS_FILE set it appends each step id to that file, once for each id that it knows of (ids already in the
file at the start are known), before it answers: the file counts effects, so that tests can count duplicates.
"""

import asyncio
import contextlib
import os
import signal
from collections import OrderedDict
from pathlib import Path

import nats
import orjson
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

TENANT = os.environ.get("AOS_TENANT", "default")
AGENT = os.environ.get("AOS_AGENT_ID", "echo")
HEARTBEAT_S = 5.0
REMEMBERED_STEPS = 200_000


class Effects:
    """A file of step ids. One ``os.write`` with O_APPEND for each, so that processes can share the file."""

    def __init__(self, path: Path) -> None:
        known = path.read_text().split() if path.exists() else []
        self._known = OrderedDict.fromkeys(known[-REMEMBERED_STEPS:])
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)

    def happen(self, step: str) -> None:
        """Append the id unless it is known."""
        if step in self._known:
            return
        os.write(self._file, f"{step}\n".encode())
        self._known[step] = None
        if len(self._known) > REMEMBERED_STEPS:
            self._known.popitem(last=False)


def echoed(invocation: dict) -> bytes:
    """The reply: every inline text of the inputs, or the goal when there is none."""
    texts = [part["text"] for part in invocation["inputs"] if part.get("text") is not None]
    said = "\n".join(texts) or invocation.get("goal") or "(nothing)"
    output = {"modality": "text", "media_type": "text/plain", "name": "echo.txt", "text": said}
    return orjson.dumps({"step_id": invocation["step_id"], "outputs": [output]})


def refused(request: bytes) -> bytes:
    """The reply to what is no invocation, with its step's id if it has one."""
    step = ""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        step = str(orjson.loads(request)["step_id"])
    error = {"code": "bad_request", "message": "This is not an invocation in JSON.", "retryable": False}
    return orjson.dumps({"step_id": step, "error": error})


async def beat(client: Client) -> None:
    """Say every five seconds that this agent is alive."""
    alive = orjson.dumps({"agent_id": AGENT, "tenant": TENANT})
    while True:
        with contextlib.suppress(nats.errors.Error):  # while reconnecting; the next beat tells
            await client.publish(f"aos.{TENANT}.agent.{AGENT}.heartbeat", alive)
        await asyncio.sleep(HEARTBEAT_S)


async def main() -> None:
    """Serve until asked to stop; then finish what is under way."""
    file = os.environ.get("AOS_EFFECTS_FILE")
    effects = Effects(Path(file)) if file else None

    async def invoked(message: Msg) -> None:
        try:
            invocation = orjson.loads(message.data)
            reply, step = echoed(invocation), invocation["step_id"]
        except (ValueError, KeyError, TypeError, AttributeError):
            await client.publish(message.reply, refused(message.data))
            return
        if effects:
            effects.happen(step)
        await client.publish(message.reply, reply)

    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    url = os.environ.get("AOS_NATS_URL", "nats://127.0.0.1:4222")
    credentials = os.environ.get("AOS_NATS_CREDENTIALS") or None
    client = await nats.connect(
        url.split(","), name=f"agent {AGENT}", user_credentials=credentials, max_reconnect_attempts=-1
    )
    await client.subscribe(f"aos.{TENANT}.agent.{AGENT}.invoke", queue="agents", cb=invoked)
    beating = asyncio.create_task(beat(client))
    await stop.wait()
    beating.cancel()
    await client.drain()


if __name__ == "__main__":
    uvloop.run(main())
