"""A server of the OpenAI chat completions protocol whose 'model' quotes passages: extractive, no language model inside.

It answers a question with the sentences of the given text that match it best, word for word, and says so when none
does. GET /v1/models, GET /v1/models/{id}, POST /v1/chat/completions (whole or streamed), errors in OpenAI's format.
Any OpenAI-compatible server can take its place: change ``base_url`` and ``model`` on the card.
"""

import json
import os
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from passages import answer_from
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

DEFAULT_PORT = 8912
MODEL = "passage-quoter-1"
CARD = {"id": MODEL, "object": "model", "created": 1_767_225_600, "owned_by": "samples"}
MOST_BODY_BYTES = 8 * 1024 * 1024


class BadRequest(Exception):
    """A request that cannot be served, in the fields of OpenAI's error object."""

    def __init__(self, message: str, param: str | None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


async def models(_request: Request) -> Response:
    """The one model."""
    return JSONResponse({"object": "list", "data": [CARD]})


async def model(request: Request) -> Response:
    """The model by its id."""
    _known(request.path_params["model"])
    return JSONResponse(CARD)


async def health(_request: Request) -> Response:
    """Reaching this is being well."""
    return PlainTextResponse("ok")


async def chat_completions(request: Request) -> Response:
    """Answer the last question from the text of the conversation."""
    body = await _body(request)
    pieces = _pieces(body["messages"])
    said = await run_in_threadpool(answer_from, pieces)
    words, finish = said.split(" "), "stop"
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if isinstance(limit, int) and len(words) > limit > 0:
        words, finish = words[:limit], "length"
    prompt = sum(len(piece.split()) for piece in pieces)
    usage = {"prompt_tokens": prompt, "completion_tokens": len(words), "total_tokens": prompt + len(words)}
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": MODEL}
    if body.get("stream"):
        wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        events = _events(head, words, finish, usage if wants_usage else None)
        return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
    message = {"role": "assistant", "content": " ".join(words), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return JSONResponse({**head, "object": "chat.completion", "choices": [choice], "usage": usage})


async def _events(
    head: dict[str, Any], words: list[str], finish: str, usage: dict[str, int] | None
) -> AsyncIterator[bytes]:
    """Server-sent events: the role, each word, the reason of the end, the usage when asked for, [DONE]."""
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": word if number == 0 else f" {word}"}, None) for number, word in enumerate(words)]
    deltas.append(({}, finish))
    head = {**head, "object": "chat.completion.chunk"}
    for delta, reason in deltas:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        yield _event({**head, "choices": [choice]})
    if usage is not None:
        yield _event({**head, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _event(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


async def _body(request: Request) -> dict[str, Any]:
    if int(request.headers.get("content-length") or 0) > MOST_BODY_BYTES:
        raise BadRequest("The request is larger than 8 MiB.", None, "request_too_large", 413)
    try:
        body = await request.json()
    except ValueError as problem:
        raise BadRequest("We could not parse the JSON body of your request.", None) from problem
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list) or not body["messages"]:
        raise BadRequest(
            "'messages' must be a list with at least one message.", "messages", "missing_required_parameter"
        )
    if not isinstance(body.get("model"), str):
        raise BadRequest("You must provide a model parameter.", "model", "missing_required_parameter")
    _known(body["model"])
    if body.get("n") not in (None, 1):
        raise BadRequest("This model gives one choice: leave 'n' out.", "n", "unsupported_value")
    if body.get("tools"):
        raise BadRequest("This model calls no tools.", "tools", "unsupported_parameter")
    return body


def _known(name: str) -> None:
    if name != MODEL:
        raise BadRequest(
            f"The model '{name}' does not exist; this server has '{MODEL}'.", "model", "model_not_found", 404
        )


def _pieces(messages: list[Any]) -> list[str]:
    """The texts of the user's messages, in order; content may be a string or a list of text parts."""
    pieces: list[str] = []
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or "role" not in message:
            raise BadRequest(f"'messages[{number}]' must be an object with a role.", f"messages[{number}]")
        content = message.get("content") or ""
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
                kind = part.get("type") if isinstance(part, dict) else type(part).__name__
                raise BadRequest(
                    f"This model reads text only, not {kind}.", f"messages[{number}].content", "unsupported_value"
                )
            if message["role"] == "user" and part["text"].strip():
                pieces.append(part["text"])
    if not pieces:
        raise BadRequest("There is no text in a message of role 'user'.", "messages")
    return pieces


async def _refused(_request: Request, problem: Exception) -> Response:
    if isinstance(problem, HTTPException):
        error = {"message": str(problem.detail), "type": "invalid_request_error", "param": None, "code": None}
        return JSONResponse({"error": error}, problem.status_code)
    assert isinstance(problem, BadRequest)
    kind = "invalid_request_error"
    error = {"message": str(problem), "type": kind, "param": problem.param, "code": problem.code}
    return JSONResponse({"error": error}, problem.status)


def app() -> Starlette:
    """The server, ready to be served."""
    routes = [
        Route("/v1/models", models),
        Route("/v1/models/{model}", model),
        Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        Route("/healthz", health),
    ]
    return Starlette(routes=routes, exception_handlers={BadRequest: _refused, HTTPException: _refused})


if __name__ == "__main__":
    uvicorn.run(app(), host="127.0.0.1", port=int(os.environ.get("PORT", DEFAULT_PORT)), log_level="warning")
