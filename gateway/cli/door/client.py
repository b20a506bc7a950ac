"""A client of the HTTP door. Used by every command that talks to a running gateway, and by the demo.

Problem JSON becomes ``Failed`` with its next step; a gateway that does not answer says how to start one.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from gateway.cli.door.event_stream import ServerEvent, parse
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import settings_from
from schemas.task import TaskState

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 60.0
SILENCE_S = 60.0
"""An event stream that stays silent for longer, keep-alives included, is opened again."""
RESUMES = 20
RESUME_AFTER_S = 1.0
"""As the door itself asks for in its streams."""
OVER = frozenset(state.value for state in TaskState if state.terminal)

Json = dict[str, Any]


class GatewayClient:
    """One connection pool to one gateway, acting for one tenant. Use with ``async with``."""

    def __init__(self, url: str, tenant: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers={"X-AOS-Tenant": tenant},
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: str | int | None) -> Any:  # noqa: ANN401 - the door's JSON
        """GET and parse. Raises Failed."""
        return (await self._ask("GET", path, params=_given(query))).json()

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - the door's JSON
        """POST JSON and parse the answer; None when there is none. Raises Failed."""
        answer = await self._ask("POST", path, json=body if body is not None else {})
        return answer.json() if answer.content else None

    async def delete(self, path: str) -> None:
        """DELETE. Raises Failed."""
        await self._ask("DELETE", path)

    async def submit(
        self, draft: Mapping[str, Any], attachments: Sequence[Path] = (), *, key: str | None = None, wait_s: float = 0
    ) -> Json:
        """POST /v1/tasks: the task's id and state, or with ``wait_s`` its finished record. Raises Failed."""
        return await self.send_draft("/v1/tasks", draft, attachments, key=key, wait_s=wait_s)

    async def send_draft(
        self,
        path: str,
        draft: Mapping[str, Any],
        attachments: Sequence[Path] = (),
        *,
        key: str | None = None,
        wait_s: float = 0,
    ) -> Json:
        """POST a task's draft; files are streamed from disk, never held in memory. Raises Failed."""
        arguments: dict[str, Any] = {
            "headers": {"Idempotency-Key": key} if key else {},
            "params": {"wait": wait_s} if wait_s else {},
            "timeout": httpx.Timeout(ANSWER_TIMEOUT_S + wait_s, connect=CONNECT_TIMEOUT_S),
        }
        if not attachments:
            return dict((await self._ask("POST", path, json=dict(draft), **arguments)).json())
        with ExitStack() as opened:
            files = [("file", (file.name, opened.enter_context(_open(file)))) for file in attachments]
            return dict((await self._ask("POST", path, data=_form(draft), files=files, **arguments)).json())

    async def download(self, path: str, target: Path) -> int:
        """Stream a GET into a file; how many bytes came. Raises Failed."""
        size = 0
        try:
            async with self._http.stream("GET", path) as answer:
                await self._refuse(answer)
                with target.open("wb") as file:
                    async for chunk in answer.aiter_bytes():
                        size += file.write(chunk)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        return size

    async def events(self, task_id: str) -> AsyncGenerator[ServerEvent, None]:
        """The task's events from its first to its last; a stream that ends before is taken up where it ended.

        Raises Failed when nobody answers: at once before the first event, later after as many tries as ``RESUMES``.
        """
        last_id, kind, broken = "", "", 0
        while True:
            try:
                async for event in self._events_after(task_id, last_id):
                    last_id, kind, broken = event.id or last_id, event.event, 0
                    yield event
                if (await self.record(task_id, kind))["state"] in OVER:
                    return
            except Failed as failure:
                if failure.exit_code is not ExitCode.UNREACHABLE or broken >= (RESUMES if last_id else 0):
                    raise
            broken += 1
            await asyncio.sleep(RESUME_AFTER_S)

    async def record(self, task_id: str, told: str = "") -> Json:
        """The task's record. Where a message was refused on the bus there is only what was ``told``. Raises Failed."""
        try:
            return dict(await self.get(f"/v1/tasks/{task_id}"))
        except Failed as failure:
            if failure.exit_code is not ExitCode.NOT_FOUND or told not in OVER:
                raise
            return {"task_id": task_id, "state": told}

    async def _events_after(self, task_id: str, last_id: str) -> AsyncGenerator[ServerEvent, None]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
        timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_TIMEOUT_S)
        path = f"/v1/tasks/{task_id}/events"
        try:
            async with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
                await self._refuse(answer)
                async for event in parse(answer.aiter_lines()):
                    yield event
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    async def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        try:
            answer = await self._http.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        await self._refuse(answer)
        return answer

    async def _refuse(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        await answer.aread()
        raise failure_of(answer.status_code, answer.text)

    def _unreachable(self, error: httpx.TransportError) -> Failed:
        return Failed(
            f"the gateway at {self.url} does not answer",
            exit_code=ExitCode.UNREACHABLE,
            code="unreachable",
            detail=str(error) or type(error).__name__,
            next_step="start one with `aos up`, or say where it is with --url or AOS_URL",
        )


def client(tenant: str | None, url: str | None) -> GatewayClient:
    """A client of the gateway that a command's options, or else the settings, name."""
    settings = settings_from({"tenant": tenant, "url": url}).settings
    return GatewayClient(settings.gateway_url, settings.tenant)


def failure_of(status: int, body: str) -> Failed:
    """The gateway's refusal, from problem JSON when it sent that."""
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return Failed(f"the gateway answered {status}", detail=body[:500], exit_code=_exit_code(status))
    return Failed(
        str(problem.get("title") or f"the gateway answered {status}"),
        exit_code=_exit_code(status),
        code=str(problem.get("code", "")),
        detail=str(problem.get("detail", "")),
        next_step=str(problem.get("next_step", "")),
        problem=problem,
    )


def _exit_code(status: int) -> ExitCode:
    if status == httpx.codes.NOT_FOUND:
        return ExitCode.NOT_FOUND
    return ExitCode.UNREACHABLE if status in (502, 503, 504) else ExitCode.FAILED


def _given(query: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in query.items() if value is not None}


def _form(draft: Mapping[str, Any]) -> dict[str, str]:
    """The draft as form fields: words and numbers as they are, everything else as JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in draft.items()}


def _open(path: Path) -> Any:  # noqa: ANN401 - a binary file
    try:
        return path.open("rb")
    except OSError as error:
        raise Failed(
            f"attachment {path} cannot be read: {error.strerror}", exit_code=ExitCode.USAGE, code="attachment_missing"
        ) from error
