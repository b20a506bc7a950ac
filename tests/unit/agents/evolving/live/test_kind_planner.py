"""A known kind of task is planned at once, with a network that evolved for it, and only while that still fits."""

import asyncio

import pytest
from kind_office import DEAR, Office, agents_of, card, outcome

from agents.errors import NoAgentFits
from agents.evolving.live.book import PlanBook
from agents.evolving.live.past_keeper import PastKeeper
from agents.evolving.objectives import Preference
from schemas.invocation import INPUT_REQUIRED
from schemas.network import TASK, Edge, Network, Node
from schemas.parts import Modality, data_part
from schemas.task import RoutingHints, TaskState

SUMMARY = card("summary", "Summarise a text briefly")
TWIN = card("twin", "Summarise a text briefly")
COSTLY = card("costly", "Summarise a text briefly", cost=DEAR)
OCR = card("ocr", "Read the text written in a picture", "text image", "text", "image")
TRANSLATE = card("translate", "Translate a text")
PICTURE = data_part(b"\x89PNG", Modality.IMAGE, "image/png", "scan.png")


async def test_the_first_task_is_woven_and_the_next_of_its_kind_is_not_matched_again():
    office = Office(SUMMARY, TRANSLATE)
    first = await office.plan("Summarise a text briefly")
    calls = office.matcher.calls
    again = await office.plan("Summarise a text briefly")
    assert office.matcher.calls == calls
    other_words = await office.plan("Please summarise briefly a text")
    assert office.matcher.calls > calls, "other words are matched once"
    calls = office.matcher.calls
    await office.plan("Please summarise briefly a text")
    assert office.matcher.calls == calls
    assert agents_of(first) == agents_of(again) == agents_of(other_words) == ["summary"]
    assert first.plan.kind == again.plan.kind == other_words.plan.kind is not None
    assert other_words.plan.network.nodes[0].goal == "Please summarise briefly a text"
    assert first.plan.plan_id != again.plan.plan_id
    assert again.matches == first.matches
    assert [one.agent_id for one in other_words.matches[0].candidates] == ["summary", "translate"]


async def test_a_better_network_replaces_the_greedy_one_and_says_so():
    office = Office(COSTLY, SUMMARY, preference=Preference.COST)
    assert agents_of(await office.plan("Summarise a text briefly")) == ["costly"]
    await office.refine()
    later = await office.plan("Summarise a text briefly")
    assert agents_of(later) == ["summary"]
    assert (later.plan.planner, later.plan.refined) == ("genetic-1", 1)
    assert later.plan.network.nodes[0].goal == "Summarise a text briefly"
    assert "bettered once by genetic search" in later.matches[0].candidates[0].reasons[0]


async def test_an_agent_that_keeps_failing_is_evolved_away():
    office = Office(SUMMARY, TWIN)
    first = await office.plan("Summarise a text briefly")
    for _ in range(20):
        office.pasts.learn(outcome(first.plan.network, failed=frozenset({"summary"})))
    await office.refine()
    assert agents_of(await office.plan("Summarise a text briefly")) == ["twin"]


async def test_no_better_network_means_the_greedy_one_stays():
    office = Office(SUMMARY, TWIN)
    first = await office.plan("Summarise a text briefly")
    await office.refine()
    assert len(office.asked) == 1
    assert office.replies[0].network is None
    assert (await office.plan("Summarise a text briefly")).plan.network == first.plan.network


async def test_a_picture_still_reaches_the_text_skill_through_recognition_after_the_search():
    office = Office(OCR.model_copy(update={"cost": DEAR}), SUMMARY, TRANSLATE, preference=Preference.COST)
    assert agents_of(await office.plan("Summarise the text", PICTURE)) == ["ocr", "summary"]
    await office.refine()
    assert office.asked
    assert agents_of(await office.plan("Summarise the text", PICTURE)) == ["ocr", "summary"]


async def test_a_kind_whose_agent_left_is_woven_again():
    office = Office(SUMMARY, TWIN)
    first = await office.plan("Summarise a text briefly")
    office.fleet.remove("summary")
    again = await office.plan("Summarise a text briefly")
    assert (agents_of(first), agents_of(again)) == (["summary"], ["twin"])
    assert again.plan.kind == first.plan.kind


async def test_a_kind_whose_agent_changed_or_died_is_woven_again():
    office = Office(SUMMARY, TWIN)
    await office.plan("Summarise a text briefly")
    office.fleet.dead.add("summary")
    assert agents_of(await office.plan("Summarise a text briefly")) == ["twin"]
    office.fleet.dead.clear()
    office.fleet.add(SUMMARY.model_copy(update={"version": "2.0.0"}))
    calls = office.matcher.calls
    await office.plan("Summarise a text briefly")
    assert office.matcher.calls > calls


async def test_who_fell_silent_is_no_candidate_of_a_known_kind():
    office = Office(SUMMARY, TWIN)
    first = await office.plan("Summarise a text briefly")
    office.fleet.dead.add("twin")
    again = await office.plan("Summarise a text briefly")
    assert [one.agent_id for one in first.matches[0].candidates] == ["summary", "twin"]
    assert [one.agent_id for one in again.matches[0].candidates] == ["summary"]


async def test_a_newcomer_that_is_nearer_is_chosen_at_once():
    office = Office(SUMMARY)
    await office.plan("Summarise a text briefly for lawyers")
    office.fleet.add(card("lawyer", "Summarise a text briefly for lawyers"))
    assert agents_of(await office.plan("Summarise a text briefly for lawyers")) == ["lawyer"]


async def test_other_words_that_another_agent_answers_better_are_another_kind():
    french, german = (card(f"to-{name}", f"Translate this nice long text into {name}") for name in ("french", "german"))
    office = Office(french, german)
    first = await office.plan("Translate this nice long text into french")
    other = await office.plan("Translate this nice long text into german")
    assert (agents_of(first), agents_of(other)) == (["to-french"], ["to-german"])
    assert first.plan.kind != other.plan.kind


async def test_pins_exclusions_and_budgets_are_heeded_in_known_kinds():
    office = Office(COSTLY, SUMMARY, TWIN)
    words = "Summarise a text briefly"
    assert agents_of(await office.plan(words)) == ["costly"]
    assert agents_of(await office.plan(words, routing=RoutingHints(pin=("twin",)))) == ["twin"]
    assert agents_of(await office.plan(words, routing=RoutingHints(exclude=("costly",)))) == ["summary"]
    assert agents_of(await office.plan(words, max_cost=1.0)) == ["summary"]
    assert agents_of(await office.plan(words)) == ["costly"], "a poor task is no model for others"


async def test_a_budget_that_suffices_leaves_a_known_task_its_plan():
    office = Office(COSTLY, SUMMARY)
    await office.plan("Summarise a text briefly")
    known = await office.plan("Summarise a text briefly", max_cost=1_000.0)
    assert (agents_of(known), known.match_ms) == (["costly"], 0.0)


async def test_a_search_is_told_how_steps_went_that_were_fed_by_others_it_may_choose():
    office = Office(SUMMARY, TWIN, TRANSLATE)
    await office.plan("Summarise a text briefly")
    for source, failed in (("twin", {"summary"}), ("stranger", set())):
        nodes = tuple(Node(id=agent, agent_id=agent, skill_id="work") for agent in (source, "summary"))
        pairs = ((TASK, source), (source, "summary"))
        edges = tuple(Edge(source=one, target=two, modalities=(Modality.TEXT,)) for one, two in pairs)
        for _ in range(8):
            office.pasts.learn(outcome(Network(nodes=nodes, edges=edges), failed=frozenset(failed)))
    await office.refine()
    [request] = office.asked
    [(source, target, gain)] = request.handovers
    assert [request.offers[place].agent_id for place in (source, target)] == ["twin", "summary"]
    assert gain == office.pasts.of("default").steps.handover(("twin", "work"), ("summary", "work")) < 0


async def test_each_search_has_its_own_luck():
    office = Office(SUMMARY, TWIN)
    for words in ("Summarise a text briefly", "Translate this nice long text"):
        await office.plan(words)
        await office.refine()
    assert len({request.seed for request in office.asked}) == len(office.asked) > 1


async def test_a_task_that_is_met_once_is_not_worth_a_search():
    office = Office(SUMMARY, TWIN)
    await office.plan("Summarise a text briefly")
    await office.background.drain()
    assert not office.asked


async def test_a_wish_that_no_refiner_hears_is_heard_when_one_is_there(monkeypatch):
    monkeypatch.setattr("agents.evolving.live.background.RETRY_S", 0.01)
    office = Office(COSTLY, SUMMARY, TWIN, preference=Preference.COST)
    office.away = True
    words = "Summarise a text briefly"
    await office.plan(words)
    await office.refine()
    assert agents_of(await office.plan(words)) == ["costly"]
    await office.background.start()
    try:
        async with asyncio.timeout(20):
            while len(office.asked) < 3:
                await asyncio.sleep(0.01)
            office.away = False  # nobody asks for the task meanwhile
            while not office.book.template("default", office.asked[0].kind).refined:
                await asyncio.sleep(0.01)
    finally:
        await office.background.stop()
    assert agents_of(await office.plan(words)) != ["costly"]


async def test_a_task_nobody_fits_founds_no_kind():
    office = Office(SUMMARY)
    with pytest.raises(NoAgentFits):
        await office.plan("Bake bread")
    assert not office.asked


async def test_a_failure_makes_the_next_task_of_the_kind_be_looked_at_anew():
    office = Office(SUMMARY, TWIN)
    first = await office.plan("Summarise a text briefly")
    calls = office.matcher.calls
    office.book.doubt("default", first.plan.kind)
    await office.plan("Summarise a text briefly")
    assert office.matcher.calls > calls
    calls = office.matcher.calls
    await office.plan("Summarise a text briefly")
    assert office.matcher.calls == calls


@pytest.mark.parametrize(
    ("code", "state", "doubted"),
    [
        ("no_numbers", TaskState.FAILED, True),
        (INPUT_REQUIRED, TaskState.FAILED, False),
        ("cancelled", TaskState.CANCELLED, False),
        ("approval_denied", TaskState.FAILED, False),
    ],
)
async def test_a_task_that_lacked_something_or_that_people_ended_says_nothing_against_its_plan(code, state, doubted):
    office = Office(SUMMARY)
    first = await office.plan("Summarise a text briefly")
    record = outcome(first.plan.network, failed=frozenset({"summary"}))
    record = record.model_copy(update={"kind": first.plan.kind, "failure_code": code, "state": state})
    PastKeeper(office.pasts, office.book).learn([record])
    assert office.book.was_doubted("default", first.plan.kind) is doubted


async def test_fresh_plans_keep_an_evolved_network_on_trial():
    office = Office(COSTLY, SUMMARY, preference=Preference.COST, fresh=1.0)
    await office.plan("Summarise a text briefly")
    await office.refine()
    fresh = await office.plan("Summarise a text briefly")
    assert agents_of(fresh) == ["costly"]
    assert fresh.plan.planner == "greedy-1"


async def test_workers_share_what_evolved():
    one = Office(COSTLY, SUMMARY, preference=Preference.COST)
    await one.plan("Summarise a text briefly")
    await one.refine()
    book = PlanBook()
    book.take(one.book.template("default", one.asked[0].kind))
    other = Office(COSTLY, SUMMARY, book=book)
    planned = await other.plan("Summarise a text briefly")
    assert agents_of(planned) == ["summary"]
    assert planned.plan.planner == "genetic-1"
