"""A policy reorders near candidates by how their steps went, and leaves the rest as it was."""

from agents.matching.learning.learned_ranker import STANDING_SHIFT_MAX, LearnedRanker, Outcome, learn
from agents.matching.ranking import CosineRanker
from agents.ports import SkillHit
from schemas.card import AgentCard, NatsEndpoint, Skill
from schemas.parts import Modality


def card(agent_id: str) -> AgentCard:
    skill = Skill(id="only", description="Does things.", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,))
    return AgentCard(id=agent_id, version="1.0.0", description="Does things.", endpoint=NatsEndpoint(), skills=(skill,))


CARDS = {name: card(name) for name in ("good", "bad", "new")}
HITS = [SkillHit("bad", "only", 0.52), SkillHit("good", "only", 0.50), SkillHit("new", "only", 0.49)]
PAST = [Outcome("good", 0.5, True)] * 30 + [Outcome("bad", 0.5, False)] * 25 + [Outcome("bad", 0.5, True)] * 5


def learned(outcomes: list[Outcome]) -> LearnedRanker:
    return LearnedRanker(learn(outcomes, policy="learned-1", encoder="e"))


def order(ranker: LearnedRanker) -> list[str]:
    return [candidate.agent_id for candidate in ranker.rank(HITS, CARDS)]


def test_without_outcomes_it_ranks_as_cosine_does():
    assert learned([]).rank(HITS, CARDS) == CosineRanker().rank(HITS, CARDS)


def test_who_succeeded_comes_first_and_a_newcomer_before_who_failed():
    assert order(learned(PAST)) == ["good", "new", "bad"]


def test_a_newcomer_keeps_its_cosine():
    ranked = {candidate.agent_id: candidate for candidate in learned(PAST).rank(HITS, CARDS)}
    assert ranked["new"].score == 0.49
    assert ranked["good"].score > 0.50
    assert "succeeded in 30 of 30 steps" in ranked["good"].reasons[-1]


def test_reputation_does_not_make_the_far_near():
    far = [SkillHit("good", "only", 0.1), SkillHit("new", "only", 0.1 + STANDING_SHIFT_MAX + 0.01)]
    assert learned(PAST * 100).rank(far, CARDS)[0].agent_id == "new"


def test_one_success_is_worth_less_than_many():
    one, many = (learned([*PAST, *[Outcome("new", 0.5, True)] * times]) for times in (1, 40))
    scores = [{c.agent_id: c.score for c in ranker.rank(HITS, CARDS)}["new"] for ranker in (one, many)]
    assert 0.49 < scores[0] < scores[1]


def test_agents_that_exist_no_more_are_overlooked_and_named():
    ranker = learned([*PAST, Outcome("gone", 0.9, True)])
    assert ranker.unknown_agents(CARDS) == {"gone"}
    assert set(order(ranker)) == set(CARDS)


def test_propensities_sum_to_one():
    assert [candidate.probability for candidate in learned(PAST).rank(HITS, CARDS)] == [1.0, 0.0, 0.0]


def test_nearness_never_counts_against():
    contrary = [Outcome("good", 0.9, False), Outcome("good", 0.1, True)] * 200
    assert learn(contrary, policy="p", encoder="e").weights["similarity"] >= 1.0
