"""The child process that runs one Python agent. Started by ``python_agent``; imports nothing of this project.

    python -P python_child.py TARGET PARENT_PID THREADS

TARGET is ``file.py:callable`` or ``package.module:callable``. The callable (plain or async) gets the invocation as a
dict, as `schemas.invocation.Invocation` spells it; a referenced input has its bytes at the local ``path`` where the
store is local. It returns one of

* a str: one text output;
* a dict with ``text``, ``data`` or ``ref``: one output part; a list of such parts (or strs): several;
* a dict with ``outputs`` or ``error`` (and maybe ``cost``, ``usage``): a whole reply.

``data`` may be bytes. An exception becomes an error reply: its ``code`` and ``retryable`` attributes are used if it has
them. What the agent prints goes to the parent's log, never into the protocol.

Protocol: frames over stdin and stdout, each a header ``>IQ`` (length of the body, number of the call) and a JSON body.
Frame 0 from the child says that the agent is loaded, or why it cannot be.
"""

import asyncio
import base64
import ctypes
import importlib
import importlib.util
import inspect
import json
import os
import queue
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

HEADER = struct.Struct(">IQ")
MAX_BODY_BYTES = 64 * 1024 * 1024
PR_SET_PDEATHSIG = 1

Agent = Callable[[dict[str, Any]], Any]


def main() -> None:
    """Load the agent, say so, and answer calls until the parent closes stdin or dies."""
    target, parent_pid, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    die_with(parent_pid)
    requests, answers = take_over_pipes()
    channel = Channel(answers)
    try:
        agent = load(target)
    except BaseException as error:  # noqa: BLE001 - whatever the agent's module raises is told to the parent
        channel.send(0, {"failed": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()[-4000:]})
        sys.exit(3)
    channel.send(0, {"ready": os.getpid()})
    calls: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
    for number in range(threads):
        threading.Thread(target=work, args=(agent, calls, channel), name=f"agent-{number}", daemon=True).start()
    receive(requests, calls)
    os._exit(0)  # the parent is gone or has closed the pipe: threads in the middle of a call are not waited for


def die_with(parent_pid: int) -> None:
    """Be killed by the kernel when the parent ends, however it ends (Linux).

    The kernel means the thread that started this process: the parent starts children from its event loop's thread only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(0)  # it ended before the line above


def take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for the protocol; the agent's own prints go to stderr and its input is empty."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return requests, answers


def load(target: str) -> Agent:
    """The callable that TARGET names. Its folder can be imported from, as for a script."""
    place, _, name = target.rpartition(":")
    if place.endswith(".py"):
        path = Path(place).resolve()
        sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, str(Path.cwd()))
        module = importlib.import_module(place)
    agent = getattr(module, name, None)
    if not callable(agent):
        raise ImportError(f"{place} has no callable {name!r}")
    return agent  # type: ignore[no-any-return]


def receive(requests: BinaryIO, calls: "queue.SimpleQueue[tuple[int, bytes]]") -> None:
    """Hand calls to the workers until the pipe ends. The parent never has more under way than there are threads."""
    while True:
        header = requests.read(HEADER.size)
        if len(header) < HEADER.size:
            return
        length, number = HEADER.unpack(header)
        body = requests.read(length)
        if len(body) < length:
            return
        calls.put((number, body))


def work(agent: Agent, calls: "queue.SimpleQueue[tuple[int, bytes]]", channel: "Channel") -> None:
    """One worker thread: take a call, run the agent, send the reply."""
    while True:
        number, body = calls.get()
        request = json.loads(body)
        channel.send(number, answer(agent, invocation_of(request)))


def invocation_of(request: dict[str, Any]) -> dict[str, Any]:
    """The invocation, with the local path of each referenced input where there is one."""
    invocation: dict[str, Any] = request["invocation"]
    for place, path in request["paths"].items():
        invocation["inputs"][int(place)]["path"] = path
    return invocation


def answer(agent: Agent, invocation: dict[str, Any]) -> dict[str, Any]:
    """Run the agent and shape what it returns into a reply; what it raises into an error."""
    step_id = invocation["step_id"]
    try:
        result = agent(invocation)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        return reply_of(result, step_id)
    except SystemExit as leaving:
        os._exit(leaving.code if isinstance(leaving.code, int) else 70)
    except BaseException as error:  # noqa: BLE001 - whatever it is (asyncio's cancellation, too), a thread lives on
        traceback.print_exc()
        failure = {
            "code": str(getattr(error, "code", None) or "failed"),
            "message": f"{type(error).__name__}: {error}",
            "retryable": bool(getattr(error, "retryable", False)),
        }
        return {"step_id": step_id, "error": failure}


def reply_of(result: object, step_id: str) -> dict[str, Any]:
    """A reply from whatever an agent may return."""
    if isinstance(result, dict) and ("outputs" in result or "error" in result):
        outputs = [part_of(part) for part in result.get("outputs") or ()]
        return {"step_id": step_id, **result, "outputs": outputs}
    parts = result if isinstance(result, list | tuple) else [result]
    return {"step_id": step_id, "outputs": [part_of(part) for part in parts]}


def part_of(part: object) -> object:
    """One output part; a str is text, bytes of ``data`` become base64."""
    if isinstance(part, str):
        return {"modality": "text", "media_type": "text/plain", "text": part}
    if isinstance(part, dict) and isinstance(part.get("data"), bytes | bytearray | memoryview):
        return {**part, "data": base64.b64encode(part["data"]).decode()}
    return part


class Channel:
    """The way back to the parent: whole frames, one at a time, from any thread."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._lock = threading.Lock()

    def send(self, number: int, message: dict[str, Any]) -> None:
        """Send one frame. A message that is no JSON or too large is told as the agent's error."""
        body = self._body(message)
        with self._lock:
            remaining = memoryview(HEADER.pack(len(body), number) + body)
            while remaining:
                remaining = remaining[self._answers.write(remaining) :]

    @staticmethod
    def _body(message: dict[str, Any]) -> bytes:
        try:
            body = json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
            problem = f"its answer has {len(body)} bytes; at most {MAX_BODY_BYTES} travel inline"
            code = "output_too_large"
        except (TypeError, ValueError, RecursionError) as error:
            body, problem, code = b"", f"its answer is not JSON: {error}", "bad_output"
        if body and len(body) <= MAX_BODY_BYTES:
            return body
        failure = {"code": code, "message": problem, "retryable": False}
        return json.dumps({"step_id": message.get("step_id", ""), "error": failure}).encode()


if __name__ == "__main__":
    main()
