"""Filters and searches as qdrant-client takes them. Called by the client index."""

from qdrant_client import models

from agents.ports.skill_index import IndexFilter
from agents.registry.skill_index.filters import terms_of
from agents.registry.skill_index.points import ANSWERED, WORDS
from agents.registry.skill_index.words import Sparse


def worded(words: Sparse, where: models.Filter, limit: int) -> models.QueryRequest:
    """A search by words."""
    dimensions, values = words
    query = models.SparseVector(indices=dimensions, values=values)
    return models.QueryRequest(query=query, using=WORDS, filter=where, limit=limit, with_payload=ANSWERED)


def these(ids: list[str]) -> models.Filter:
    """Those very points."""
    return models.Filter(must=[models.HasIdCondition(has_id=list(ids))])


def of_agent(tenant: str, agent_id: str) -> models.Filter:
    """All points of one agent."""
    return models.Filter(must=[_equals("tenant", tenant), _equals("agent", agent_id)])


def _equals(field: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _any_of(field: str, values: tuple[str, ...]) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))


def condition(where: IndexFilter) -> models.Filter:
    """The filter as the client takes it. Raises FilterContradiction."""
    terms = terms_of(where)
    must: list[models.Condition] = [_equals(field, value) for field, value in terms.equal]
    must += [_any_of(field, values) for field, values in terms.one_of]
    if terms.cost_max is not None:
        must.append(models.FieldCondition(key="cost", range=models.Range(lte=terms.cost_max)))
    none: list[models.Condition] = [_any_of(field, values) for field, values in terms.none_of]
    return models.Filter(must=must, must_not=none)
