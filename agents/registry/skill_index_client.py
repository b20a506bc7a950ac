"""The skill index on a Qdrant server, shared by all workers. Called by the fleet and by matching when scaled out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException

from agents.errors import IndexUnavailable
from agents.ports import IndexFilter, SkillHit, SkillPoint
from agents.registry.skill_points import KEYWORDS, best_first, checked, hit_of, payload_of, point_id
from tensor_layer.ports import Vector

COLLECTION = "aos_skills"
TIMEOUT_S = 5
UPSERT_POINTS = 256
"""Points of one request: 256 of 384 floats are about 1 MB of JSON."""


class ClientSkillIndex:
    """ports.SkillIndex over qdrant-client. Every worker writes the same points under the same ids, so all may write.

    All calls raise IndexUnavailable when the server does not answer. ``close`` closes the client.
    """

    def __init__(self, client: AsyncQdrantClient, collection: str, dimension: int) -> None:
        self._client = client
        self._collection = collection
        self._dimension = dimension

    @classmethod
    async def connect(
        cls, url: str, *, api_key: str | None = None, collection: str = COLLECTION, dimension: int = 384
    ) -> "ClientSkillIndex":
        """The index on the server at ``url``; its collection and payload indexes are made when they are missing."""
        client = AsyncQdrantClient(url=url, api_key=api_key, timeout=TIMEOUT_S, check_compatibility=False)
        index = await cls.over(client, collection=collection, dimension=dimension)
        with _server_errors():
            for field in KEYWORDS:
                keyword = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=field == "tenant")
                await client.create_payload_index(collection, field, field_schema=keyword)
        return index

    @classmethod
    async def over(
        cls, client: AsyncQdrantClient, *, collection: str = COLLECTION, dimension: int = 384
    ) -> "ClientSkillIndex":
        """The index over an open client, without payload indexes: qdrant-client's local mode has none."""
        params = models.VectorParams(size=dimension, distance=models.Distance.COSINE)
        with _server_errors():
            if not await client.collection_exists(collection):
                await _create(client, collection, params)
        return cls(client, collection, dimension)

    async def replace(self, tenant: str, agent_id: str, points: Sequence[SkillPoint]) -> None:
        """Make these the agent's only points; a search meanwhile sees the old, the new or both, never neither."""
        stored = [
            models.PointStruct(
                id=point_id(p), vector=checked(p.vector, self._dimension).tolist(), payload=payload_of(p)
            )
            for p in points
        ]
        kept = models.HasIdCondition(has_id=[p.id for p in stored])
        others = models.Filter(
            must=[_equals("tenant", tenant), _equals("agent", agent_id)], must_not=[kept] if stored else None
        )
        with _server_errors():
            for start in range(0, len(stored), UPSERT_POINTS):
                await self._client.upsert(self._collection, stored[start : start + UPSERT_POINTS], wait=True)
            await self._client.delete(self._collection, models.FilterSelector(filter=others), wait=True)

    async def search(self, vector: Vector, where: IndexFilter, limit: int) -> list[SkillHit]:
        """The nearest skills, best first; equal ones in the order of agent and skill id."""
        if where.agents is not None and not where.agents:
            return []
        query = checked(vector, self._dimension).tolist()
        with _server_errors():
            found = await self._client.query_points(
                self._collection, query=query, query_filter=_condition(where), limit=limit, with_payload=True
            )
        return best_first(hit_of(point.payload or {}, point.score) for point in found.points)

    async def count(self) -> int:
        """How many points the index holds."""
        with _server_errors():
            return (await self._client.count(self._collection, exact=True)).count

    async def close(self) -> None:
        """Close the connection; the points stay on the server."""
        await self._client.close()


async def _create(client: AsyncQdrantClient, collection: str, params: models.VectorParams) -> None:
    try:
        await client.create_collection(collection, vectors_config=params)
    except (ApiException, ValueError):
        # Another worker may have made it since we looked; any other reason is an error.
        if not await client.collection_exists(collection):
            raise


@contextmanager
def _server_errors() -> Iterator[None]:
    try:
        yield
    except (ApiException, QdrantException, OSError) as error:
        raise IndexUnavailable(f"the skill index does not answer: {error}") from error


def _equals(field: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _any_of(field: str, values: frozenset[str]) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=sorted(values)))


def _condition(where: IndexFilter) -> models.Filter:
    must: list[models.Condition] = [_equals("tenant", where.tenant)]
    must += [_equals("tags", tag) for tag in sorted(where.tags)]
    if where.agents is not None:
        must.append(_any_of("agent", where.agents))
    without: list[models.Condition] = [_any_of("agent", where.without_agents)] if where.without_agents else []
    return models.Filter(must=must, must_not=without)
