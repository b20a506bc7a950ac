"""The routes about agents, and the dry run that says who would do a task."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from agents.registry.card_files import parse_card
from gateway.agent_desk import PAGE_MAX, AgentPage, AgentView
from gateway.http.bodies import read_body, read_model, tenant_of, text_of
from gateway.http.doors import doors_of
from gateway.http.openapi import answers, body_of
from gateway.http.tasks import read_draft
from gateway.task_draft import EXAMPLES, TaskDraft
from schemas.base import Message
from schemas.card import AgentCard, CardRevision
from schemas.explain import Explanation, SearchFilter, SearchReply, SearchRequest, Sought

router = APIRouter(tags=["agents"])

_CARD_BYTES = 256 * 1024


class AgentHistory(BaseModel):
    """Every version of a card that is kept, oldest first."""

    model_config = ConfigDict(frozen=True)

    revisions: tuple[CardRevision, ...]


class Words(Message):
    """What to look for among the agents' skills."""

    text: Sought = Field(examples=["read the text on a photographed receipt"])
    limit: int = Field(default=10, ge=1, le=200, examples=[5])
    diverse: bool = Field(default=False, description="good ones that are not all alike, the best still first")
    where: SearchFilter = Field(default=SearchFilter(), examples=[{"reads": ["image"], "max_cost": 0.01}])


@router.get("/v1/agents", summary="List agents by id, and whether they are alive", responses=answers({200: AgentPage}))
async def list_agents(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    cursor: Annotated[str | None, Query(max_length=64, description="from the page before")] = None,
) -> Response:
    """A page of the tenant's agents, by id."""
    return _json(await doors_of(request).agents.page(tenant_of(request), limit=limit, after=cursor))


@router.post(
    "/v1/agents",
    summary="Register an agent, or a new version of one",
    status_code=201,
    responses=answers({201: AgentView, 200: AgentView}),
    openapi_extra=body_of(AgentCard, yaml=True),
    response_model=None,
)
async def register_agent(request: Request) -> Response:
    """Store a card, JSON or YAML as in the schema files. 201 when the agent is new, 200 when it was known."""
    tenant = tenant_of(request)
    body = await read_body(request, _CARD_BYTES)
    # YAML is parsed in Python: a large card takes long enough to be noticed by others.
    card = await asyncio.to_thread(parse_card, text_of(body), "")
    view, new = await doors_of(request).agents.register(tenant, card)
    response = _json(view, 201 if new else 200)
    response.headers["Location"] = f"/v1/agents/{view.card.id}"
    return response


@router.post(
    "/v1/agents/search",
    summary="Find the agents nearest to some words",
    responses=answers({200: SearchReply}),
    openapi_extra=body_of(Words),
    response_model=None,
)
async def search_agents(request: Request) -> Response:
    """A worker answers; 503 when there is none."""
    words = await read_model(request, Words, _CARD_BYTES)
    question = SearchRequest(
        tenant=tenant_of(request), text=words.text, limit=words.limit, diverse=words.diverse, where=words.where
    )
    return _json(await doors_of(request).workers.search(question))


@router.get("/v1/agents/{agent_id}", summary="Read an agent", responses=answers({200: AgentView}))
async def show_agent(request: Request, agent_id: str) -> Response:
    """The present card, its revision and liveness."""
    return _json(await doors_of(request).agents.show(tenant_of(request), agent_id))


@router.get("/v1/agents/{agent_id}/history", summary="Read a card's versions", responses=answers({200: AgentHistory}))
async def agent_history(request: Request, agent_id: str) -> Response:
    """Removals included."""
    revisions = await doors_of(request).agents.history(tenant_of(request), agent_id)
    return _json(AgentHistory(revisions=tuple(revisions)))


@router.delete("/v1/agents/{agent_id}", summary="Remove an agent", status_code=204, response_model=None)
async def remove_agent(request: Request, agent_id: str) -> Response:
    """Take the agent out; its history stays."""
    await doors_of(request).agents.remove(tenant_of(request), agent_id)
    return Response(status_code=204)


@router.post(
    "/v1/explain",
    summary="Say who would do a task, and why, without doing it",
    responses=answers({200: Explanation}),
    openapi_extra=body_of(TaskDraft, EXAMPLES, form=True),
    response_model=None,
)
async def explain(request: Request) -> Response:
    """A worker answers; 503 when there is none."""
    doors = doors_of(request)
    draft = await read_draft(request, doors)
    return _json(await doors.workers.explain(tenant_of(request), draft))


def _json(body: BaseModel, status: int = 200) -> Response:
    return Response(body.model_dump_json(), status_code=status, media_type="application/json")
