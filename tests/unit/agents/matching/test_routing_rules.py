"""Rules exclude and prefer where their conditions hold, say so, and never overrule what the task itself says."""

import base64

import numpy as np

from agents.matching.routing_rules import applying, hints_under, is_of_kind, preferred_first, told
from schemas.candidate import Candidate, Excluded, MatchReport
from schemas.parts import Modality
from schemas.routing_rule import RoutingRule, RuleEffect, TaskKind
from schemas.task import RoutingHints

EAST = np.array([1.0, 0.0], dtype=np.float32)
NORTH = np.array([0.0, 1.0], dtype=np.float32)


def a_rule(*agents, effect=RuleEffect.EXCLUDE, **conditions):
    return RoutingRule(rule_id="r1", effect=effect, agents=agents, statement="fails too often", **conditions)


def kind_around(vector, reach=0.7):
    return TaskKind(name=3, centre=base64.b64encode(vector.astype("<f4").tobytes()).decode(), reach=reach)


def candidates(*scores):
    return tuple(
        Candidate(agent_id=f"a{n}", skill_id="do", score=score, probability=float(n == 0), reasons=("near",))
        for n, score in enumerate(scores)
    )


def test_a_rule_applies_where_all_of_its_conditions_hold():
    rule = a_rule("x", modalities=(Modality.AUDIO,), kind=kind_around(EAST))
    both = frozenset({Modality.AUDIO, Modality.TEXT})
    assert applying([rule], EAST, both) == [rule]
    assert applying([rule], EAST, frozenset({Modality.TEXT})) == []
    assert applying([rule], NORTH, both) == []
    assert applying([rule], None, both) == []


def test_a_kind_of_another_encoder_is_nobodys_kind():
    assert not is_of_kind(np.ones(3, dtype=np.float32), kind_around(EAST))


def test_excluded_and_preferred_agents_join_the_tasks_own_hints():
    rules = [a_rule("bad"), a_rule("good", effect=RuleEffect.PREFER)]
    hints = hints_under(rules, RoutingHints(exclude=("other",)))
    assert (hints.exclude, hints.prefer) == (("other", "bad"), ("good",))


def test_what_the_task_says_is_stronger():
    rules = [a_rule("pinned"), a_rule("unwanted", effect=RuleEffect.PREFER)]
    hints = RoutingHints(pin=("pinned",), exclude=("unwanted",))
    assert hints_under(rules, hints) == hints


def test_a_preferred_agent_that_is_good_enough_comes_first_with_certainty():
    [first, *rest] = preferred_first(candidates(0.9, 0.6, 0.5), ("a2", "a1"), 0.3)
    assert [first.agent_id, *(c.agent_id for c in rest)] == ["a1", "a2", "a0"]
    assert [first.probability, *(c.probability for c in rest)] == [1.0, 0.0, 0.0]
    assert first.score > rest[0].score > 0.9
    assert first.reasons[0].startswith("preferred")


def test_a_preferred_agent_that_is_not_good_enough_stays_where_it_is():
    ranked = candidates(0.9, 0.2)
    assert preferred_first(ranked, ("a1",), 0.3) == ranked
    assert preferred_first(ranked, (), 0.0) == ranked
    assert preferred_first(ranked, ("a0",), 0.0) == ranked


def test_the_report_says_which_rule_it_was():
    report = MatchReport(
        excluded=(
            Excluded(agent_id="bad", reason="the task excludes it"),
            Excluded(agent_id="own", reason="the task excludes it"),
            Excluded(agent_id="dead", reason="is dead"),
        )
    )
    reasons = {
        e.agent_id: e.reason for e in told(report, [a_rule("bad", "dead")], RoutingHints(exclude=("own",))).excluded
    }
    assert reasons["bad"] == "routing rule r1 excludes it: fails too often"
    assert (reasons["own"], reasons["dead"]) == ("the task excludes it", "is dead")
