"""Puts the HTTP door together. Called by the composition root and by tests; `server` serves it."""

from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.routing import Match, Route
from starlette.types import Scope

from gateway.http import agents, blobs, dead, embeddings, problems, service, task_words, tasks
from gateway.http.agents import Words
from gateway.http.doors import Doors
from gateway.http.embeddings import EmbeddingRequest
from gateway.http.known_parameters import KnownParameters
from gateway.http.methods import HeadRequests
from gateway.http.metrics import RequestMeter
from gateway.http.openapi import describe
from gateway.http.task_words import Decision, Word
from gateway.release import release

_DESCRIPTION = (
    "Publish a task (text, image, audio, files): the right team of agents does it, durably. "
    "Every error is problem JSON (RFC 9457) with a code and a next step. The tenant is the header X-AOS-Tenant."
)

_ROUTES = (tasks, task_words, agents, dead, blobs, embeddings, service)


class _DirectRoute(Route):
    """A plain route that is named in the scope, as the framework's own are, for `metrics`."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether this route answers."""
        match, found = super().matches(scope)
        return match, {**found, "route": self}


def create_app(doors: Doors) -> FastAPI:
    """The app over these use cases."""
    # Swagger UI at /docs from the package's own files, not from a CDN: it shows in networks closed to the outside.
    app = FastAPIOffline(title="AOS Gateway", version=release(), description=_DESCRIPTION, redoc_url=None)
    app.state.doors = doors
    # The innermost path goes straight to its endpoint. The framework's own route for it stays, for the description;
    # passing through it costs 15 % of the request's CPU time (measured).
    app.router.routes.append(_DirectRoute("/v1/tasks", tasks.submit, methods=["POST"]))
    for routes in _ROUTES:
        app.include_router(routes.router)
    problems.install(app)
    app.state.routes = [route for each in _ROUTES for route in each.router.routes]
    app.add_middleware(KnownParameters, routes=app.state.routes)
    app.add_middleware(HeadRequests)
    app.add_middleware(RequestMeter, metrics=doors.metrics)

    def openapi() -> dict[str, Any]:
        return describe(app, (Word, Decision, Words, EmbeddingRequest))

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way to extend the description
    return app
