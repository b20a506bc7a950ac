"""Counts what the door does, for Prometheus. Labels come from closed sets: routes, not paths; kinds, not ids.

``RequestMeter`` wraps the app; ``DoorMetrics`` is told of publishes and acceptances, and hears the tasks' events.
"""

import time

from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.task_following import kind_of
from schemas import subjects
from schemas.task import Priority, TaskEventKind

_QUEUE = "door-metrics"
"""Doors share the events among them, so that the sum over all doors counts each event once."""

_METHODS = frozenset({"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"})
_KINDS = frozenset(kind.value for kind in TaskEventKind)
_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class DoorMetrics:
    """The door's instruments, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "aos_http_requests", "HTTP requests", ["method", "route", "status"], registry=self.registry
        )
        self.latency = Histogram(
            "aos_http_request_seconds", "Time to answer", ["route"], buckets=_BUCKETS_S, registry=self.registry
        )
        self.in_flight = Gauge("aos_http_requests_in_flight", "Requests being answered", registry=self.registry)
        self._accepted = Counter("aos_tasks_accepted", "Tasks accepted here", ["priority"], registry=self.registry)
        self._publish = Histogram(
            "aos_publish_seconds", "Time to the bus's ack", buckets=_BUCKETS_S, registry=self.registry
        )
        self._events = Counter("aos_task_events", "Moments of tasks' lives", ["kind"], registry=self.registry)
        self._accepted_by = {priority: self._accepted.labels(priority.value) for priority in Priority}
        self._events_by = {kind.encode(): self._events.labels(kind) for kind in (*_KINDS, "other")}

    def accepted(self, priority: Priority) -> None:
        """A task came in."""
        self._accepted_by[priority].inc()

    def published(self, seconds: float) -> None:
        """The bus took that long to store a message, or to fail to."""
        self._publish.observe(seconds)

    async def listen(self, nc: Client) -> None:
        """Count the tasks' events from now until the connection closes."""
        await nc.subscribe(subjects.EVENT_ALL, queue=_QUEUE, cb=self._count)

    async def _count(self, message: Msg) -> None:
        self._events_by.get(kind_of(message.data), self._events_by[b"other"]).inc()

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


class RequestMeter:
    """Counts and times every request. Plain ASGI: a middleware class of the framework costs more than a request."""

    def __init__(self, app: ASGIApp, metrics: DoorMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, and note it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, noted)
        finally:
            self._metrics.in_flight.dec()
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.latency.labels(route).observe(seconds)
