"""Refuses query parameters that a route does not take: ``?limt=5`` is a mistake, not a wish to be ignored.

Wraps the app, so that no route has to think of it. What a route takes is what its description says. A request without a
query string, as nearly all are, passes untouched.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from urllib.parse import parse_qsl

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.problems import invalid, respond
from schemas.problem import FieldProblem, Problem

_OURS = "/v1/"
"""Probes, scrapers and browsers add to the addresses of the rest what they like."""
_OPENAI = frozenset({"/v1/embeddings"})
"""Clients of OpenAI's interface add parameters of their own, such as ``api-version``."""
_TOLD = 3


class KnownParameters:
    """Answers 422 when the query names what the route does not take, with the name that was meant."""

    def __init__(self, app: ASGIApp, routes: Sequence[APIRoute]) -> None:
        self._app = app
        self._routes = [(route, taken_by(route)) for route in routes if is_strict(route)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, unless there is an unknown parameter."""
        asked = scope["type"] == "http" and scope["query_string"] and scope["path"].startswith(_OURS)
        problem = self._problem(scope) if asked else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await respond(problem)(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        for route, taken in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                given = [name for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)]
                unknown = [name for name in dict.fromkeys(given) if name not in taken]
                if not unknown:
                    return None
                scope["route"] = route  # for `metrics`: the router is not asked any more
                return _refusal(unknown, taken, Request(scope).url.path)
        return None


def is_strict(route: APIRoute) -> bool:
    """Whether unknown parameters are refused here."""
    return route.path.startswith(_OURS) and route.path not in _OPENAI


def taken_by(route: APIRoute) -> tuple[str, ...]:
    """The query parameters of a route: those that its function takes, and those described that it reads itself."""
    declared = [field.alias for field in route.dependant.query_params]
    described = [each["name"] for each in (route.openapi_extra or {}).get("parameters", ()) if each["in"] == "query"]
    return (*declared, *described)


def _refusal(unknown: Sequence[str], taken: tuple[str, ...], path: str) -> Problem:
    fields = tuple(
        FieldProblem(field=f"query.{name[:100]}", problem=_words(name, taken), expected=_expected(taken))
        for name in unknown[:_TOLD]
    )
    problem = invalid(fields, path, "parameter_unknown")
    detail = "; ".join(field.problem for field in fields)
    return problem.model_copy(update={"detail": detail, "next_step": f"send {_expected(taken)}"})


def _words(name: str, taken: tuple[str, ...]) -> str:
    nearest = get_close_matches(name[:100].lower(), taken, n=1)
    return f"unknown parameter {name[:100]}" + (f"; did you mean {nearest[0]}" if nearest else "")


def _expected(taken: tuple[str, ...]) -> str:
    return f"only {', '.join(sorted(taken))}" if taken else "no query parameters here"
