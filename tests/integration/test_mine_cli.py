"""`aos mine` and `aos rules` as a person uses them: find, look, make a rule, take it back."""

import asyncio
import json

import pytest

from evolution.rules.keeping import Rules
from schemas.routing_rule import RoutingRule, RuleEffect
from tests.integration.test_mining_schedule import filled
from tests.integration.typed_commands import exit_code_of


@pytest.fixture
async def aos(js, nats_server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AOS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AOS_NATS_URL", nats_server.url)
    await filled(tmp_path / "data" / "experience" / "experience.db")

    async def run(*words, as_json=True):
        code = await asyncio.to_thread(exit_code_of, [*words, *(["--json"] if as_json else [])])
        said = capsys.readouterr()
        return code, json.loads(said.out or said.err) if as_json else said.out

    return run


async def test_a_pattern_is_found_listed_shown_applied_and_taken_back(aos):
    code, found = await aos("mine", "--window", "1d")
    assert (code, found["tasks"], found["kept"]) == (0, 400, True)
    [pattern] = [p for p in found["patterns"] if p["consequent"] == "outcome=failure" and len(p["antecedent"]) == 2]
    assert pattern["antecedent"] == ["agent=a1", "modality=image"]

    assert (await aos("mine", "list"))[1] == (await aos("mine", "list"))[1] != []
    assert (await aos("mine", "show", pattern["pattern_id"][:8]))[1] == pattern
    _, shown = await aos("mine", "show", pattern["pattern_id"], as_json=False)
    assert "aos mine apply" in shown
    assert "modality=image" in shown

    _, rule = await aos("mine", "apply", pattern["pattern_id"][:8])
    assert (rule["effect"], rule["agents"], rule["modalities"]) == ("exclude", ["a1"], ["image"])
    _, listed = await aos("rules", "list", as_json=False)
    assert rule["rule_id"] in listed
    assert "exclude" in listed
    assert await aos("rules", "remove", rule["rule_id"]) == (0, {"removed": rule["rule_id"], "left": 0})
    code, problem = await aos("rules", "remove", rule["rule_id"])
    assert (code, problem["code"]) == (4, "pattern_not_found")


async def test_forgetting_a_task_takes_the_patterns_that_name_it(aos):
    _, found = await aos("mine", "--window", "1d")
    task = found["patterns"][0]["examples"][0]
    named = sum(task in pattern["examples"] for pattern in found["patterns"])
    code, gone = await aos("experience", "forget", "--task", task)
    assert (code, gone["records"], gone["patterns"]) == (0, 1, named)
    assert not any(task in pattern["examples"] for pattern in (await aos("mine", "list"))[1])
    assert (await aos("mine", "--window", "1d"))[1]["tasks"] == 399


async def test_what_is_kept_and_what_not_is_said_and_without_a_bus_nothing_is_mined_in_vain(aos, monkeypatch, tmp_path):
    _, said = await aos("mine", "--window", "1d", as_json=False)
    assert "patterns in 400 tasks of 1d, 400 newly read; kept in place of those before" in said
    assert "mined 20" in (await aos("mine", "list", as_json=False))[1]
    _, said = await aos("mine", "--window", "60d..50d", as_json=False)
    assert said == "no patterns in 0 tasks of 60d..50d, 0 newly read; not kept, for the window ends before now\n"
    monkeypatch.setenv("AOS_NATS_URL", "nats://127.0.0.1:1")
    monkeypatch.setenv("AOS_DATA_DIR", str(tmp_path / "nobody"))  # not even asked for
    code, problem = await aos("mine")
    assert (code, problem["code"]) == (3, "bus_unavailable")
    assert "--dry-run" in problem["detail"]


async def test_automatic_rules_that_follow_a_run_are_said(aos, monkeypatch):
    monkeypatch.setenv("AOS_MINING__AUTOMATIC_RULES", "true")
    monkeypatch.setenv("AOS_MINING__AUTOMATIC_SUPPORT", "20")
    _, said = await aos("mine", "--window", "1d", as_json=False)
    assert "automatic rules follow them: 1 now" in said
    assert "automatic" not in (await aos("mine", "--window", "1d", as_json=False))[1]


async def test_a_rule_against_another_of_the_same_agent_is_said(aos, js, capsys):
    _, found = await aos("mine", "--window", "1d")
    [bad] = [p["pattern_id"] for p in found["patterns"] if "agent=a1" in p["antecedent"]]
    await asyncio.to_thread(exit_code_of, ["mine", "apply", bad])
    assert "!" not in capsys.readouterr().err
    liked = RoutingRule(rule_id="r-liked", effect=RuleEffect.PREFER, agents=("a1", "a2"), statement="we like them")
    await Rules(js).add("default", liked)
    await asyncio.to_thread(exit_code_of, ["mine", "apply", bad])
    assert "! rule r-liked says prefer of the same agent" in capsys.readouterr().err
