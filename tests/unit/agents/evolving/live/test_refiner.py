"""What the search for better networks counts as good, and that nobody's word is taken for it."""

import json

import numpy as np
import pytest
from kind_office import DEAR, Office, card
from pydantic import ValidationError

from agents.evolving.genome import EMPTY, Population
from agents.evolving.live.background import accepted, no_worse
from agents.evolving.live.refiner import bench_of, refine
from agents.evolving.objectives import Preference
from schemas.network import TASK, Edge, Network, Node
from schemas.parts import Modality
from schemas.refinement import Forecast, RefineGoal, RefineOffer, RefineRequest

TEXT, IMAGE, DOCUMENT = (Modality.TEXT,), (Modality.IMAGE,), (Modality.DOCUMENT,)
OCR = RefineOffer(
    agent_id="ocr", skill_id="s", inputs=IMAGE, requires=IMAGE, outputs=TEXT, cost=1, latency_ms=100, skill=(-5.0, -5.0)
)
SUM = RefineOffer(agent_id="sum", skill_id="s", inputs=TEXT, outputs=TEXT, cost=1, latency_ms=100, skill=(2.0, -5.0))
KEY = RefineOffer(agent_id="key", skill_id="s", inputs=TEXT, outputs=TEXT, cost=1, latency_ms=100, skill=(-5.0, 2.0))
REPORT = RefineOffer(
    agent_id="report", skill_id="s", inputs=TEXT, outputs=DOCUMENT, cost=1, latency_ms=100, skill=(-5.0, -5.0),
    collects=True,
)  # fmt: skip


def network(*arrows: str) -> Network:
    pairs = [arrow.split(">") for arrow in arrows]
    names = dict.fromkeys(name for pair in pairs for name in pair if name != TASK)
    kinds = {("task", "ocr"): IMAGE, ("task", "mark"): IMAGE}
    return Network(
        nodes=tuple(Node(id=name, agent_id=name, skill_id="s") for name in names),
        edges=tuple(Edge(source=one, target=two, modalities=kinds.get((one, two), TEXT)) for one, two in pairs),
    )


BOTH = (RefineGoal(content=IMAGE), RefineGoal(content=IMAGE))


def request(*seeds: Network, goals=BOTH, wanted=DOCUMENT, **more):
    values = {"offers": (OCR, SUM, KEY, REPORT), "quality_weight": 1, "cost_weight": 0.05, "latency_weight": 0.05}
    return RefineRequest(
        tenant="t",
        kind="k",
        task=(Modality.TEXT, Modality.IMAGE),
        wanted=wanted,
        goals=goals,
        seeds=seeds,
        **values | more,
    )


WHOLE = network("task>ocr", "ocr>sum", "ocr>key", "sum>report", "key>report")


def quality(*networks: Network, **more) -> list[float]:
    asked = request(*networks, **more)
    return [told.quality if told else float("nan") for told in bench_of(asked).judged(networks)[1]]


def test_answers_count_only_when_the_task_content_reached_them():
    # Both are type-correct: the words of the task are text, too.
    blind = network("task>sum", "task>key", "sum>report", "key>report")
    grounded, ungrounded = quality(WHOLE, blind)
    assert grounded > 0.5 > 0.05 > ungrounded


def test_who_is_handed_something_reads_of_the_task_what_else_it_requires():
    mark = RefineOffer(
        agent_id="mark", skill_id="s", inputs=IMAGE + TEXT, requires=IMAGE + TEXT, outputs=IMAGE, cost=1,
        latency_ms=100, skill=(2.0,),
    )  # fmt: skip
    words = KEY.model_copy(update={"skill": (-5.0,)})
    marked, goal = network("task>key", "key>mark", "task>mark"), (RefineGoal(content=IMAGE),)
    assert quality(marked, offers=(words, mark), goals=goal, wanted=IMAGE)[0] > 0.5
    unread = mark.model_copy(update={"requires": TEXT})
    assert quality(marked, offers=(words, unread), goals=goal, wanted=IMAGE)[0] < 0.05


def test_answers_count_only_when_they_become_part_of_the_result():
    lost = network("task>ocr", "ocr>sum", "sum>key", "key>report")
    whole, without = quality(WHOLE, lost)
    assert whole > 0.5 > 0.1 > without
    consumed = (RefineGoal(content=IMAGE, consumed=True), RefineGoal(content=IMAGE, after=0))
    assert quality(lost, goals=consumed)[0] > 0.5


def test_what_builds_on_another_goal_needs_it_upstream():
    goals = (RefineGoal(content=IMAGE, consumed=True), RefineGoal(content=IMAGE, after=0))
    chained, parallel = quality(network("task>ocr", "ocr>sum", "sum>key", "key>report"), WHOLE, goals=goals)
    assert chained > 2 * parallel


def test_more_agents_promise_less():
    reliable = tuple(one.model_copy(update={"reliability": 0.8}) for one in (OCR, SUM, KEY, REPORT))
    assert quality(WHOLE, offers=reliable)[0] == pytest.approx(quality(WHOLE)[0] * 0.8**4)


def test_a_known_bad_handover_is_avoided():
    worse = quality(WHOLE, handovers=((0, 1, -1.5),))[0]
    assert worse < quality(WHOLE)[0]


def test_the_same_request_gives_the_same_reply():
    asked = request(network("task>ocr", "ocr>sum", "sum>key", "key>report"), seed=3)
    one, other = refine(asked), refine(asked)
    assert one == other
    assert one.network is not None
    assert one.goals["sum"] == (0,)
    assert one.better.worth > one.present.worth


def test_a_fleet_without_a_type_correct_network_is_said_to_have_none():
    reply = refine(request(network("task>ocr"), wanted=(Modality.AUDIO,)))
    assert reply.network is None
    assert "No chain of the 4 eligible skills" in reply.problem


def test_a_present_network_that_cannot_be_judged_is_left_alone():
    twice = Network(
        nodes=(Node(id="a", agent_id="sum", skill_id="s"), Node(id="b", agent_id="sum", skill_id="s")),
        edges=(Edge(source=TASK, target="a", modalities=TEXT), Edge(source="a", target="b", modalities=TEXT)),
    )
    assert "cannot be told" in refine(request(twice, wanted=TEXT)).problem


@pytest.mark.parametrize("preference", list(Preference))
def test_a_network_that_is_worse_in_what_comes_first_does_not_replace(preference):
    present = Forecast(quality=0.8, cost=1.0, latency_ms=100.0, worth=0.5)
    worse = {"quality": 0.7} if preference is Preference.QUALITY else {}
    worse |= {"cost": 2.0} if preference is Preference.COST else {}
    worse |= {"latency_ms": 200.0} if preference is Preference.LATENCY else {}
    assert no_worse(present, present.model_copy(update={"worth": 0.9}), preference)
    assert not no_worse(present, present.model_copy(update={"worth": 0.9, **worse}), preference)


async def test_a_refiner_that_lies_is_not_believed():
    office = Office(
        card("a-costly", "Summarise a text", cost=DEAR), card("cheap", "Summarise a text"), preference=Preference.COST
    )
    await office.plan("Summarise a text")
    await office.refine()
    (asked,), (reply,) = office.asked, office.replies
    [wording] = office.book.template("default", asked.kind).wordings
    _, woven = office.planner._woven.get(("default", asked.kind, wording))
    assert accepted(asked, reply, woven, Preference.COST) is not None
    forecast = reply.better.model_copy(update={"worth": 9.0})
    same = reply.model_copy(update={"network": asked.seeds[0], "goals": {"a-costly": (0,)}, "better": forecast})
    assert accepted(asked, same, woven, Preference.COST) is None, "it is judged again here"
    unserved = reply.model_copy(update={"goals": {"cheap": ()}})
    assert accepted(asked, unserved, woven, Preference.COST) is None
    stranger = Network(
        nodes=(Node(id="x", agent_id="x", skill_id="work"),), edges=(Edge(source=TASK, target="x", modalities=TEXT),)
    )
    strange = reply.model_copy(update={"network": stranger, "goals": {"x": (0,)}})
    assert accepted(asked, strange, woven, Preference.COST) is None


def test_judging_does_not_depend_on_the_order_of_offers():
    turned = request(WHOLE, offers=(REPORT, KEY, SUM, OCR))
    assert bench_of(turned).judged((WHOLE,))[1][0].quality == pytest.approx(quality(WHOLE)[0])
    assert np.isfinite(quality(WHOLE)[0])


def test_a_goal_that_nobody_can_solve_is_still_given_to_somebody_at_work():
    never = (-1000.0, -1000.0)
    sinking = SUM.model_copy(update={"skill": never, "cost": 9.0})
    cheap = KEY.model_copy(update={"skill": never, "cost": 0.1})
    goals = (RefineGoal(content=TEXT), RefineGoal(content=TEXT))
    asked = request(network("task>sum"), offers=(sinking, cheap), goals=goals, wanted=TEXT, cost_weight=0.5)
    reply = refine(asked)
    assert [node.agent_id for node in reply.network.nodes] == ["key"]
    assert reply.goals == {"key": (0, 1)}
    for first in (EMPTY, 0):
        slots = np.array([[first, 1, EMPTY]])
        at_work = bench_of(asked).quality.solvers(Population(slots, np.zeros_like(slots)))
        assert (slots[0, at_work[0]] >= 0).all()


@pytest.mark.parametrize("preference", list(Preference))
def test_costs_and_times_added_up_in_another_order_are_the_same(preference):
    one = Forecast(quality=0.5, cost=0.1 + 0.2 + 0.3, latency_ms=0.1 + 0.2 + 0.3, worth=0.1)
    other = Forecast(quality=0.5, cost=0.3 + 0.2 + 0.1, latency_ms=0.3 + 0.2 + 0.1, worth=0.2)
    assert one.cost != other.cost
    assert no_worse(one, other, preference)
    assert no_worse(other, one, preference)


@pytest.mark.parametrize(
    "hostile",
    [
        {"evaluations": 10**9},
        {"seed": 10**300},
        {"cost_weight": 1e308},
        {"quality_weight": "Infinity"},
        {"handovers": [(0, 1, 0.1)] * 5000},
        {"handovers": [(0, 1, 1e300)]},
        {"wanted": ["text"] * 100_000},
        {"offers": {"cost": "Infinity"}},
        {"offers": {"latency_ms": 1e300}},
        {"offers": {"skill": [1e300, 0.0]}},
        {"goals": {"after": 10**9}},
        {"seeds": {"nodes": [{"id": f"n{n}", "agent_id": "sum", "skill_id": "s"} for n in range(65)]}},
    ],
)
def test_hostile_numbers_are_refused(hostile):
    values = json.loads(request(WHOLE).model_dump_json())
    for name, change in hostile.items():
        if isinstance(change, dict):
            values[name][0] |= change
        else:
            values[name] = change
    if isinstance(hostile.get("seeds"), dict):
        values["seeds"][0]["edges"] = [
            {"source": f"n{n}", "target": f"n{n + 1}", "modalities": ["text"]} for n in range(64)
        ]
    with pytest.raises(ValidationError, match="|".join(hostile)):
        RefineRequest.from_peer(json.dumps(values))
