"""Real agents of each kind for the connector suite: bus responder, child process, HTTP server, model server."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agents.connectors.http_agent import HttpConnector
from agents.connectors.nats_agent import NatsConnector
from agents.connectors.openai_agent import OpenAIConnector
from agents.connectors.python_agent import PythonConnector
from agents.ports.connectors import Connector
from gateway.bus.connection import connect
from gateway.embedded.nats_server import NatsServer
from schemas import subjects
from schemas.base import now
from schemas.card import AgentCard, Endpoint, HttpEndpoint, NatsEndpoint, OpenAIEndpoint, PythonEndpoint, Skill
from schemas.invocation import Invocation
from schemas.parts import Modality, Part, text_part
from tensor_layer.storage.blobs import ObstoreBlobs

HERE = Path(__file__).parent


def card_for(endpoint: Endpoint, agent: str = "peer", **more: Any) -> AgentCard:
    skill = Skill(id="do", description="does what the goal says", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,))
    return AgentCard(
        id=agent, version="1.0.0", description="an agent of the tests", skills=(skill,), endpoint=endpoint, **more
    )


def ask(goal: str, *inputs: Part, step: str = "t1.peer") -> Invocation:
    return Invocation(
        step_id=step,
        task_id="t1",
        tenant="default",
        agent_id="peer",
        skill_id="do",
        goal=goal,
        inputs=inputs or (text_part("hello"),),
        deadline=now() + timedelta(seconds=30),
    )


@dataclass
class Peer:
    """An agent at work and the connector that reaches it."""

    kind: str
    card: AgentCard
    connector: Connector
    blobs: ObstoreBlobs
    stop: Callable[[], Awaitable[None]]
    """Takes the agent away while the connector stays."""
    seen: list[Any] = field(default_factory=list)


@asynccontextmanager
async def a_peer(kind: str, folder: Path) -> AsyncIterator[Peer]:
    """An agent of that kind, ready to be asked."""
    (folder / "blobs").mkdir()
    blobs = ObstoreBlobs.from_url(f"file://{folder / 'blobs'}", cache_dir=folder / "cache")
    async with AsyncExitStack() as stack:
        peer = await PEERS[kind](stack, folder, blobs)
        stack.push_async_callback(peer.connector.close)
        yield peer


# What an agent says, whatever carries it ---------------------------------------------------------------------------


def said(invocation: dict[str, Any]) -> tuple[bytes, ...]:
    """The answers, in order, of an agent that is asked this; none means that it stays silent."""
    verb, _, rest = invocation["goal"].partition(" ")
    step = invocation["step_id"]
    reply = {
        "answer": {"step_id": step, "outputs": [{"text": f"echo {rest}"}]},
        "fail": {"step_id": step, "error": {"code": "busy", "message": "try later", "retryable": True}},
        "other": {"step_id": "another.step", "outputs": [{"text": "x"}]},
        "empty": {"step_id": step, "outputs": []},
        "big": {"step_id": step, "outputs": [{"text": "x" * int(rest or 0)}]} if verb == "big" else None,
        "reference": {"step_id": step, "outputs": [{"ref": {"digest": rest, "size_bytes": 1}}]},
        "count": {"step_id": step, "outputs": [{"text": str(len(invocation["inputs"]))}]},
        "look": {"step_id": step, "outputs": [{"text": json.dumps(invocation["inputs"][0])}]},
    }.get(verb)
    if verb == "twice":
        return tuple(json.dumps({"step_id": step, "outputs": [{"text": n}]}).encode() for n in ("first", "second"))
    if verb in ("never", "leave"):
        return ()
    return (b"\xffnot a reply",) if reply is None else (json.dumps(reply).encode(),)


async def _nats(stack: AsyncExitStack, folder: Path, blobs: ObstoreBlobs) -> Peer:
    server = NatsServer(folder / "nats", sync_interval="2m")
    await server.start()
    stack.push_async_callback(server.stop)
    worker, agent = await connect(server.url, "worker"), await connect(server.url, "agent")
    stack.push_async_callback(worker.close)
    stack.push_async_callback(agent.close)

    async def stop() -> None:
        await subscription.unsubscribe()
        while not await _nobody_hears(agent):  # for a moment the server may still hand on what nobody takes
            pass

    peer = Peer("nats", card_for(NatsEndpoint()), _bus_connector(worker, blobs), blobs, stop)

    async def respond(message: Msg) -> None:
        invocation = json.loads(message.data)
        peer.seen.append(invocation)
        if invocation["goal"].startswith("late"):
            await asyncio.sleep(float(invocation["goal"].split()[1]))
            invocation["goal"] = "answer late"
        for answer in said(invocation):
            await message.respond(answer)

    subscription = await agent.subscribe(subjects.invoke("default", "peer"), queue=subjects.QUEUE_AGENTS, cb=respond)
    await agent.flush()
    return peer


async def _nobody_hears(nc: Client) -> bool:
    try:
        await nc.request(subjects.invoke("default", "peer"), timeout=0.5)
    except NoRespondersError:
        return True
    except TimeoutError:
        pass
    return False


def _bus_connector(worker: Any, blobs: ObstoreBlobs) -> NatsConnector:
    return NatsConnector(worker, blobs, blob_url=lambda ref: f"http://gateway/v1/blobs/{ref.digest}")


async def _python(stack: AsyncExitStack, folder: Path, blobs: ObstoreBlobs) -> Peer:
    agent = folder / "agent.py"
    agent.write_text((HERE / "peer_python_agent.py").read_text())
    connector = PythonConnector(blobs, (folder,), local_path=blobs.local_path)

    async def stop() -> None:
        agent.unlink()

    return Peer("python", card_for(PythonEndpoint(target="agent.py:run")), connector, blobs, stop)


async def _http(stack: AsyncExitStack, folder: Path, blobs: ObstoreBlobs) -> Peer:
    released = asyncio.Event()

    async def answer(request: Request) -> Response:
        invocation = await request.json()
        peer.seen.append((dict(request.headers), invocation))
        verb, _, rest = invocation["goal"].partition(" ")
        if verb == "leave":
            return StreamingResponse(_broken_off(), media_type="application/json")
        if verb == "never":
            await released.wait()
        if verb == "late":
            await asyncio.sleep(float(rest))
            invocation["goal"] = "answer late"
        if verb == "status":
            return Response(f"status {rest}", status_code=int(rest))
        return Response((said(invocation) or (b"",))[0], media_type="application/json")

    async def health(_: Request) -> Response:
        return Response("ok")

    url, stop = await _served(stack, [Route("/", answer, methods=["POST"]), Route("/health", health)], released)
    endpoint = HttpEndpoint(url=f"{url}/", health_url=f"{url}/health", headers_from_env={"X-Key": "PEER_KEY"})
    peer = Peer("http", card_for(endpoint), HttpConnector(blobs, env={"PEER_KEY": "secret"}), blobs, stop)
    return peer


async def _openai(stack: AsyncExitStack, folder: Path, blobs: ObstoreBlobs) -> Peer:
    released = asyncio.Event()

    async def complete(request: Request) -> Response:
        body = await request.json()
        peer.seen.append((dict(request.headers), body))
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[0]["text"]
        verb, _, rest = text.split("\n")[0].partition(" ")
        if verb == "leave":
            return StreamingResponse(_broken_off(), media_type="application/json")
        if verb == "never":
            await released.wait()
        if verb == "late":
            await asyncio.sleep(float(rest))
        if verb == "garbage":
            return Response("<html>not a model</html>", media_type=rest or "application/json")
        if verb == "status":
            return JSONResponse({"error": {"message": f"status {rest}"}}, status_code=int(rest))
        return JSONResponse(_completion(body["model"], verb, rest))

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": []})

    routes = [Route("/v1/chat/completions", complete, methods=["POST"]), Route("/v1/models", models)]
    url, stop = await _served(stack, routes, released)
    endpoint = OpenAIEndpoint(base_url=f"{url}/v1", model="tiny", api_key_env="KEY", system_prompt="Be brief.")
    peer = Peer("openai", card_for(endpoint), OpenAIConnector(blobs, env={"KEY": "sk-test"}), blobs, stop)
    return peer


def _completion(model: str, verb: str, rest: str) -> dict[str, Any]:
    text = {"empty": "", "big": "x" * int(rest or 0) if verb == "big" else ""}.get(verb, f"echo {rest}")
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice] if verb != "nochoice" else [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


async def _broken_off() -> AsyncIterator[bytes]:
    yield b'{"step_id": '
    raise ConnectionAbortedError("the agent exits mid-step")


async def _served(
    stack: AsyncExitStack, routes: list[Route], released: asyncio.Event
) -> tuple[str, Callable[[], Awaitable[None]]]:
    """A real uvicorn server on a free port, and how to stop it."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Starlette(routes=routes), lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))

    async def stop() -> None:
        released.set()
        server.should_exit = True
        await serving
        listening.close()

    stack.push_async_callback(stop)
    return f"http://127.0.0.1:{listening.getsockname()[1]}", stop


PEERS = {"nats": _nats, "python": _python, "http": _http, "openai": _openai}
