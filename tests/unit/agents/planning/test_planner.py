"""A perceived task becomes a validated plan, or a clear refusal."""

import time

import pytest
from planning_fleet import (
    ANALYSIS,
    CALC,
    CHART,
    EVERYONE,
    OCR,
    PDF,
    REPORT,
    SENTIMENT,
    SUMMARY,
    TABLE,
    StandingFleet,
    WordMatcher,
    card,
    encode,
    vector_of,
)

from agents.errors import NoAgentFits, NoNetworkFits
from agents.planning.drawing import draw
from agents.planning.planner import GreedyPlanner
from agents.ports.planning import Planned
from schemas.card import AgentCard
from schemas.parts import Modality, Part, data_part, text_part
from schemas.percept import Percept
from schemas.task import RoutingHints, TaskSubmitted
from tensor_layer.ports import Perceived

PICTURE = data_part(b"\x89PNG", Modality.IMAGE, "image/png", "scan.png")
PAPER = data_part(b"%PDF", Modality.DOCUMENT, "application/pdf", "paper.pdf")
SALES = Part(modality=Modality.TABLE, media_type="text/csv", name="sales.csv", text="month,amount\njan,1")


class Office:
    """A planner over a fleet of the test's choice."""

    def __init__(self, *cards: AgentCard, threshold: float = 0.1) -> None:
        self.fleet = StandingFleet(*cards)
        self.matcher = WordMatcher(self.fleet, threshold)
        self.planner = GreedyPlanner(self.matcher, self.fleet, encode)

    async def plan(self, words: str, *attachments: Part, **task: object) -> Planned:
        parts = ((text_part(words),) if words else ()) + attachments
        kinds = tuple(dict.fromkeys(part.modality or Modality.FILE for part in parts))
        perceived = Perceived(Percept(parts=(), modalities=kinds), vector_of(words), parts)
        return await self.planner.plan(TaskSubmitted(parts=parts, **task), perceived)


def chain(planned: Planned) -> list[str]:
    """The agents, in order of execution."""
    network = planned.plan.network
    return [network.node(node).agent_id for group in planned.plan.order for node in group]


def edges(planned: Planned) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in planned.plan.network.edges}


async def test_one_goal_for_one_agent_is_one_node() -> None:
    planned = await Office(*EVERYONE).plan("Compute the arithmetic of 12 * 7")
    assert draw(planned.plan.network) == " task ───▶ calc.compute"
    assert planned.plan.order == (("calc",),)
    assert planned.matches[0].candidates[0].agent_id == "calc"


async def test_a_picture_reaches_a_text_skill_through_text_recognition() -> None:
    planned = await Office(*EVERYONE).plan("Summarise the text", PICTURE)
    assert draw(planned.plan.network) == " task ───▶ ocr.read ───▶ summary.extract"
    assert planned.plan.network.node("ocr").goal == "Read the text written in this picture (OCR)"


async def test_a_chart_of_a_picture_is_bridged_by_two_agents() -> None:
    planned = await Office(*EVERYONE).plan("Draw a chart", PICTURE)
    assert chain(planned) == ["ocr", "table", "chart"]


async def test_goals_in_a_row_become_a_chain() -> None:
    planned = await Office(*EVERYONE).plan(
        "Read the text in this picture, make a table of the figures in it and draw a chart of the table", PICTURE
    )
    assert draw(planned.plan.network) == " task ───▶ ocr.read ───▶ table.make ───▶ chart.draw"


async def test_independent_goals_run_in_parallel_and_are_joined_in_a_report() -> None:
    planned = await Office(*EVERYONE).plan("Read the text in the picture; analyse the rows of the csv", PICTURE, SALES)
    assert draw(planned.plan.network) == (
        " task ─┬─▶ analysis.ask ─┬─▶ report.write\n"
        "       └─▶ ocr.read ─────┘"
    )  # fmt: skip


async def test_two_goals_share_the_bridge_that_both_need() -> None:
    planned = await Office(*EVERYONE).plan(
        "Summarise the PDF; find the keywords of the PDF; judge its sentiment", PAPER
    )
    assert sorted(chain(planned)) == ["keywords", "pdf", "report", "sentiment", "summary"]
    assert ("pdf", "summary") in edges(planned)
    assert ("pdf", "keywords") in edges(planned)


async def test_a_gathering_goal_reads_every_open_end() -> None:
    planned = await Office(*EVERYONE).plan(
        "Summarise the text of the PDF; analyse the rows of the csv; collect both results into one report", PAPER, SALES
    )
    assert {source for source, target in edges(planned) if target == "report"} == {"summary", "analysis"}


async def test_an_answer_read_on_the_way_to_another_is_not_lost() -> None:
    planned = await Office(*EVERYONE).plan(
        "Extract the text of the PDF document; judge the sentiment of the PDF", PAPER
    )
    assert edges(planned) == {("task", "pdf"), ("pdf", "sentiment"), ("pdf", "report"), ("sentiment", "report")}


async def test_the_noun_of_an_attachment_does_not_decide_who_does_the_task() -> None:
    planned = await Office(*EVERYONE).plan("Find the keywords of the PDF document", PAPER)
    assert chain(planned) == ["pdf", "keywords"]
    assert planned.matches[0].goal == "Find the keywords of the text"


async def test_two_goals_in_a_row_for_one_skill_are_one_step() -> None:
    planned = await Office(*EVERYONE).plan(
        "Analyse the rows of the csv, then answer questions about the rows of the result", SALES
    )
    assert chain(planned) == ["analysis"]
    assert (
        planned.plan.network.nodes[0].goal
        == "Analyse the rows of the csv and answer questions about the rows of the result"
    )


async def test_an_agent_that_reads_what_is_there_is_preferred_to_an_equal_one_that_needs_a_bridge() -> None:
    reads_pdf = card("pdf-summary", "extract", "Summarise a text", "document", "text")
    planned = await Office(*EVERYONE, reads_pdf).plan("Summarise a text", PAPER)
    assert chain(planned) == ["pdf-summary"]


async def test_an_answer_of_the_wrong_kind_is_finished_by_another_agent() -> None:
    planned = await Office(ANALYSIS, CHART).plan("Analyse the rows of the csv as a chart", SALES)
    assert chain(planned) == ["analysis", "chart"]


async def test_same_skill_twice_on_the_same_content_needs_no_report() -> None:
    planned = await Office(CALC).plan("Compute arithmetic 2 + 2; convert units 3 km in miles")
    assert chain(planned) == ["calc"]
    assert planned.plan.network.nodes[0].goal == "Compute arithmetic 2 + 2 and convert units 3 km in miles"


async def test_results_that_nothing_joins_are_refused_rather_than_dropped() -> None:
    with pytest.raises(NoNetworkFits, match=r"Nothing joins the results of summary.extract and analysis.ask"):
        await Office(PDF, SUMMARY, ANALYSIS).plan("Summarise the PDF; analyse the rows of the csv", PAPER, SALES)


async def test_where_nothing_joins_one_agent_near_enough_to_every_goal_does_them_all() -> None:
    flats = card("flats", "find", "Find an apartment within a budget and check options", "text", "text")
    maps = card("maps", "check", "Check options near a station", "text", "text")
    words = "Find an apartment with a gym within my budget; check the options near a station"
    planned = await Office(flats, maps).plan(words)
    assert chain(planned) == ["flats"]
    assert planned.plan.network.nodes[0].goal == words.replace(";", " and")


async def test_with_somebody_who_joins_the_nearest_of_each_goal_works() -> None:
    flats = card("flats", "find", "Find an apartment within a budget and check options", "text", "text")
    maps = card("maps", "check", "Check options near a station", "text", "text")
    planned = await Office(flats, maps, REPORT).plan(
        "Find an apartment with a gym within my budget; check the options near a station"
    )
    assert {node.agent_id for node in planned.plan.network.nodes} == {"flats", "maps", "report"}


async def test_a_picture_cannot_flow_into_a_text_skill_and_the_refusal_says_so() -> None:
    recording = data_part(b"RIFF", Modality.AUDIO, "audio/wav", "voice.wav")
    reads_tables = card("chart", "draw", "Draw a chart of a recording", "table", "image")
    with pytest.raises(NoNetworkFits, match=r"a sound cannot flow into chart.draw, which reads only table"):
        await Office(reads_tables).plan("Draw a chart of the recording", recording)


async def test_nobody_near_enough_is_an_explicit_abstain_that_names_the_nearest() -> None:
    with pytest.raises(NoAgentFits, match=r"No agent fits 'Book a flight'.*calc.compute 0.00.*threshold is 0.10"):
        await Office(CALC).plan("Book a flight")


async def test_when_one_goal_finds_nobody_the_request_is_tried_as_a_whole() -> None:
    office = Office(*EVERYONE, threshold=0.2)
    planned = await office.plan("Judge the sentiment of the text; provide decimals")
    assert chain(planned) == ["sentiment"]
    assert planned.plan.network.nodes[0].goal == "Judge the sentiment of the text and provide decimals"


async def test_pinned_agents_do_the_task_in_their_order() -> None:
    hints = RoutingHints(pin=("summary", "sentiment"))
    planned = await Office(*EVERYONE).plan("Do something with this", routing=hints)
    assert draw(planned.plan.network) == " task ───▶ summary.extract ───▶ sentiment.judge"


async def test_pinned_agents_may_be_bridged() -> None:
    planned = await Office(*EVERYONE).plan("Do something with this", PICTURE, routing=RoutingHints(pin=("summary",)))
    assert chain(planned) == ["ocr", "summary"]


async def test_a_pinned_agent_that_is_not_there_is_named() -> None:
    with pytest.raises(NoAgentFits, match=r"pinned agent 'ghost' is not registered"):
        await Office(*EVERYONE).plan("Compute 2 + 2", routing=RoutingHints(pin=("ghost",)))


async def test_an_excluded_agent_appears_nowhere_not_even_in_a_bridge() -> None:
    with pytest.raises(NoNetworkFits):
        await Office(OCR, SUMMARY).plan("Summarise the text", PICTURE, routing=RoutingHints(exclude=("ocr",)))


async def test_dead_agents_are_no_bridges() -> None:
    office = Office(OCR, SUMMARY)
    office.fleet.dead.add("ocr")
    with pytest.raises(NoNetworkFits):
        await office.plan("Summarise the text", PICTURE)


async def test_required_capabilities_hold_for_bridges_too() -> None:
    safe = SUMMARY.model_copy(update={"tags": ("gdpr",)})
    with pytest.raises(NoNetworkFits):
        await Office(OCR, safe).plan(
            "Summarise the text", PICTURE, routing=RoutingHints(required_capabilities=("gdpr",))
        )


async def test_content_the_task_carries_tops_up_what_a_skill_requires() -> None:
    marker = card("marker", "mark", "Highlight keywords in the picture", "text image", "image", "text image")
    planned = await Office(*EVERYONE, marker).plan(
        "Read the text in the picture, then highlight these keywords in it", PICTURE
    )
    assert {("task", "marker"), ("ocr", "marker")} <= edges(planned)


async def test_the_words_flow_only_into_skills_that_have_nothing_else_to_read() -> None:
    planned = await Office(ANALYSIS).plan("Analyse the rows of the csv", SALES)
    assert planned.plan.network.edges[0].modalities == (Modality.TABLE,)


async def test_approvals_are_the_agents_that_ask_and_the_task_itself() -> None:
    careful = OCR.model_copy(update={"requires_approval": True})
    planned = await Office(careful, SUMMARY).plan("Summarise the text", PICTURE, requires_approval=True)
    assert planned.plan.approvals == ("task", "ocr")


async def test_a_task_without_words_speaks_of_its_own_attachment() -> None:
    watcher = card("watcher", "see", "Describe what is in this picture", "image", "text")
    office, other = Office(watcher), PICTURE.model_copy(update={"name": "other.png"})
    goals = [(await office.plan("", picture)).plan.network.nodes[0].goal for picture in (PICTURE, other)]
    assert goals == [f"Describe what is in this picture {name}" for name in ("scan.png", "other.png")]


async def test_a_cold_plan_over_a_large_fleet_takes_few_milliseconds() -> None:
    crowd = [card(f"agent-{n}", "work", f"Does the special job number {n}", "text", "text") for n in range(500)]
    office = Office(*EVERYONE, *crowd)
    started = time.perf_counter()
    await office.plan("Summarise the text", PICTURE)
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize("shuffle", [1, -1])
async def test_plans_do_not_depend_on_the_order_of_the_fleet(shuffle: int) -> None:
    planned = await Office(*(EVERYONE[::shuffle])).plan("Read the picture; judge the sentiment of the text", PICTURE)
    assert sorted(chain(planned)) == ["ocr", "sentiment"]


def test_the_fleet_of_these_tests_is_whole() -> None:
    assert {TABLE, SENTIMENT, REPORT} <= set(EVERYONE)
