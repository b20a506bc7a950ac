"""One candidate for each agent, best first, with scores, true propensities and reasons in words."""

from hypothesis import given
from hypothesis import strategies as st

from agents.matching.ranking import CosineRanker
from agents.ports.skill_index import SkillHit
from schemas.card import AgentCard, NatsEndpoint, Skill
from schemas.parts import Modality


def a_card(agent_id: str, *skills: str) -> AgentCard:
    return AgentCard(
        id=agent_id,
        version="1.0.0",
        description="Does something.",
        endpoint=NatsEndpoint(),
        skills=tuple(
            Skill(id=s, description=f"Do {s} very well.", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,))
            for s in skills
        ),
    )


CARDS = {agent_id: a_card(agent_id, "x", "y") for agent_id in "abc"}


def test_each_agent_comes_once_with_its_nearest_skill():
    ranked = CosineRanker().rank([SkillHit("a", "x", 0.3), SkillHit("b", "y", 0.5), SkillHit("a", "y", 0.9)], CARDS)
    assert [(c.agent_id, c.skill_id, c.score) for c in ranked] == [("a", "y", 0.9), ("b", "y", 0.5)]


def test_the_first_is_chosen_for_certain_and_its_score_is_told():
    ranked = CosineRanker().rank([SkillHit("a", "x", 0.617), SkillHit("b", "y", 0.5)], CARDS)
    assert [c.probability for c in ranked] == [1.0, 0.0]
    assert ranked[0].scores == {"dense": 0.617}
    assert ranked[0].reasons == ("closest skill: Do x very well (0.62)",)


def test_equal_scores_come_in_the_order_of_names_whatever_the_last_bits_say():
    hits = [SkillHit("c", "x", 0.5), SkillHit("b", "y", 0.50000001), SkillHit("b", "x", 0.5), SkillHit("a", "y", 0.5)]
    assert [(c.agent_id, c.skill_id) for c in CosineRanker().rank(hits, CARDS)] == [("a", "y"), ("b", "x"), ("c", "x")]


def test_hits_that_no_card_claims_any_more_are_dropped():
    hits = [SkillHit("gone", "x", 0.9), SkillHit("a", "dropped", 0.8), SkillHit("a", "x", 0.7)]
    assert [(c.agent_id, c.skill_id) for c in CosineRanker().rank(hits, CARDS)] == [("a", "x")]


def test_nothing_found_ranks_nobody():
    assert CosineRanker().rank([], CARDS) == ()


def test_a_long_description_is_cut_at_a_word():
    card = a_card("a", "x").model_copy(
        update={"skills": (a_card("a", "x").skills[0].model_copy(update={"description": "word " * 60}),)}
    )
    reason = CosineRanker().rank([SkillHit("a", "x", 0.5)], {"a": card})[0].reasons[0]
    assert "word… (0.50)" in reason
    assert len(reason) < 120


@given(
    st.lists(st.builds(SkillHit, st.sampled_from("abc"), st.sampled_from("xy"), st.floats(-1, 1)), max_size=12).flatmap(
        lambda hits: st.tuples(st.just(hits), st.permutations(hits))
    )
)
def test_the_order_of_hits_does_not_matter_and_propensities_sum_to_one(pair: tuple[list[SkillHit], list[SkillHit]]):
    hits, shuffled = pair
    ranked = CosineRanker().rank(hits, CARDS)
    assert CosineRanker().rank(shuffled, CARDS) == ranked
    assert [c.score for c in ranked] == sorted((c.score for c in ranked), reverse=True)
    assert sum(c.probability for c in ranked) == (1.0 if hits else 0.0)
