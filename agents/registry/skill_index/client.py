"""The skill index on a Qdrant server, shared by all workers. Called by the fleet and by matching when scaled out."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException

from agents.errors import IndexUnavailable
from agents.ports.skill_index import IndexFilter, SkillHit, SkillPoint, WordQuery
from agents.registry.skill_index.asking import Question, is_enough
from agents.registry.skill_index.points import (
    ANSWERED,
    GRAPHED_KEYWORDS,
    KEYWORDS,
    WORDS,
    Gathered,
    checked,
    health_of,
    id_of,
    payloads_of,
)
from agents.registry.skill_index.requests import condition, of_agent, these, worded
from agents.registry.skill_index.words import sparse_text
from tensor_layer.ports import Vector

COLLECTION = "aos_skills_2"
"""The number grows when points are stored in another way: workers of both ways then do not meet in one collection."""

TIMEOUT_S = 5
UPSERT_POINTS = 256
"""Points of one request: 256 of 384 floats are about 1 MB of JSON."""

SCROLLED = 2_000

_RESCORED = models.SearchParams(quantization=models.QuantizationSearchParams(rescore=True, oversampling=2.0))

Answer = list[tuple[Mapping[str, Any], float]]


def collection_of(encoder: str) -> str:
    """The collection that holds the vectors of an encoder."""
    return f"{COLLECTION}_{re.sub(r'[^A-Za-z0-9_.-]+', '-', encoder)}" if encoder else COLLECTION


class ClientSkillIndex:
    """ports.SkillIndex over qdrant-client. Every worker writes the same points under the same ids, so all may write.

    All calls raise IndexUnavailable when the server does not answer. ``close`` closes the client.
    """

    def __init__(
        self,
        client: AsyncQdrantClient,
        collection: str,
        dimension: int,
        params: models.SearchParams | None = None,
    ) -> None:
        self._client = client
        self._params = params
        self._collection = collection
        self._dimension = dimension
        self._dead: set[tuple[str, str]] = set()
        self._points = 0
        """As many as when it was last asked for, and were written since: shares of words need no more."""

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        api_key: str | None = None,
        collection: str | None = None,
        dimension: int = 384,
        encoder: str = "",
    ) -> "ClientSkillIndex":
        """The index on the server at ``url``; its collection and payload indexes are made when they are missing.

        Each ``encoder`` has a collection of its own, so that vectors of different ones never meet, not even while
        workers are changed over one by one. The old collection stays until somebody drops it.
        """
        collection = collection or collection_of(encoder)
        client = AsyncQdrantClient(url=url, api_key=api_key, timeout=TIMEOUT_S, check_compatibility=False)
        await cls.over(client, collection=collection, dimension=dimension)
        with _server_errors():
            for field, schema in _payload_indexes():
                await client.create_payload_index(collection, field, field_schema=schema)
        return cls(client, collection, dimension, _RESCORED)

    @classmethod
    async def over(
        cls, client: AsyncQdrantClient, *, collection: str = COLLECTION, dimension: int = 384
    ) -> "ClientSkillIndex":
        """The index over an open client, without payload indexes: qdrant-client's local mode has none."""
        with _server_errors():
            if not await client.collection_exists(collection):
                await _create(client, collection, dimension)
        return cls(client, collection, dimension)

    async def replace(self, tenant: str, agent_id: str, points: Sequence[SkillPoint], mark: str = "") -> None:
        """Make these the agent's only points; a search meanwhile sees the old, the new or both, never neither."""
        payloads = payloads_of(points, dead=(tenant, agent_id) in self._dead, mark=mark)
        stored = [
            models.PointStruct(id=id_of(point), vector=self._vectors(point), payload=payload)
            for point, payload in zip(points, payloads, strict=True)
        ]
        others = of_agent(tenant, agent_id)
        if stored:
            others.must_not = [models.HasIdCondition(has_id=[point.id for point in stored])]
        with _server_errors():
            for start in range(0, len(stored), UPSERT_POINTS):
                await self._client.upsert(self._collection, stored[start : start + UPSERT_POINTS], wait=True)
            await self._client.delete(self._collection, models.FilterSelector(filter=others), wait=True)
        self._points += len(stored)

    async def marks(self) -> dict[tuple[str, str], str]:
        """The marks of all agents in the index, whichever worker wrote them."""
        found: dict[tuple[str, str], str] = {}
        offset: Any = None
        with _server_errors():
            while True:
                records, offset = await self._client.scroll(
                    self._collection, limit=SCROLLED, offset=offset, with_payload=["tenant", "agent", "mark"]
                )
                for payload in (record.payload or {} for record in records):
                    found[payload["tenant"], payload["agent"]] = payload["mark"]
                if offset is None:
                    return found

    async def note_health(self, tenant: str, agent_id: str, *, dead: bool) -> None:
        """Searches with ``alive_only``, of all workers, leave dead agents out."""
        (self._dead.add if dead else self._dead.discard)((tenant, agent_id))
        with _server_errors():
            await self._client.set_payload(
                self._collection, health_of(dead=dead), of_agent(tenant, agent_id), wait=True
            )

    async def search(
        self, vector: Vector, where: IndexFilter, limit: int, words: WordQuery | None = None
    ) -> list[SkillHit]:
        """The nearest skills, best first; equal ones in the order of agent and skill id."""
        question = Question.of(vector, where, limit, words, self._dimension)
        if question.nobody:
            return []
        gathered = Gathered()
        if question.by_words and not self._points:
            await self.count()
        with _server_errors():
            await self._gather(question, gathered)
        return question.hits(gathered, self._points)

    async def count(self) -> int:
        """How many points the index holds."""
        with _server_errors():
            self._points = (await self._client.count(self._collection, exact=True)).count
        return self._points

    async def close(self) -> None:
        """Close the connection; the points stay on the server."""
        await self._client.close()

    async def _gather(self, question: Question, gathered: Gathered) -> None:
        where = condition(question.where)
        points = question.first_points(lone=False)
        first = [self._near(question.vector, where, points)]
        if question.by_words:
            first.append(worded(question.words, where, question.limit))
        near, *by_words = await self._ask(first)
        gathered.near(near)
        while not is_enough(gathered, question.limit, len(near), points):
            points *= 4
            [near] = await self._ask([self._near(question.vector, where, points)])
            gathered.near(near)
        for answer in by_words:
            gathered.worded(answer)
        await self._complete(question, gathered)

    async def _complete(self, question: Question, gathered: Gathered) -> None:
        """Compare on either side what only the other one found."""
        asked, take = [], []
        if ids := gathered.unseen():
            asked.append(self._near(question.vector, these(ids), len(ids)))
            take.append(gathered.near)
        if question.by_words and (ids := gathered.unworded()):
            asked.append(worded(question.words, these(ids), len(ids)))
            take.append(gathered.worded)
        for taken, answer in zip(take, await self._ask(asked), strict=True):
            taken(answer)

    async def _ask(self, requests: list[models.QueryRequest]) -> list[Answer]:
        if not requests:
            return []
        answers = await self._client.query_batch_points(self._collection, requests)
        return [[(point.payload or {}, point.score) for point in answer.points] for answer in answers]

    def _near(self, vector: list[float], where: models.Filter, limit: int) -> models.QueryRequest:
        return models.QueryRequest(query=vector, filter=where, limit=limit, params=self._params, with_payload=ANSWERED)

    def _vectors(self, point: SkillPoint) -> dict[str, Any]:
        dimensions, values = sparse_text(point.words)
        dense = {"": checked(point.vector, self._dimension).tolist()}
        return dense | {WORDS: models.SparseVector(indices=dimensions, values=values)} if dimensions else dense


async def _create(client: AsyncQdrantClient, collection: str, dimension: int) -> None:
    try:
        await client.create_collection(
            collection,
            vectors_config=models.VectorParams(size=dimension, distance=models.Distance.COSINE),
            sparse_vectors_config={WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            quantization_config=models.ScalarQuantization(
                scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
            ),
        )
    except (ApiException, ValueError):
        # Another worker may have made it since we looked; any other reason is an error.
        if not await client.collection_exists(collection):
            raise


def _payload_indexes() -> Iterator[tuple[str, Any]]:
    for field in KEYWORDS:
        yield (
            field,
            models.KeywordIndexParams(
                type=models.KeywordIndexType.KEYWORD,
                is_tenant=field == "tenant",
                enable_hnsw=field in GRAPHED_KEYWORDS,
            ),
        )
    yield "cost", models.FloatIndexParams(type=models.FloatIndexType.FLOAT, enable_hnsw=False)


@contextmanager
def _server_errors() -> Iterator[None]:
    try:
        yield
    except (ApiException, QdrantException, OSError) as error:
        raise IndexUnavailable(f"the skill index does not answer: {error}") from error
