"""Kinds of task while something changes: bursts, another encoder, cards replaced during a search."""

import asyncio
from datetime import UTC, datetime

import numpy as np
from kind_office import DEAR, Office, agents_of, card

from agents.evolving.live.binding import packed
from agents.evolving.live.book import PlanBook
from agents.evolving.live.kinds import KINDS_MAX, Kinds
from agents.evolving.objectives import Preference
from agents.registry.kv_feed import KvEntry
from schemas.network import TASK, Edge, Network, Node
from schemas.parts import Modality
from schemas.refinement import PlanTemplate, RefineReply, RefineRequest

SUMMARY = card("summary", "Summarise a text briefly")
COSTLY = card("costly", "Summarise a text briefly", cost=DEAR)
TRANSLATE = card("translate", "Translate a text")
WORDS = "Summarise a text briefly"


def template(kind: str, vector: np.ndarray, *, refined: int = 0) -> PlanTemplate:
    edge = Edge(source=TASK, target="a", modalities=(Modality.TEXT,))
    return PlanTemplate(
        kind=kind, tenant="default", shape="one", vector=packed(vector), cards={}, errands={},
        wordings=((kind.encode().hex().zfill(32),),),
        network=Network(nodes=(Node(id="a", agent_id="a", skill_id="s"),), edges=(edge,)), refined=refined,
        at=datetime.now(UTC),
    )  # fmt: skip


def axis(dimension: int, place: int = 0) -> np.ndarray:
    vector = np.zeros(dimension, dtype=np.float32)
    vector[place] = 1.0
    return vector


def test_kinds_of_another_encoder_are_only_recognised_word_for_word():
    kinds = Kinds()
    kinds.found("old", "shape", ("sum up",), axis(4))
    assert kinds.meet("shape", ("shorten",), axis(8)) is None
    kinds.found("new", "shape", ("shorten",), axis(8))
    met = kinds.meet("shape", ("boil down",), axis(8))
    assert (met.kind, met.word_for_word) == ("new", False)
    assert kinds.meet("shape", ("make short",), axis(4)).kind == "old"
    assert kinds.meet("shape", ("sum up",), axis(8)).kind == "old"


def test_winners_of_another_encoder_are_no_seeds_and_no_obstacle():
    book = PlanBook()
    book.take(template("old", axis(4), refined=1))
    book.take(template("new", axis(8), refined=1))
    assert len(book.alike("default", axis(8))) == len(book.alike("default", axis(4))) == 1
    assert book.template("default", "new") is not None


def test_a_kind_that_was_removed_leaves_no_vector_behind():
    book = PlanBook()
    book.take(template("mine", axis(4), refined=1))
    assert book.alike("default", axis(4))
    book._read(KvEntry("default.mine", b"", 7, removed=True, stored_at=datetime.now(UTC)))
    assert book.template("default", "mine") is None
    assert book.alike("default", axis(4)) == []


async def test_a_burst_of_tasks_of_a_new_kind_founds_one_kind():
    office = Office(SUMMARY, TRANSLATE)
    planned = await asyncio.gather(*(office.plan(WORDS) for _ in range(20)))
    assert len({one.plan.kind for one in planned}) == 1


async def test_a_network_that_evolved_while_a_task_was_woven_is_not_overwritten():
    office = Office(COSTLY, SUMMARY, preference=Preference.COST)
    await office.plan(WORDS)
    office.fleet.add(TRANSLATE)  # looked at anew, and kept: whoever came is not nearer
    weaving, go_on = asyncio.Event(), asyncio.Event()
    weave = office.greedy.weave

    async def slowly(task, perceived):
        woven = await weave(task, perceived)
        weaving.set()
        await go_on.wait()
        return woven

    office.greedy.weave = slowly
    waiting = asyncio.create_task(office.plan(WORDS))
    await weaving.wait()
    office.greedy.weave = weave
    await office.plan(WORDS)
    await office.refine()
    go_on.set()
    await waiting
    assert agents_of(await office.plan(WORDS)) == ["summary"]


async def test_a_network_found_for_a_card_that_changed_meanwhile_is_dropped():
    office = Office(COSTLY, SUMMARY, preference=Preference.COST)
    search = office.background._ask

    async def while_the_price_rises(request: RefineRequest) -> RefineReply | None:
        reply = await search(request)
        office.fleet.add(card("summary", "Summarise a text briefly", cost=DEAR.model_copy(update={"per_call": 99.0})))
        return reply

    office.background._ask = while_the_price_rises
    await office.plan(WORDS)
    await office.refine()
    assert office.replies[0].network is not None
    assert agents_of(await office.plan(WORDS)) == ["costly"]


async def test_a_network_found_with_an_agent_that_left_meanwhile_is_dropped(caplog):
    office = Office(COSTLY, SUMMARY, preference=Preference.COST)
    search = office.background._ask

    async def while_it_leaves(request: RefineRequest) -> RefineReply | None:
        reply = await search(request)
        office.fleet.remove("summary")
        return reply

    office.background._ask = while_it_leaves
    await office.plan(WORDS)
    await office.refine()
    assert office.replies[0].network is not None
    assert agents_of(await office.plan(WORDS)) == ["costly"]
    assert "could not be bettered" not in caplog.text


def test_doubts_are_forgotten_with_the_kinds_that_made_room():
    book = PlanBook()
    book.take(template("first", axis(4)))
    book.doubt("default", "first")
    for number in range(KINDS_MAX):
        book.take(template(f"k-{number}", axis(4)))
    assert book.template("default", "first") is None
    book.take(template("first", axis(4)))
    assert not book.was_doubted("default", "first")
