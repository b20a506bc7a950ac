"""What the planner knows of a whole fleet: read when cards change, looked at only as far as a task needs it."""

from planning_fleet import CALC, CHART, EVERYONE, OCR, PDF, REPORT, SUMMARY, StandingFleet, WordMatcher, card, encode
from planning_fleet import vector_of as vector

from agents.planning.catalogue import Catalogue, Eligible
from agents.planning.feeding import Bridges
from agents.planning.offers import named_offers, offers_of
from agents.planning.planner import GreedyPlanner
from schemas.card import Liveness
from schemas.parts import Modality, text_part
from schemas.percept import Percept
from schemas.task import TaskSubmitted
from tensor_layer.ports import Perceived


def listing(*cards):
    return Catalogue().of("default", {each.id: each for each in cards})


def test_it_lists_what_the_cards_offer_in_order():
    found = listing(*EVERYONE)
    assert list(found.offers.items()) == list(offers_of(EVERYONE).items())
    assert [offer.agent_id for offer in listing(CALC, SUMMARY, REPORT, PDF).go_betweens] == ["pdf", "report"]


def test_a_card_that_did_not_change_is_not_read_again():
    catalogue = Catalogue()
    before = catalogue.of("default", {"calc": CALC, "ocr": OCR})
    changed = OCR.model_copy(update={"name": "Reader"})
    after = catalogue.of("default", {"calc": CALC, "ocr": changed, "chart": CHART})
    assert after.offers["calc", "compute"] is before.offers["calc", "compute"]
    assert after.offers["ocr", "read"].words.startswith("Reader\n")
    assert [offer.agent_id for offer in after.offers.values()] == ["calc", "chart", "ocr"]


def test_the_same_snapshot_has_the_same_listing_and_tenants_have_their_own():
    catalogue = Catalogue()
    cards = {"calc": CALC}
    assert catalogue.of("default", cards) is catalogue.of("default", cards)
    assert not catalogue.of("other", {}).offers


def test_who_may_not_work_and_who_is_barred_is_left_out():
    offers = Eligible(listing(CALC, OCR, PDF, REPORT), lambda agent_id: agent_id != "ocr")
    assert list(offers) == [("calc", "compute"), ("pdf", "read"), ("report", "write")]
    assert ("ocr", "read") not in offers
    assert offers.get(("ocr", "listen")) is None
    left = offers.without(("pdf", "read"))
    assert (list(left), len(left)) == ([("calc", "compute"), ("report", "write")], 2)
    assert [offer.agent_id for offer in left.go_betweens] == ["report"]
    assert list(offers.only(("report", "write"))) == [("report", "write")]
    assert list(offers.only(("ocr", "read"))) == []


def test_named_offers_come_in_the_order_of_their_names():
    keys = [("ocr", "read"), ("calc", "compute"), ("gone", "read"), ("calc", "divide"), ("ocr", "read")]
    assert list(named_offers(keys, {"calc": CALC, "ocr": OCR})) == [("ocr", "read"), ("calc", "compute")]


def test_a_fleet_is_looked_through_once_however_many_bridges_are_sought():
    asked: list[str] = []

    def nearness(offer, _words):
        asked.append(offer.agent_id)
        return 0.5

    bridges = Bridges(Eligible(listing(*EVERYONE), lambda _agent_id: True), nearness)
    image, text, table = (frozenset({kind}) for kind in (Modality.IMAGE, Modality.TEXT, Modality.TABLE))
    assert bridges.build(image, text) is not None
    once = len(asked)
    assert once > 0
    assert bridges.build(image, table) is not None
    assert bridges.build(table, image) is not None
    assert len(asked) == once


class Watched(StandingFleet):
    """Notes whose health is asked for."""

    def __init__(self, *cards):
        super().__init__(*cards)
        self.asked: list[str] = []

    def liveness(self, tenant: str, agent_id: str) -> Liveness:
        self.asked.append(agent_id)
        return super().liveness(tenant, agent_id)


async def test_a_task_that_one_agent_does_looks_at_its_candidates_alone_and_keeps_no_fleet():
    crowd = [card(f"clerk-{n:03d}", "file", f"File the papers of floor number {n}", "text", "text") for n in range(300)]
    fleet = Watched(CALC, *crowd)
    planner = GreedyPlanner(WordMatcher(fleet), fleet, encode)
    words = "Compute the arithmetic of these units"
    perceived = Perceived(Percept(parts=(), modalities=(Modality.TEXT,)), vector(words), (text_part(words),))
    woven = await planner.weave(TaskSubmitted(parts=perceived.parts), perceived)
    assert [node.agent_id for node in woven.network.nodes] == ["calc"]
    candidates = {one.agent_id for report in woven.reports for one in report.candidates}
    assert set(fleet.asked) <= candidates
    assert len(fleet.asked) == len(set(fleet.asked)) <= 8
