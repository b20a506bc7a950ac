"""The routes about the door itself: where to look, whether it lives, whether it is ready, and its numbers."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from gateway.http.doors import doors_of
from gateway.http.problems import respond
from gateway.readiness import Ready
from schemas.problem import Problem

router = APIRouter(tags=["service"])

_PLACES = {
    "tasks": "/v1/tasks",
    "agents": "/v1/agents",
    "dead letters": "/v1/dead",
    "reference": "/docs",
    "openapi": "/openapi.json",
    "ready": "/readyz",
    "metrics": "/metrics",
}


@router.get("/", include_in_schema=False)
async def index(request: Request) -> Response:
    """Where to look; for people as a page."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"service": "aos-gateway", "links": _PLACES})
    places = "".join(f'<li><a href="{path}">{name}</a></li>' for name, path in _PLACES.items())
    return HTMLResponse(f"<!doctype html><title>AOS Gateway</title><h1>AOS Gateway</h1><ul>{places}</ul>")


@router.get("/healthz", summary="Whether the process lives")
async def healthz() -> Response:
    """Answers as long as the process can."""
    return JSONResponse({"alive": True})


@router.get("/readyz", summary="Whether tasks can be accepted", responses={200: {"model": Ready}})
async def readyz(request: Request) -> Response:
    """503 while the bus or its streams are away. Workers are reported, not required."""
    ready = await doors_of(request).readiness.check()
    if ready.ready:
        return Response(ready.model_dump_json(), media_type="application/json")
    problem = Problem(
        title="Not ready",
        status=503,
        detail=f"bus {ready.bus}; streams {ready.streams}",
        instance="/readyz",
        code="not_ready",
        next_step="check that nats-server runs and that AOS_NATS_URL points to it",
    )
    return respond(problem, 1)


@router.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    return Response(doors_of(request).metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
