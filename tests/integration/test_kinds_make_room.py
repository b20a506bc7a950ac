"""Kinds of task that make room on any worker leave the bucket: it holds no kind that nobody knows any more."""

import asyncio

from agents.evolving.live.book import PlanBook
from agents.evolving.live.kinds import Kinds
from schemas.network import TASK, Edge, Network, Node
from schemas.parts import Modality
from schemas.refinement import PlanTemplate
from schemas.subjects import BUCKET_PLANS

LIMIT = 4
PATIENCE_S = 30.0


def template(kind: str) -> PlanTemplate:
    edge = Edge(source=TASK, target="a", modalities=(Modality.TEXT,))
    network = Network(nodes=(Node(id="a", agent_id="a", skill_id="s"),), edges=(edge,))
    return PlanTemplate(
        kind=kind,
        tenant="default",
        shape="one",
        vector="",
        cards={},
        errands={},
        network=network,
        wordings=((kind.encode().hex().zfill(32),),),
    )


async def keys(js) -> list[str]:
    return await (await js.key_value(BUCKET_PLANS)).keys()


async def until_there_is_room(js) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(await keys(js)) > LIMIT:
            await asyncio.sleep(0.05)


async def test_what_workers_hear_of_makes_room_as_what_they_found(js, monkeypatch):
    monkeypatch.setattr("agents.evolving.live.book.Kinds", lambda: Kinds(LIMIT))
    books = PlanBook(js), PlanBook(js)
    for book in books:
        await book.start()
    try:
        for number in range(40):
            await books[number % 2].keep(template(f"kind-{number}"))
        await until_there_is_room(js)
    finally:
        for book in books:
            await book.stop()


async def test_a_bucket_with_too_many_kinds_is_tidied_by_whoever_starts(js, monkeypatch):
    alone = PlanBook(js)
    for number in range(3 * LIMIT):
        await alone.keep(template(f"kind-{number}"))
    assert len(await keys(js)) == 3 * LIMIT
    monkeypatch.setattr("agents.evolving.live.book.Kinds", lambda: Kinds(LIMIT))
    book = PlanBook(js)
    await book.start()
    try:
        await until_there_is_room(js)
        assert sorted(await keys(js)) == sorted(f"default.kind-{number}" for number in range(2 * LIMIT, 3 * LIMIT))
    finally:
        await book.stop()
