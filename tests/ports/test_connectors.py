"""Every connector keeps the same promises to `running`, against a real agent of its kind."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from connector_peers import Peer, a_peer, ask

from agents.connectors.directory import ConnectorDirectory, Deferred
from agents.errors import AgentUnreachable, BadReply, StepFailed, StepTimedOut
from agents.ports.connectors import Connector
from schemas.invocation import InvocationReply
from schemas.parts import INLINE_LIMIT_BYTES, Modality, Part, data_part, text_part

KINDS = ("nats", "python", "http", "openai")
SPEAK_REPLIES = ("nats", "python", "http")  # chat completions cannot say which step they answer, or fail in words
PATIENCE_S = 20.0


@pytest.fixture
async def peer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Peer]:
    async with a_peer(request.param, tmp_path) as agent:
        yield agent


def of_kinds(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("peer", kinds, indirect=True)


async def invoke(peer: Peer, goal: str, timeout_s: float = PATIENCE_S, step: str = "t1.peer") -> InvocationReply:
    return await peer.connector.invoke(peer.card, ask(goal, step=step), timeout_s)


async def text_of(peer: Peer, goal: str) -> str | None:
    return (await invoke(peer, goal)).outputs[0].text


@of_kinds(*KINDS)
async def test_an_answer_comes_back_as_a_reply(peer: Peer) -> None:
    reply = await invoke(peer, "answer hello")
    assert reply.step_id == "t1.peer"
    assert [part.text for part in reply.outputs] == ["echo hello"]
    assert reply.error is None


@of_kinds(*KINDS)
async def test_many_steps_at_once_each_get_their_own_answer(peer: Peer) -> None:
    replies = await asyncio.gather(*(invoke(peer, f"answer {n}", step=f"t1.{n}") for n in range(32)))
    assert [(reply.step_id, reply.outputs[0].text) for reply in replies] == [
        (f"t1.{n}", f"echo {n}") for n in range(32)
    ]


@of_kinds(*SPEAK_REPLIES)
async def test_an_error_that_the_agent_reports_is_returned_not_raised(peer: Peer) -> None:
    reply = await invoke(peer, "fail")
    assert reply.error is not None
    assert (reply.error.code, reply.error.retryable) == ("busy", True)
    assert "try later" in reply.error.message


@of_kinds(*KINDS)
async def test_garbage_is_a_bad_reply_that_is_not_tried_again(peer: Peer) -> None:
    with pytest.raises(BadReply, match="peer answered") as caught:
        await invoke(peer, "garbage")
    assert caught.value.retryable is False
    assert (caught.value.step_id, caught.value.agent_id) == ("t1.peer", "peer")


@of_kinds(*KINDS)
async def test_an_answer_without_content_is_a_bad_reply(peer: Peer) -> None:
    with pytest.raises(BadReply):
        await invoke(peer, "empty")


@of_kinds(*SPEAK_REPLIES)
async def test_an_answer_to_another_step_is_a_bad_reply_worth_another_attempt(peer: Peer) -> None:
    with pytest.raises(BadReply, match=r"another\.step") as caught:
        await invoke(peer, "other")
    assert caught.value.retryable is True


@of_kinds(*KINDS)
async def test_an_agent_that_never_answers_times_out(peer: Peer) -> None:
    await invoke(peer, "answer warm")
    with pytest.raises(StepTimedOut, match=r"within 0\.3 s") as caught:
        await invoke(peer, "never", timeout_s=0.3)
    assert caught.value.retryable is True


@of_kinds(*KINDS)
async def test_a_late_answer_is_dropped_and_the_next_step_gets_its_own(peer: Peer) -> None:
    await invoke(peer, "answer warm")
    with pytest.raises(StepTimedOut):
        await invoke(peer, "late 0.4", timeout_s=0.2, step="t1.late")
    answers = [await text_of(peer, f"answer {n}") for n in range(3)]
    assert answers == ["echo 0", "echo 1", "echo 2"]


@of_kinds("nats")
async def test_a_second_answer_is_dropped(peer: Peer) -> None:
    assert await text_of(peer, "twice") == "first"
    assert await text_of(peer, "answer after") == "echo after"


@of_kinds("python", "http", "openai")
async def test_an_agent_that_exits_mid_step_is_unreachable_and_worth_another_attempt(peer: Peer) -> None:
    with pytest.raises(AgentUnreachable) as caught:
        await invoke(peer, "leave")
    assert caught.value.retryable is True
    assert await text_of(peer, "answer again") == "echo again"


@of_kinds("nats", "http", "openai")
async def test_an_agent_that_is_gone_is_unreachable_at_once(peer: Peer) -> None:
    await peer.stop()
    async with asyncio.timeout(20):
        with pytest.raises(AgentUnreachable) as caught:
            await invoke(peer, "answer")
    assert caught.value.retryable is True


@of_kinds(*KINDS)
async def test_a_big_output_comes_back_by_reference_with_its_bytes_in_the_store(peer: Peer) -> None:
    size = 2 * INLINE_LIMIT_BYTES
    (part,) = (await invoke(peer, f"big {size}")).outputs
    assert part.text is None
    assert part.data is None
    assert part.ref is not None
    assert part.ref.size_bytes == size
    assert part.ref.digest == "sha256:" + hashlib.sha256(b"x" * size).hexdigest()
    assert await peer.blobs.get(part.ref) == b"x" * size


@of_kinds(*KINDS)
async def test_an_output_at_the_limit_stays_inline(peer: Peer) -> None:
    (part,) = (await invoke(peer, f"big {INLINE_LIMIT_BYTES}")).outputs
    assert part.text == "x" * INLINE_LIMIT_BYTES


@of_kinds(*SPEAK_REPLIES)
async def test_a_reference_to_nothing_is_a_bad_reply(peer: Peer) -> None:
    with pytest.raises(BadReply, match="not in the object store"):
        await invoke(peer, "reference sha256:" + "0" * 64)


@of_kinds(*SPEAK_REPLIES)
async def test_a_reference_to_stored_bytes_is_kept(peer: Peer) -> None:
    ref = await peer.blobs.put_bytes(b"kept")
    (part,) = (await invoke(peer, f"reference {ref.digest}")).outputs
    assert part.ref is not None
    assert part.ref.digest == ref.digest


@of_kinds(*KINDS)
async def test_cancelling_a_step_passes_through_and_leaves_the_connector_usable(peer: Peer) -> None:
    await invoke(peer, "answer warm")
    step = asyncio.create_task(invoke(peer, "never"))
    await asyncio.sleep(0.05)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert await text_of(peer, "answer next") == "echo next"


@of_kinds(*KINDS)
async def test_probing_says_whether_the_agent_can_work(peer: Peer) -> None:
    assert await peer.connector.probe(peer.card) is (None if peer.kind == "nats" else True)
    await peer.stop()
    assert await peer.connector.probe(peer.card) is (None if peer.kind == "nats" else False)


@of_kinds(*KINDS)
async def test_the_directory_hands_a_card_to_the_connector_of_its_kind(peer: Peer) -> None:
    directory = ConnectorDirectory({peer.kind: peer.connector})
    reply = await directory.invoke(peer.card, ask("answer through"), PATIENCE_S)
    assert reply.outputs[0].text == "echo through"
    nobody = ConnectorDirectory({})
    assert await nobody.probe(peer.card) is False
    with pytest.raises(StepFailed, match="this worker speaks"):
        await nobody.invoke(peer.card, ask("answer"), PATIENCE_S)


async def test_a_deferred_connector_is_made_once_and_only_when_it_is_needed(tmp_path: Path) -> None:
    async with a_peer("http", tmp_path) as peer:
        made: list[str] = []

        def make() -> Connector:
            made.append("one")
            return peer.connector

        deferred = Deferred(make)
        await deferred.close()
        assert made == []
        replies = await asyncio.gather(*(deferred.invoke(peer.card, ask("answer x"), PATIENCE_S) for _ in range(4)))
        assert [reply.outputs[0].text for reply in replies] == ["echo x"] * 4
        assert await deferred.probe(peer.card) is True
        assert made == ["one"]
        await deferred.close()


# What only some kinds promise ---------------------------------------------------------------------------------------


@of_kinds("nats")
async def test_inputs_too_large_for_one_bus_message_go_by_reference(peer: Peer) -> None:
    parts = [text_part("x" * 800_000, f"{n}.txt") for n in range(8)]
    reply = await peer.connector.invoke(peer.card, ask("count", *parts), PATIENCE_S)
    assert reply.outputs[0].text == "8"
    sent = peer.seen[0]["inputs"]
    moved = [part["ref"] for part in sent if part["ref"]]
    assert 0 < len(moved) < 8
    assert all(ref["url"] == f"http://gateway/v1/blobs/{ref['digest']}" for ref in moved)


@of_kinds("nats")
async def test_a_request_that_nothing_can_make_small_enough_is_refused_in_words(peer: Peer) -> None:
    with pytest.raises(StepFailed, match="shorten the goal") as caught:
        await invoke(peer, "answer " + "x" * 5_000_000)
    assert caught.value.retryable is False


@of_kinds("http")
@pytest.mark.parametrize(("status", "again"), [(429, True), (500, True), (503, True), (400, False), (404, False)])
async def test_http_errors_are_worth_another_attempt_when_they_may_pass(peer: Peer, status: int, again: bool) -> None:
    with pytest.raises(AgentUnreachable, match=f"HTTP {status}") as caught:
        await invoke(peer, f"status {status}")
    assert caught.value.retryable is again


@of_kinds("http")
async def test_headers_come_from_the_environment_and_connections_are_kept(peer: Peer) -> None:
    await invoke(peer, "answer")
    headers, invocation = peer.seen[0]
    assert headers["x-key"] == "secret"
    assert headers["content-type"] == "application/json"
    assert invocation["step_id"] == "t1.peer"


@of_kinds("openai")
@pytest.mark.parametrize(("status", "again"), [(429, True), (500, True), (503, True), (400, False), (401, False)])
async def test_model_errors_are_worth_another_attempt_when_they_may_pass(peer: Peer, status: int, again: bool) -> None:
    with pytest.raises(AgentUnreachable, match=f"HTTP {status}.*status {status}") as caught:
        await invoke(peer, f"status {status}")
    assert caught.value.retryable is again


@of_kinds("openai")
@pytest.mark.parametrize("goal", ["garbage text/html", "garbage application/json", "nochoice"])
async def test_what_is_no_completion_is_a_bad_reply(peer: Peer, goal: str) -> None:
    with pytest.raises(BadReply):
        await invoke(peer, goal)


@of_kinds("openai")
async def test_a_model_gets_goal_texts_and_pictures_and_its_usage_comes_back(peer: Peer) -> None:
    picture = await peer.blobs.put_bytes(b"\x89PNG")
    reply = await peer.connector.invoke(
        peer.card,
        ask(
            "answer what is this?",
            text_part("answer what is this?"),
            text_part("a note", "note.txt"),
            Part(modality=Modality.IMAGE, media_type="image/png", ref=picture),
        ),
        PATIENCE_S,
    )
    headers, body = peer.seen[0]
    system, user = body["messages"]
    assert headers["authorization"] == "Bearer sk-test"
    assert body["model"] == "tiny"
    assert system == {"role": "system", "content": "Be brief."}
    assert user["content"] == [
        {"type": "text", "text": "answer what is this?\n\nnote.txt:\na note"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
    ]
    assert reply.usage == {"model": "tiny", "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@of_kinds("openai")
async def test_a_model_says_what_it_cannot_read(peer: Peer) -> None:
    sound = data_part(b"RIFF", Modality.AUDIO, "audio/wav", "voice.wav")
    reply = await peer.connector.invoke(peer.card, ask("answer", sound), PATIENCE_S)
    assert reply.error is not None
    assert reply.error.code == "unreadable_input"
    assert "voice.wav" in reply.error.message
