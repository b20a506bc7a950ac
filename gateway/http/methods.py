"""HEAD wherever GET is answered (RFC 9110, section 9.3.2), and which methods an address takes.

Called by `app`. Monitors and load balancers ask with HEAD; the framework answers it on none of its routes.
"""

from collections.abc import Sequence

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """Answers HEAD as GET, without its content: of streams not more than the head is made."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        ended = False

        async def head_only(message: Message) -> None:
            nonlocal ended
            if ended:
                return
            if message["type"] == "http.response.body":
                ended = True  # the server says now that nobody listens, which ends a stream
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        asked = {**scope, "method": "GET"}
        try:
            await self._app(asked, receive, head_only)
        finally:
            scope["route"] = asked.get("route")  # for `metrics`


def allowed(routes: Sequence[APIRoute], scope: Scope) -> str:
    """The methods that the address takes, as the header Allow says them; empty when it is none of the routes'."""
    here = [route for route in routes if route.matches(scope)[0] is not Match.NONE]
    methods = {method for route in here for method in route.methods or ()}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))
