"""Planted rules are found, and nothing else is."""

from collections import Counter

import numpy as np
import pytest

from evolution.mining.columns import columns_of
from evolution.mining.rules import find_rules, frequent, wilson
from evolution.mining.transactions import Items, Limits, is_outcome, limits_of
from tests.unit.evolution.experience_records import a_failure, a_record

PLANTED = {
    (frozenset({"agent=a3", "kind=2"}), "outcome=failure"): 0.75,
    (frozenset({"modality=audio"}), "outcome=failure"): 0.55,
    (frozenset({"agent=a7", "hours=20-24"}), "outcome=failure"): 0.70,
    (frozenset({"agent=a1", "kind=4"}), "slow"): 0.60,
    (frozenset({"agent=a5"}), "slow"): 0.40,
}


def planted_experience(rng, count, rules=PLANTED):
    """Tasks of 10 agents, 6 kinds, 3 modalities, 6 times of day; failure 20 % and slow 10 % but for the rules."""
    tasks = []
    for _ in range(count):
        items = {
            f"agent=a{rng.integers(10)}",
            f"kind={rng.integers(6)}",
            f"modality={rng.choice(['text', 'text', 'image', 'audio'])}",
            f"hours={(start := 4 * int(rng.integers(6))):02d}-{start + 4:02d}",
        }
        chance = {"outcome=failure": 0.2, "slow": 0.1}
        for (antecedent, consequent), probability in rules.items():
            if antecedent <= items:
                chance[consequent] = max(chance[consequent], probability)
        failed, slow = rng.random() < chance["outcome=failure"], rng.random() < chance["slow"]
        items.add("outcome=failure" if failed else "outcome=success")
        tasks.append(frozenset(items | ({"slow"} if slow else set())))
    return Counter(tasks)


def test_planted_rules_are_found_with_high_precision_and_recall():
    found, right, missed = 0, 0, 0
    for seed in range(5):
        rules = find_rules(planted_experience(np.random.default_rng(seed), 8000))
        bad = {(rule.antecedent, rule.consequent) for rule in rules if rule.consequent != "outcome=success"}
        found += len(bad)
        right += len(bad & PLANTED.keys())
        missed += len(PLANTED.keys() - bad)
    assert right / found >= 0.9, (right, found)
    assert right / (right + missed) >= 0.95, missed


def test_experience_without_rules_gives_none():
    found = [
        rule for seed in range(5) for rule in find_rules(planted_experience(np.random.default_rng(seed), 8000, {}))
    ]
    assert found == []


def test_a_rule_says_how_much_how_often_and_how_sure():
    tasks = Counter({frozenset({"agent=x", "outcome=failure"}): 80, frozenset({"agent=x", "outcome=success"}): 20})
    tasks[frozenset({"agent=y", "outcome=failure"})] = 20
    tasks[frozenset({"agent=y", "outcome=success"})] = 280
    [failing, succeeding] = sorted(find_rules(tasks, min_count=10), key=lambda rule: rule.consequent)
    assert (failing.antecedent, failing.consequent) == ({"agent=x"}, "outcome=failure")
    assert (failing.count, failing.covered, failing.total) == (80, 100, 400)
    assert failing.confidence == 0.8
    assert failing.lift == pytest.approx(0.8 / 0.25)
    assert failing.low < 0.8 < failing.high
    assert failing.error_rate < 1e-6
    assert (succeeding.antecedent, succeeding.consequent) == ({"agent=y"}, "outcome=success")


def test_frequent_sets_are_those_of_counting_by_hand():
    rng = np.random.default_rng(1)
    tasks = Counter(frozenset(f"i{n}" for n in np.flatnonzero(rng.random(8) < 0.4)) for _ in range(400))
    found = frequent(tasks, 20, 3)
    for items, count in found.items():
        assert count == sum(times for task, times in tasks.items() if items <= task)
    singles = {item for items in found for item in items}
    triples = {frozenset({a, b, c}) for a in singles for b in singles for c in singles if len({a, b, c}) == 3}
    expected = {t for t in triples if sum(times for task, times in tasks.items() if t <= task) >= 20}
    assert {items for items in found if len(items) == 3} == expected


def test_mining_again_or_in_another_order_gives_the_same():
    tasks = planted_experience(np.random.default_rng(3), 4000)
    backwards = Counter(dict(reversed(tasks.items())))
    assert find_rules(tasks) == find_rules(backwards) == find_rules(tasks)


def test_days_add_up():
    rng = np.random.default_rng(4)
    monday, tuesday = planted_experience(rng, 2000), planted_experience(rng, 2000)
    assert sum((monday + tuesday).values()) == 4000
    assert find_rules(monday + tuesday) == find_rules(tuesday + monday)


def test_no_experience_has_no_rules():
    assert find_rules(Counter()) == []


def items_of(record, kind, limits):
    columns = columns_of([record], {} if kind is None else {record.task_id: kind})
    [items] = Items(columns, limits).sampled()
    assert Items(columns, limits).having(items).all()
    return items


def test_a_record_becomes_items():
    limits = Limits(slow_ms=10.0, costly=5.0)
    assert items_of(a_record(chosen=("ocr", "sum")), 3, limits) == {
        *("agent=ocr", "agent=sum", "network=ocr>sum", "modality=text", "modality=image"),
        *("kind=3", "hours=12-16", "outcome=success", "slow"),
    }
    items = items_of(a_failure(latency_ms=1.0), None, limits)
    assert {"outcome=failure", "failure=step_failed"} < items
    assert not {"slow", "outcome=success"} & items


def test_a_task_that_another_agent_saved_is_told_from_one_that_went_well():
    saved = a_record(chosen=("ocr",))
    done = saved.steps[0]
    saved = saved.model_copy(update={"steps": (done.model_copy(update={"ok": False}), done)})
    items = items_of(saved, None, Limits(1e9, 1e9))
    assert "rescued" in items
    assert not {"outcome=success", "outcome=failure"} & items
    lost = a_failure()
    lost = lost.model_copy(update={"steps": (done.model_copy(update={"ok": False}),)})
    assert "rescued" not in items_of(lost, None, Limits(1e9, 1e9))


def test_a_task_that_lacked_something_is_neither_a_success_nor_a_failure_of_anybody():
    lacking = a_failure(chosen=("ocr",), failure_code="input_required")
    items = items_of(lacking, None, Limits(1e9, 1e9))
    assert [item for item in items if is_outcome(item)] == ["outcome=input_required"]
    both = Items(columns_of([lacking, a_failure(chosen=("ocr",))], {}), Limits(1e9, 1e9))
    assert [int(both.having([item]).sum()) for item in ("outcome=failure", "outcome=input_required")] == [1, 1]


@pytest.mark.parametrize("code", ["cancelled", "approval_denied", "budget_exceeded"])
def test_a_task_that_people_or_its_budget_ended_is_neither_a_success_nor_a_failure_of_anybody(code):
    ended = a_failure(chosen=("ocr",), failure_code=code)
    items = items_of(ended, None, Limits(1e9, 1e9))
    assert [item for item in items if is_outcome(item)] == [f"outcome={code}"]
    both = Items(columns_of([ended, a_failure(chosen=("ocr",))], {}), Limits(1e9, 1e9))
    assert [int(both.having([item]).sum()) for item in ("outcome=failure", f"outcome={code}")] == [1, 1]


def test_a_deadline_is_nobodys_failure_where_nobody_did_anything():
    late = a_failure(chosen=("ocr",), failure_code="deadline_exceeded").model_copy(update={"steps": ()})
    step = a_record("t").steps[0].model_copy(update={"ok": False})
    hung = late.model_copy(update={"steps": (step,)})
    of_each = [items_of(record, None, Limits(1e9, 1e9)) for record in (late, hung)]
    assert [[item for item in items if item.startswith("outcome=")] for items in of_each] == [
        ["outcome=deadline_exceeded"],
        ["outcome=failure"],
    ]


def saved_by(record, helper):
    """The record, with its agent's step failed and ``helper`` standing in."""
    done = record.steps[0]
    steps = (done.model_copy(update={"ok": False}), done.model_copy(update={"agent_id": helper}))
    return record.model_copy(update={"steps": steps})


def test_an_agent_that_others_save_is_not_praised_for_their_success():
    records = [a_record(f"s{n}", minutes=n, chosen=("steady",)) for n in range(100)]
    records += [saved_by(a_record(f"f{n}", minutes=n, chosen=("shaky",)), "steady") for n in range(60)]
    records += [a_record(f"g{n}", minutes=n, chosen=("shaky",)) for n in range(40)]
    items = Items(columns_of(records, {}), Limits(1e9, 1e9))
    rules = find_rules(items.sampled())
    praised = {rule.antecedent for rule in rules if rule.consequent == "outcome=success"}
    blamed = {rule.antecedent for rule in rules if rule.consequent == "rescued"}
    assert frozenset({"agent=steady"}) in praised
    assert not any("agent=shaky" in antecedent for antecedent in praised)
    assert frozenset({"agent=shaky"}) in blamed
    assert all(items.having(rule.antecedent | {rule.consequent}).sum() == rule.count for rule in rules)


def failing(code, count):
    return {frozenset({"agent=x", "outcome=failure", f"failure={code}"}): count}


def test_a_failures_code_is_told_only_where_codes_differ():
    well = {frozenset({"agent=y", "outcome=success"}): 300, frozenset({"agent=x", "outcome=success"}): 20}
    said = {rule.consequent for rule in find_rules(Counter(well | failing("broken", 80)))}
    assert said == {"outcome=failure", "outcome=success"}
    said = {rule.consequent for rule in find_rules(Counter(well | failing("broken", 80) | failing("late", 70)))}
    assert said == {"outcome=failure", "outcome=success", "failure=broken", "failure=late"}


def test_equal_tasks_are_counted_together_and_found_again():
    records = [a_record(f"t{n}", minutes=n, chosen=("ocr",) if n % 3 else ("sum",)) for n in range(30)]
    columns = columns_of(records[::-1], {})
    items = Items(columns, Limits(float("inf"), float("inf")))
    assert sorted(items.sampled().values()) == [10, 20]
    assert columns.tasks(np.flatnonzero(items.having({"agent=sum", "outcome=success"}))) == tuple(
        f"t{n}" for n in range(0, 30, 3)
    )
    assert not items.having({"agent=nobody"}).any()


def test_of_a_large_window_a_sample_is_counted_that_stays_as_more_tasks_come():
    records = [a_record(f"t{n}", minutes=n, chosen=(f"a{n}",)) for n in range(400)]
    limits = Limits(float("inf"), float("inf"))
    drawn = [Items(columns_of(records[:many], {}), limits).sampled(100) for many in (200, 400)]
    assert all(60 <= sum(sample.values()) <= 140 for sample in drawn)
    again = Items(columns_of(records, {}), limits).sampled(100)
    assert again == drawn[1]
    older = {next(i for i in items if i.startswith("agent=")) for items in drawn[0]}
    newer = {next(i for i in items if i.startswith("agent=")) for items in drawn[1]}
    assert {agent for agent in newer if int(agent.removeprefix("agent=a")) < 200} <= older


def test_the_slowest_tenth_is_slow():
    limits = limits_of(columns_of([a_record(latency_ms=float(n)) for n in range(100)], {}))
    assert limits.slow_ms == pytest.approx(89.1)


def test_wilsons_interval_is_the_published_one():
    low, high = wilson(1, 10)  # Wilson 1927: 0.018, 0.404
    assert (round(low, 3), round(high, 3)) == (0.018, 0.404)
    assert wilson(0, 0) == (0.0, 1.0)
