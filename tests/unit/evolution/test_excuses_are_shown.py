"""An agent that says of every task that it lacks something: mining shows it, and a person may make a rule of it."""

import numpy as np
import pytest

from evolution.errors import NoRuleInPattern
from evolution.mining.mine import mine
from evolution.rules.making import AutomaticRules, makes_itself, rule_of
from schemas.routing_rule import RuleEffect
from tests.unit.evolution.experience_records import a_failure, a_record, encoded


def tasks_of(excused: float, count=400):
    """Four kinds of task, each done by an agent alone; of a2's tasks that share lacks something, of others' a tenth."""
    rng = np.random.default_rng(1)
    centres = np.eye(64)[:4]
    for number in range(count):
        kind = int(rng.integers(4))
        vector = centres[kind] + 0.06 * rng.normal(size=64)
        lacks = rng.random() < (excused if kind == 2 else 0.1)
        made = a_failure if lacks else a_record
        values = {"failure_code": "input_required"} if lacks else {}
        values |= {"chosen": (f"a{kind}",), "vector": encoded(vector / np.linalg.norm(vector)), "steps": ()}
        yield made(f"t{number}", minutes=number, candidates=(), network=None, **values)


def excuses_in(records):
    return [one for one in mine(list(records)).patterns if one.consequent == "outcome=input_required"]


def test_whoever_excuses_itself_from_everything_is_shown_and_excluded_only_by_a_person():
    [shown] = [one for one in excuses_in(tasks_of(1.0)) if one.antecedent == ("agent=a2",)]
    assert shown.confidence == 1.0
    assert "a task that lacks something in 100% of" in shown.statement
    assert not makes_itself(shown, AutomaticRules(enabled=True, support=1))
    with pytest.raises(NoRuleInPattern, match="--effect"):
        rule_of(shown, "anna")
    assert rule_of(shown, "anna", RuleEffect.EXCLUDE).agents == ("a2",)


def test_whoever_asks_as_often_as_others_is_not_shown():
    assert excuses_in(tasks_of(0.1)) == []
