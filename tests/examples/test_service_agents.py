"""The agents that run as processes of their own, started as `aos up` starts them: NATS, HTTP and OpenAI protocols."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import openai
import pytest
from conftest import AGENTS, EXAMPLES, file_part, invocation, text_part
from nats.aio.client import Client

from gateway.embedded.nats_server import NatsServer, free_port
from schemas import subjects
from schemas.card import Heartbeat
from schemas.invocation import InvocationReply

LETTER = "Call +49 30 1234567 or write to ana@example.org before 4 May 2026. It costs €86.50, 12% less."


@contextlib.asynccontextmanager
async def running(script: str, folder: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The agent's process; it must end by itself when asked to."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, script, cwd=folder, env={**os.environ, **environment}
    )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 15)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_well(url: str) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(30):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(url)).is_success:
                    return
            await asyncio.sleep(0.05)


async def first_heartbeat(nc: Client) -> Heartbeat:
    heard = await nc.subscribe(subjects.HEARTBEAT_ALL)
    message = await heard.next_msg(30)
    await heard.unsubscribe()
    return Heartbeat.model_validate_json(message.data)


async def invoke(nc: Client, agent: str, body: dict) -> InvocationReply:
    answer = await nc.request(subjects.invoke("default", agent), json.dumps(body).encode(), timeout=30)
    return InvocationReply.model_validate_json(answer.data)


async def says_what_is_no_invocation(nc: Client, agent: str) -> None:
    """Whatever comes is answered, with the step's id where there is one: who asks must not wait for its timeout."""
    bad = (
        b"garbage",
        b"[]",
        b"1",
        b'{"step_id": "x"}',
        b'{"step_id": "x", "inputs": [1]}',
        b'{"step_id": "x", "inputs": 1}',
    )
    for body in bad:
        answer = await nc.request(subjects.invoke("default", agent), body, timeout=30)
        reply = InvocationReply.model_validate_json(answer.data)
        said = reply.error.code if reply.error else reply.outputs
        assert (reply.step_id, said) == ("x" if b"step_id" in body else "", "bad_request"), body


async def test_the_bare_nats_script_beats_answers_and_remembers_steps(nats_server: NatsServer, nc: Client):
    beat = asyncio.create_task(first_heartbeat(nc))
    async with running("extract_nats.py", AGENTS, AOS_NATS_URL=nats_server.url, AOS_AGENT_ID="extract"):
        assert (await beat).agent_id == "extract"
        reply = await invoke(nc, "extract", invocation("Extract all facts", text_part(LETTER)))
        assert reply.step_id == "task.node"
        assert reply.outputs[0].text == (
            "Email addresses: ana@example.org\nDates: 4 May 2026\nPercentages: 12%\n"
            "Amounts of money: €86.50\nTelephone numbers: +49 30 1234567"
        )
        again = await invoke(nc, "extract", invocation("Extract all facts", text_part("Something else entirely")))
        assert again == reply
        body = invocation("Redact it", text_part(LETTER), skill="redact", step="task.other")
        redacted = await invoke(nc, "extract", body)
        assert redacted.outputs[0].text.startswith("Call [telephone number] or write to [email address] before 4 May")
        await says_what_is_no_invocation(nc, "extract")


async def test_the_echo_agent_counts_each_step_once(nats_server: NatsServer, nc: Client, tmp_path: Path):
    effects = tmp_path / "effects"
    effects.write_text("before.restart\n")
    beat = asyncio.create_task(first_heartbeat(nc))
    environment = {"AOS_NATS_URL": nats_server.url, "AOS_EFFECTS_FILE": str(effects)}
    async with running("echo_agent.py", EXAMPLES / "echo", **environment):
        assert (await beat).agent_id == "echo"
        for step in ("one", "two", "one", "before.restart"):
            reply = await invoke(nc, "echo", invocation("hello there", step=step))
            assert (reply.step_id, reply.outputs[0].text) == (step, "hello there")
        await says_what_is_no_invocation(nc, "echo")
    assert effects.read_text().split() == ["before.restart", "one", "two"]


async def test_the_http_service_judges_readability():
    port = free_port()
    async with running("readability_service.py", AGENTS, PORT=str(port)):
        url = f"http://127.0.0.1:{port}"
        await until_well(f"{url}/healthz")
        async with httpx.AsyncClient(base_url=url) as client:
            body = invocation("How hard is it to read?", file_part("reviews.txt"))
            reply = InvocationReply.model_validate_json((await client.post("/invoke", json=body)).content)
            assert "Readability: easy" in (reply.outputs[0].text or "")
            same = await client.post("/invoke", json=invocation("And this?", text_part("Entirely different words.")))
            assert same.json()["outputs"][0]["text"] == reply.outputs[0].text
            short = await client.post("/invoke", json=invocation("Judge", text_part("Hi."), step="task.short"))
            assert short.json()["error"]["code"] == "input_required"
            for garbage in (b"garbage", b"[]", b'{"step_id": "x"}', b'{"step_id": "x", "inputs": [1]}'):
                assert (await client.post("/invoke", content=garbage)).status_code == 400


async def test_the_openai_server_speaks_to_the_official_client(tmp_path: Path):
    port = free_port()
    async with running("passage_model.py", AGENTS, PORT=str(port)):
        await until_well(f"http://127.0.0.1:{port}/healthz")
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0) as client:
            assert [model.id async for model in await client.models.list()] == ["passage-quoter-1"]
            await answers_by_quoting(client)
            await streams_the_same_answer(client)
            await says_what_is_wrong(client)


QUESTION = "When does the ferry leave?"
TEXT = "The bus to town is red. The ferry to the island leaves at 9:15 on Monday. Tickets cost four euros."


def messages(question: str = QUESTION) -> list[dict]:
    return [{"role": "system", "content": "Quote."}, {"role": "user", "content": f"{TEXT}\n\n{question}"}]


async def answers_by_quoting(client: openai.AsyncOpenAI) -> None:
    done = await client.chat.completions.create(model="passage-quoter-1", messages=messages())
    assert done.choices[0].message.content == "The ferry to the island leaves at 9:15 on Monday."
    assert done.choices[0].finish_reason == "stop"
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens
    content = [{"type": "text", "text": QUESTION}, {"type": "text", "text": TEXT}]
    in_parts = await client.chat.completions.create(
        model="passage-quoter-1", messages=[{"role": "user", "content": content}]
    )
    assert in_parts.choices[0].message.content == done.choices[0].message.content
    unknown = await client.chat.completions.create(
        model="passage-quoter-1", messages=messages("What is the capital of France?")
    )
    assert unknown.choices[0].message.content == "The given text does not answer this question."
    cut = await client.chat.completions.create(model="passage-quoter-1", messages=messages(), max_completion_tokens=2)
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("The ferry", "length")


async def streams_the_same_answer(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="passage-quoter-1", messages=messages(), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == "The ferry to the island leaves at 9:15 on Monday."
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == 10


async def says_what_is_wrong(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist") as refused:
        await client.chat.completions.create(model="gpt-unknown", messages=messages())
    assert refused.value.code == "model_not_found"
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    with pytest.raises(openai.BadRequestError, match="text only"):
        await client.chat.completions.create(model="passage-quoter-1", messages=[{"role": "user", "content": picture}])
    with pytest.raises(openai.BadRequestError, match="at least one message"):
        await client.chat.completions.create(model="passage-quoter-1", messages=[])
    with pytest.raises(openai.NotFoundError):
        await client.embeddings.create(model="passage-quoter-1", input="words")
