"""Waits for something as long as the client waits too. Called by `tasks`."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

Outcome = TypeVar("Outcome")


async def while_there(request: Request, waited: Coroutine[Any, Any, Outcome]) -> Outcome:
    """What comes of it. Raises ClientDisconnect, with the wait ended, as soon as the client has hung up."""
    waiting, hung_up = asyncio.create_task(waited), asyncio.create_task(_hung_up(request))
    try:
        await asyncio.wait((waiting, hung_up), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientDisconnect
        return waiting.result()
    finally:
        for each in (waiting, hung_up):
            each.cancel()
        await asyncio.gather(waiting, hung_up, return_exceptions=True)


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
