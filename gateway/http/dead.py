"""The routes about work that was given up."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.dead_letters import DeadLetter, DeadPage, Purged, Redriven
from gateway.http.bodies import tenant_of
from gateway.http.doors import doors_of
from gateway.http.openapi import answers
from schemas.base import now

router = APIRouter(tags=["dead letters"])

Sequence = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/v1/dead", summary="List what was given up, newest first", responses=answers({200: DeadPage}))
async def list_dead(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="from the page before")] = None,
) -> Response:
    """A page of dead letters without their payloads."""
    page = await doors_of(request).dead.page(tenant_of(request), limit=limit, before_seq=cursor)
    return Response(page.model_dump_json(), media_type="application/json")


@router.get("/v1/dead/{seq}", summary="Read a dead letter", responses=answers({200: DeadLetter}))
async def show_dead(request: Request, seq: Sequence) -> Response:
    """One letter with its reason and payload."""
    letter = await doors_of(request).dead.show(tenant_of(request), seq)
    return Response(letter.model_dump_json(), media_type="application/json")


@router.post("/v1/dead/{seq}/redrive", summary="Try dead work again", responses=answers({202: Redriven}))
async def redrive_dead(request: Request, seq: Sequence) -> Response:
    """Send the original message round again. Asking twice is harmless."""
    redriven = await doors_of(request).dead.redrive(tenant_of(request), seq)
    return Response(redriven.model_dump_json(), status_code=202, media_type="application/json")


@router.delete("/v1/dead/{seq}", summary="Let dead work go", status_code=204)
async def remove_dead(request: Request, seq: Sequence) -> Response:
    """The letter is gone for good: its work can never be tried again."""
    await doors_of(request).dead.remove(tenant_of(request), seq)
    return Response(status_code=204)


@router.post("/v1/dead/purge", summary="Let all dead work go", responses=answers({200: Purged}))
async def purge_dead(
    request: Request,
    before: Annotated[datetime | None, Query(description="only what was given up before that moment")] = None,
) -> Response:
    """Every dead letter of the tenant, or those before a moment, for good."""
    moment = before or now()
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    purged = await doors_of(request).dead.purge(tenant_of(request), moment)
    return Response(purged.model_dump_json(), media_type="application/json")
