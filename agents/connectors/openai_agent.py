"""Reaches models behind an OpenAI-compatible chat API. Called by `running` for endpoint kind openai.

The goal and the text parts become one user message, pictures go along as data URLs, and the answer is one text part.
Importing the client takes about a second: the wiring imports this module when the first such agent is met.
"""

import asyncio
import base64
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import openai
from openai import AsyncOpenAI
from pydantic import BaseModel, ValidationError

from agents.connectors.claim_check import checked_in
from agents.connectors.faults import bad_reply, timed_out, unreachable
from agents.connectors.replies import bounded_body
from agents.errors import BadReply
from schemas.card import AgentCard, OpenAIEndpoint
from schemas.invocation import Invocation, InvocationError, InvocationReply
from schemas.parts import Modality, Part, text_part
from tensor_layer.ports import Blobs

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionContentPartParam, ChatCompletionMessageParam

MAX_CLIENTS = 64
MAX_INPUT_BYTES = 20 * 1024 * 1024
PROBE_S = 2.0
RETRYABLE_STATUS = frozenset({408, 409, 429})
READABLE = frozenset({Modality.TEXT, Modality.TABLE, Modality.DATA, None})
NO_KEY = "none"  # local servers want no key, the client insists on one


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message


class _Completion(BaseModel):
    """What is read of an answer. The client's own type is not checked: it believes whatever a server sends."""

    choices: list[_Choice]
    model: str = ""
    usage: dict[str, Any] | None = None


class OpenAIConnector:
    """Implements ``ports.Connector`` with one client for each server and key. Safe for concurrent use."""

    def __init__(self, blobs: Blobs, *, env: Mapping[str, str]) -> None:
        """``env`` holds the API keys that cards name in ``api_key_env``."""
        self._blobs = blobs
        self._env = env
        self._clients: OrderedDict[tuple[str, str], AsyncOpenAI] = OrderedDict()

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        """Ask the model once. Raises StepTimedOut, AgentUnreachable, BadReply."""
        endpoint = _endpoint(card)
        unreadable = _unreadable(invocation)
        if unreadable is not None:
            return InvocationReply(step_id=invocation.step_id, error=unreadable)
        messages = await self._messages(endpoint, invocation)
        completion = await self._complete(endpoint, messages, invocation, timeout_s)
        return await checked_in(_reply(completion, invocation), invocation, self._blobs)

    async def probe(self, card: AgentCard) -> bool | None:
        """Whether the server answers and takes the key. Servers without a list of models count as able."""
        try:
            # Raw: the client itself breaks on a list that is none, which small servers send.
            await self._client(_endpoint(card)).models.with_raw_response.list(timeout=PROBE_S)
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.InternalServerError):
            return False
        except openai.APIStatusError:
            return True
        except openai.APIError:
            return False
        return True

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, OrderedDict()
        await asyncio.gather(*(client.close() for client in clients.values()))

    async def _complete(
        self,
        endpoint: OpenAIEndpoint,
        messages: "Sequence[ChatCompletionMessageParam]",
        invocation: Invocation,
        timeout_s: float,
    ) -> _Completion:
        try:
            async with asyncio.timeout(timeout_s):
                asking = self._client(endpoint).chat.completions.with_streaming_response.create(
                    model=endpoint.model, messages=list(messages), temperature=endpoint.temperature
                )
                async with asking as answer:
                    return _read(await _body(answer.iter_bytes(), invocation), invocation)
        except (TimeoutError, openai.APITimeoutError) as error:
            raise timed_out(invocation, timeout_s) from error
        except openai.APIStatusError as error:
            again = error.status_code in RETRYABLE_STATUS or error.status_code >= 500
            said = error.message[:300].encode(errors="replace").decode()  # half a character is in no message of ours
            raise unreachable(invocation, f"HTTP {error.status_code}: {said}", retryable=again) from error
        except openai.APIConnectionError as error:
            raise unreachable(invocation, f"{endpoint.base_url}: {error.__cause__ or error}") from error

    async def _messages(self, endpoint: OpenAIEndpoint, invocation: Invocation) -> "list[ChatCompletionMessageParam]":
        texts = [invocation.goal]
        pictures: list[ChatCompletionContentPartParam] = []
        for part in invocation.inputs:
            if part.modality is Modality.IMAGE:
                pictures.append({"type": "image_url", "image_url": {"url": await self._data_url(part)}})
            elif part.text != invocation.goal:
                texts.append(await self._text(part))
        said = "\n\n".join(text for text in texts if text)
        user: ChatCompletionMessageParam = {"role": "user", "content": said}
        if pictures:
            user = {"role": "user", "content": [{"type": "text", "text": said}, *pictures]}
        return [{"role": "system", "content": endpoint.system_prompt}, user] if endpoint.system_prompt else [user]

    async def _text(self, part: Part) -> str:
        text = (await self._content(part)).decode(errors="replace")
        return f"{part.name}:\n{text}" if part.name else text

    async def _data_url(self, part: Part) -> str:
        encoded = base64.b64encode(await self._content(part)).decode()
        return f"data:{part.media_type or 'image/png'};base64,{encoded}"

    async def _content(self, part: Part) -> bytes:
        if part.ref is not None:
            return await self._blobs.get(part.ref)
        return part.inline_bytes() or b""

    def _client(self, endpoint: OpenAIEndpoint) -> AsyncOpenAI:
        key = (str(endpoint.base_url), self._env.get(endpoint.api_key_env or "", "") or NO_KEY)
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = AsyncOpenAI(base_url=key[0], api_key=key[1], max_retries=0)
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
        self._clients.move_to_end(key)
        return client


def _endpoint(card: AgentCard) -> OpenAIEndpoint:
    assert isinstance(card.endpoint, OpenAIEndpoint), f"{card.id} is no openai agent"
    return card.endpoint


def _unreadable(invocation: Invocation) -> InvocationError | None:
    for part in invocation.inputs:
        if part.modality not in READABLE | {Modality.IMAGE}:
            kind = part.modality.value if part.modality else "unknown"
            problem = f"A chat model reads text and pictures, not {kind} ({part.name or part.media_type})."
            return InvocationError(code="unreadable_input", message=problem)
        if part.ref is not None and part.ref.size_bytes > MAX_INPUT_BYTES:
            problem = (
                f"{part.name or 'An input'} has {part.ref.size_bytes} bytes; a chat model takes {MAX_INPUT_BYTES}."
            )
            return InvocationError(code="input_too_large", message=problem)
    return None


async def _body(chunks: AsyncIterator[bytes], invocation: Invocation) -> bytes:
    try:
        return await bounded_body(chunks, invocation)
    except BadReply:
        raise
    except Exception as error:  # with which HTTP library the client reads, and how that one fails, is its own affair
        raise unreachable(invocation, f"its answer broke off: {error or type(error).__name__}") from error


def _read(body: bytes, invocation: Invocation) -> _Completion:
    try:
        return _Completion.model_validate_json(body)
    except ValidationError as error:
        said = body[:200].decode(errors="replace")
        raise bad_reply(invocation, f"something that is no chat completion: {said!r}") from error


def _reply(completion: _Completion, invocation: Invocation) -> InvocationReply:
    text = completion.choices[0].message.content if completion.choices else None
    if not text:
        raise bad_reply(invocation, "without any text")
    return InvocationReply(
        step_id=invocation.step_id,
        outputs=(text_part(text, f"{invocation.agent_id}.txt"),),
        usage={"model": completion.model, **(completion.usage or {})},
    )
