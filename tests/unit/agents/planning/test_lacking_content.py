"""A task that lacks what its best agent reads is refused with what to attach, not given to whoever reads words."""

import pytest
from planning_fleet import REPORT, SUMMARY, StandingFleet, WordMatcher, card, encode, vector_of

from agents.errors import NoNetworkFits
from agents.planning.planner import GreedyPlanner
from agents.ports.planning import Planned
from schemas.candidate import MatchReport
from schemas.card import AgentCard
from schemas.parts import Modality, text_part
from schemas.percept import Percept
from schemas.task import RoutingHints, TaskSubmitted
from tensor_layer.ports import Perceived

EAR = card("ear", "hear", "Identify the sound of this audio recording", "text audio", "text", "audio")
SECRETARY = card("secretary", "note", "Write minutes of some meeting recording", "text", "text")
LISTENER = card("listener", "know", "Identify the sound of this audio recording by its words", "text", "text")
WORDS = "Identify the sound of this audio recording"


class LearnedMatcher(WordMatcher):
    """Says of each agent how likely it succeeds, as a policy does."""

    def __init__(self, fleet: StandingFleet, chances: dict[str, float]) -> None:
        super().__init__(fleet)
        self.chances = chances

    async def match(self, *asked, **more) -> MatchReport:
        report = await super().match(*asked, **more)
        learned = tuple(
            one.model_copy(update={"score": chance, "scores": {"dense": one.score, "learned": chance}})
            for one in report.candidates
            for chance in (self.chances[one.agent_id],)
        )
        return report.model_copy(update={"candidates": learned, "threshold": min(self.chances.values())})


async def plan(
    *cards: AgentCard, words: str = WORDS, chances: dict[str, float] | None = None, pin: tuple[str, ...] = ()
) -> Planned:
    fleet = StandingFleet(*cards)
    planner = GreedyPlanner(LearnedMatcher(fleet, chances) if chances else WordMatcher(fleet), fleet, encode)
    perceived = Perceived(Percept(parts=(), modalities=(Modality.TEXT,)), vector_of(words), (text_part(words),))
    return await planner.plan(TaskSubmitted(parts=perceived.parts, routing=RoutingHints(pin=pin)), perceived)


async def test_it_is_refused_with_what_to_attach_and_who_was_too_far():
    with pytest.raises(NoNetworkFits, match=r"ear\.hear requires audio.*Attach") as refused:
        await plan(EAR, SECRETARY)
    assert "secretary.note could do it without, but these words are much nearer to ear.hear" in str(refused.value)


async def test_an_agent_that_is_about_as_near_and_needs_no_attachment_does_it():
    assert (await plan(EAR, SECRETARY, LISTENER)).plan.network.nodes[0].agent_id == "listener"


async def test_nobody_nearer_is_missed_so_a_far_agent_does_it_as_ever():
    assert (await plan(SECRETARY)).plan.network.nodes[0].agent_id == "secretary"


async def test_who_learned_to_do_such_tasks_does_them_however_far_its_card_is():
    planned = await plan(EAR, SECRETARY, chances={"ear": 0.9, "secretary": 0.6})
    assert planned.plan.network.nodes[0].agent_id == "secretary"
    with pytest.raises(NoNetworkFits, match="requires audio"):
        await plan(EAR, SECRETARY, chances={"ear": 0.9, "secretary": 0.02})


async def test_an_agent_that_claims_it_does_it_however_often_it_failed():
    planned = await plan(EAR, LISTENER, chances={"ear": 0.9, "listener": 0.02})
    assert planned.plan.network.nodes[0].agent_id == "listener"


async def test_an_agent_that_the_client_named_does_it_all_the_same():
    assert (await plan(EAR, SECRETARY, pin=("secretary",))).plan.network.nodes[0].agent_id == "secretary"


async def test_an_agent_that_only_writes_up_the_answer_does_not_lower_what_the_plan_promises():
    alone = await plan(SUMMARY, words="Summarise this text")
    written_up = await plan(SUMMARY, REPORT, words="Summarise this text as a document")
    assert [node.agent_id for node in written_up.plan.network.nodes] == ["summary", "report"]
    assert written_up.plan.estimate.uncalibrated == pytest.approx(0.9 * alone.plan.estimate.uncalibrated, rel=0.3)
