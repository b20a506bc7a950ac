"""Patterns and rules on a real bus, and workers that route by them."""

import asyncio

import numpy as np
import pytest

from agents.matching.rule_book import RuleBook
from evolution.errors import ChangedMeanwhile, NoRuleInPattern, PatternNotFound, RulesUnavailable
from evolution.rules.keeping import Patterns, Rules
from evolution.rules.making import AutomaticRules, rule_of
from schemas import subjects
from schemas.pattern import PatternKind, SynthesizedPattern
from schemas.routing_rule import RuleEffect, TaskKind
from tests.unit.evolution.experience_records import MOMENT, encoded

AUTOMATIC = AutomaticRules(enabled=True)


def a_pattern(pattern_id="f" * 32, antecedent=("agent=ocr", "modality=image"), consequent="outcome=failure", **changes):
    values = {
        "pattern_id": pattern_id,
        "tenant": "default",
        "kind": PatternKind.RULE,
        "statement": f"With {' and '.join(antecedent)}, {consequent}",
        "antecedent": antecedent,
        "consequent": consequent,
        "support": 300,
        "support_share": 0.1,
        "confidence": 0.8,
        "lift": 4.0,
        "low": 0.75,
        "high": 0.85,
        "error_rate": 1e-9,
        "since": MOMENT,
        "until": MOMENT,
    }
    return SynthesizedPattern.model_validate(values | changes)


# Making


def test_failure_suggests_to_exclude_and_success_to_prefer():
    rule = rule_of(a_pattern(), "anna")
    assert (rule.effect, rule.agents, [m.value for m in rule.modalities]) == (RuleEffect.EXCLUDE, ("ocr",), ["image"])
    assert (rule.actor, rule.pattern_id, rule.automatic) == ("anna", "f" * 32, False)
    assert rule_of(a_pattern(consequent="outcome=success"), "anna").effect is RuleEffect.PREFER
    assert rule_of(a_pattern(consequent="slow"), "anna", RuleEffect.PREFER).effect is RuleEffect.PREFER


def test_a_rule_about_a_kind_carries_what_it_takes_to_know_it():
    kind = TaskKind(name=2, centre=encoded(np.eye(4)[0]), reach=0.6)
    assert rule_of(a_pattern(antecedent=("agent=ocr", "kind=2"), task_kind=kind), "anna").kind == kind
    with pytest.raises(NoRuleInPattern, match="mine again"):
        rule_of(a_pattern(antecedent=("agent=ocr", "kind=2")), "anna")


@pytest.mark.parametrize(
    ("antecedent", "words"),
    [(("modality=image",), "no agent"), (("agent=a", "hours=20-24"), "hours"), (("agent=a", "agent=b"), "team")],
)
def test_what_no_rule_can_say_is_refused_with_the_reason(antecedent, words):
    with pytest.raises(NoRuleInPattern, match=words):
        rule_of(a_pattern(antecedent=antecedent), "anna")


# Keeping


async def test_patterns_of_a_run_replace_those_before(js):
    patterns = Patterns(js)
    assert await patterns.all("default") == []
    await patterns.replace("default", [a_pattern("a" * 32), a_pattern("b" * 32)])
    await patterns.replace("other", [a_pattern("c" * 32, tenant="other")])
    await patterns.replace("default", [a_pattern("b" * 32), a_pattern("d" * 32, lift=9.0)])
    assert [p.pattern_id[0] for p in await patterns.all("default")] == ["d", "b"]
    assert (await patterns.one("default", "bbb")).pattern_id == "b" * 32
    for wrong in ("", "e", "c" * 32):
        with pytest.raises(PatternNotFound):
            await patterns.one("default", wrong)


async def test_rules_are_added_replaced_and_taken_back(js):
    rules = Rules(js)
    assert (await rules.read("default")).rules.rules == ()
    rule = rule_of(a_pattern(), "anna")
    await rules.add("default", rule)
    await rules.add("default", rule)
    assert [r.rule_id for r in (await rules.read("default")).rules.rules] == [rule.rule_id]
    with pytest.raises(PatternNotFound, match="aos rules list"):
        await rules.remove("default", "nothing")
    assert (await rules.remove("default", rule.rule_id)).rules == ()
    await rules.add("default", rule)
    assert len((await rules.read("default")).rules.rules) == 1


async def test_of_two_people_at_once_one_is_told_to_look_again(js):
    rules, held = Rules(js), await Rules(js).read("default")
    await rules.add("default", rule_of(a_pattern(), "anna"))
    with pytest.raises(ChangedMeanwhile, match="look"):
        await rules._write(held, ())


async def test_rules_edited_by_hand_so_that_they_do_not_read_are_said(js):
    bucket = await js.key_value(subjects.BUCKET_POLICY)
    await bucket.put("default.rules", b'{"tenant": "default", "rules": [{"effect": "banish"}]}')
    with pytest.raises(RulesUnavailable, match="Mend them"):
        await Rules(js).read("default")


async def test_without_buckets_the_error_says_when_they_come(nc):
    with pytest.raises(RulesUnavailable, match="appears when a role starts"):
        await Patterns(nc.jetstream(timeout=10)).all("default")


async def test_clear_failure_becomes_a_rule_by_policy_and_goes_with_its_pattern(js):
    rules = Rules(js)
    clear, weak = a_pattern("a" * 32), a_pattern("b" * 32, antecedent=("agent=sum",), low=0.3)
    hourly = a_pattern("c" * 32, antecedent=("agent=sum", "hours=00-04"))
    assert await rules.follow("default", [clear], AutomaticRules()) is None
    changed = await rules.follow("default", [clear, weak, hourly], AUTOMATIC)
    assert [(rule.agents, rule.automatic, rule.actor) for rule in changed.rules] == [(("ocr",), True, "aos-evolution")]
    assert await rules.follow("default", [clear, weak], AUTOMATIC) is None
    by_hand = rule_of(weak, "anna")
    await rules.add("default", by_hand)
    assert (await rules.follow("default", [weak], AUTOMATIC)).rules == (by_hand,)


# Following


async def test_workers_know_rules_soon_after_they_change(js):
    book = RuleBook(js)
    await book.start()
    try:
        rules, rule = Rules(js), rule_of(a_pattern(), "anna")
        await rules.add("default", rule)
        await until(lambda: book.of("default") == (rule,))
        bucket = await js.key_value(subjects.BUCKET_POLICY)
        await bucket.put("default.rules", b"not rules")
        await bucket.put("other.rules", b'{"tenant":"other"}')
        await until(lambda: "other" in book._rules)
        assert book.of("default") == (rule,)
        await bucket.delete("default.rules")
        await until(lambda: book.of("default") == ())
    finally:
        await book.stop()
    assert "routing rules" not in {task.get_name() for task in asyncio.all_tasks()}


async def until(reached):
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0.02)
