"""`aos policy`, `aos experiment` and `aos replay` as people type them, against a real bus and a real store."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agents.registry.kv_registry import KvRegistry
from evolution.policies.bucket import PolicyBucket
from evolution.store.sqlite_store import SqliteExperienceStore
from gateway.replay.shadow import HARMLESS
from schemas import subjects
from schemas.assignment import CONTROL, TREATMENT, arm_of
from schemas.card import PythonEndpoint
from schemas.experience import Feedback
from schemas.invocation import Invocation, InvocationReply
from schemas.parts import text_part
from schemas.policy import AgentStanding, Lineage, PolicySnapshot, dumps
from schemas.task import TaskEvent, TaskEventKind
from tests.integration.test_shadow_lane import a_card
from tests.integration.typed_commands import exit_code_of
from tests.unit.evolution.a_week import a_week
from tests.unit.evolution.decisions_made import a_decision

Aos = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def aos(js, nats_server, tmp_path: Path, monkeypatch, capsys) -> Aos:
    """Runs a command in this process, for its exit code and what it said on both outputs."""
    monkeypatch.setenv("AOS_NATS_URL", nats_server.url)
    monkeypatch.setenv("AOS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("AOS_TENANT", raising=False)

    async def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = await asyncio.to_thread(exit_code_of, arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
async def week(tmp_path: Path):
    """A week in the embedded store."""
    store = SqliteExperienceStore(tmp_path / "data" / "experience" / "experience.db")
    records = a_week(600, days=6.5)
    await store.record(records)
    await store.close()
    return records


@pytest.fixture
async def bucket(js) -> PolicyBucket:
    """With two versions: one that changes nothing and one that has learned much."""
    found = PolicyBucket(js)
    calm = PolicySnapshot(policy="calm", encoder="e", events=0, weights={"nearness": 2.0, "reputation": 1.0})
    standings = {"novice": AgentStanding(successes=99, failures=1), "clerk": AgentStanding(successes=1, failures=99)}
    bold = calm.model_copy(
        update={"policy": "bold", "parent": "calm", "standings": standings, "lineage": Lineage(metrics={"auc": 0.9})}
    )
    for snapshot in (calm, bold):
        await found.put("default", dumps(snapshot))
    return found


async def test_policies_from_the_list_to_a_promotion_and_back(aos, bucket, week):
    code, out, _ = await aos("policy", "list")
    assert code == 0
    assert "cosine-1" in out
    assert "auc 0.9" in out
    assert (await aos("policy", "promote", "calm", "--reason", "tried it"))[1] == "calm is in force\n"
    code, out, _ = await aos("policy", "list", "--json")
    listed = {item["policy"]: item["roles"] for item in json.loads(out)["policies"]}
    assert listed == {"cosine-1": ["reference", "previous"], "calm": ["active"], "bold": []}
    assert (await aos("policy", "freeze", "--reason", "audit"))[0] == 0
    code, _, err = await aos("policy", "promote", "bold", "--reviewed")
    assert code == 1
    assert "frozen by" in err
    assert "cosine-1 is in force" in (await aos("policy", "rollback"))[1]
    code, _, err = await aos("policy", "promote", "bold", "--reviewed", "--json")
    problem = json.loads(err)
    assert (problem["detail"].split(": ")[1], problem["next_step"]) == ("audit", "aos policy unfreeze")
    assert "audit" in (await aos("policy", "list"))[1]
    assert (await aos("policy", "unfreeze"))[0] == 0
    assert "calm in force" in (await aos("policy", "history"))[1]
    code, out, _ = await aos("policy", "history", "--json")
    assert [state["reason"] for state in json.loads(out)] == ["tried it", "audit", "", ""]


async def test_a_large_change_needs_a_review_and_says_what_to_look_at(aos, bucket, week):
    code, _, err = await aos("policy", "promote", "bold")
    assert code == 1
    assert "of recent choices change" in err
    assert "--reviewed" in err
    code, _, err = await aos("policy", "promote", "bold", "--json")
    assert json.loads(err)["code"] == "review_needed"
    code, out, _ = await aos("policy", "review", "bold", "--json")
    found = {one["guard"]: one["ok"] for one in json.loads(out)["findings"]}
    assert not found["size of change"]
    assert (await aos("policy", "promote", "bold", "--reviewed"))[0] == 0


async def test_a_policy_is_shown_compared_and_carried_as_a_file_that_nobody_may_edit(aos, bucket, tmp_path):
    file = tmp_path / "bold.policy"
    assert (await aos("policy", "show", "bold", "--out", str(file)))[0] == 0
    assert (await aos("policy", "put", str(file), "--tenant", "other"))[0] == 0
    assert json.loads((await aos("policy", "show", "bold", "--json", "--tenant", "other"))[1])["parent"] == "calm"
    file.write_bytes(file.read_bytes().replace(b'"nearness":2.0', b'"nearness":1.0'))
    code, _, err = await aos("policy", "put", str(file), "--tenant", "third")
    assert code == 1
    assert "never edited by hand" in err
    code, out, _ = await aos("policy", "diff", "calm", "bold", "--json")
    assert json.loads(out)["standings"] == {"clerk": [None, 0.01], "novice": [None, 0.99]}
    assert "clerk" in (await aos("policy", "diff", "calm", "bold"))[1]
    assert "novice" in (await aos("policy", "show", "bold"))[1]
    assert (await aos("policy", "show", "nobody"))[0] == 4


async def test_an_experiment_is_started_looked_at_and_stopped(aos, bucket, week):
    assert (await aos("experiment", "status"))[0] == 4
    assert (await aos("experiment", "start", "bold", "--share", "1.5"))[0] == 2
    _code, out, _ = await aos("experiment", "start", "bold", "--share", "0.2", "--watch", "--json")
    started = json.loads(out)["experiment"]
    assert (started["name"], started["share"], started["automatic"]) == ("exp-bold", 0.2, False)
    assert (await aos("experiment", "start", "calm"))[0] == 1
    status = json.loads((await aos("experiment", "status", "--json"))[1])
    assert (status["control"], status["action"], status["tasks"]) == (
        "cosine-1",
        "wait",
        {"treatment": 0, "control": 0},
    )
    assert "too few tasks" in (await aos("experiment", "status"))[1]
    assert (await aos("experiment", "stop", "--promote"))[0] == 1
    assert (await aos("experiment", "stop"))[0] == 0
    code, _, err = await aos("experiment", "stop")
    assert code == 4
    assert "aos experiment start" in err


async def done_and_judged(folder: Path, salt: str) -> None:
    """A few tasks of both arms that all succeed; of each arm people judge three, and find treatment's no good."""
    store = SqliteExperienceStore(folder / "data" / "experience" / "experience.db")
    arms: dict[str, list[int]] = {TREATMENT: [], CONTROL: []}
    for number in range(200):
        arms[arm_of(salt, f"t{number}", 0.2)].append(number)
    policies = {TREATMENT: "bold", CONTROL: "cosine-1"}
    due = {arm: numbers[: 3 if arm == TREATMENT else 20] for arm, numbers in arms.items()}
    done = [a_decision(one, policy=policies[arm], minutes_ago=-5) for arm in due for one in due[arm]]
    await store.record(done)
    said = [Feedback(task_id=f"t{one}", thumbs_up=arm == CONTROL) for arm in due for one in due[arm][:3]]
    await store.add_feedback(said)
    await store.close()


async def test_status_says_how_many_tasks_of_each_arm_people_judged(aos, bucket, tmp_path):
    _code, out, _ = await aos("experiment", "start", "bold", "--share", "0.2", "--json")
    await done_and_judged(tmp_path, json.loads(out)["experiment"]["salt"])
    (stage,) = json.loads((await aos("experiment", "status", "--json"))[1])["stages"]
    told = {arm: [stage[arm][what] for what in ("tasks", "judged", "success")] for arm in ("treatment", "control")}
    assert told == {"treatment": [3, 3, 0.0], "control": [20, 3, 1.0]}
    out = (await aos("experiment", "status"))[1]
    assert "judged: what people said of so many tasks counts instead of their own success" in out


async def test_tasks_are_listed_shown_and_compared(aos, js, week):
    _, out, _ = await aos("replay", "list", "--limit", "3", "--policy", "learned-2", "--json")
    first, second, _ = (record["task_id"] for record in json.loads(out))
    event = TaskEvent(task_id=first, tenant="default", kind=TaskEventKind.SUCCEEDED, at=week[-1].at)
    await js.publish(f"aos.default.task.event.{first}", event.model_dump_json().encode())
    assert [one["what"] for one in json.loads((await aos("replay", "timeline", first, "--json"))[1])] == ["succeeded"]
    assert "chosen with probability" in (await aos("replay", "show", second))[1]
    assert "perceived" in (await aos("replay", "timeline", second))[1]
    assert "instruction" in (await aos("replay", "diff", first, second, "--all"))[1]
    _code, out, _ = await aos("replay", "list", "--failed", "--agent", "novice")
    assert "succeeded" not in out
    assert (await aos("replay", "show", "nobody"))[0] == 4
    assert (await aos("replay", "list", "--window", "soon"))[0] == 2


async def test_policies_are_evaluated_on_the_log_and_missing_support_is_said(aos, bucket, week):
    asked = ("--policy", "cosine-1", "--policy", "bold", "--policy", "always:solver")
    _, out, _ = await aos("replay", "evaluate", "--window", "7d", *asked, "--json")
    found = json.loads(out)["evaluations"]
    assert list(found) == ["logged", "cosine-1", "bold", "always:solver"]
    for evaluation in found.values():
        assert (
            evaluation["doubly_robust"]["low"]
            <= evaluation["doubly_robust"]["value"]
            <= evaluation["doubly_robust"]["high"]
        )
    assert found["cosine-1"]["doubly_robust"]["value"] > found["always:solver"]["doubly_robust"]["value"]
    assert any("effective decisions" in warning for warning in found["always:solver"]["warnings"])
    _code, out, _ = await aos("replay", "evaluate", "--policy", "always:solver")
    assert "! always:solver: only" in out
    fresh = PolicySnapshot(policy="fresh", encoder="e", events=9, weights={}, lineage=Lineage(until=week[-1].at))
    await bucket.put("default", dumps(fresh))
    assert "! fresh learned from experience up to" in (await aos("replay", "evaluate", "--policy", "fresh"))[2]
    assert (await aos("replay", "evaluate", "--policy", "nobody"))[0] == 4
    assert (await aos("replay", "evaluate", "--tenant", "empty", "--policy", "cosine-1"))[0] == 1


async def test_a_version_with_several_roles_is_evaluated_once_and_scripts_find_it_by_what_they_asked(aos, bucket, week):
    _, out, _ = await aos("replay", "evaluate", "--json")
    found = json.loads(out)["evaluations"]
    assert {name: one["asked"] for name, one in found.items()} == {
        "logged": ["logged"],
        "cosine-1 (active, reference)": ["cosine-1", "active", "reference"],
    }
    assert "95 % intervals" in (await aos("replay", "evaluate"))[1]


async def test_without_a_bus_what_needs_none_is_evaluated_and_the_rest_is_said(aos, week, monkeypatch):
    monkeypatch.setenv("AOS_NATS_URL", "nats://127.0.0.1:1")
    code, out, err = await aos("replay", "evaluate", "--json")
    assert code == 0
    assert list(json.loads(out)["evaluations"]) == ["logged", "cosine-1"]
    assert "! without active and reference: no bus answers" in err
    assert (await aos("replay", "evaluate", "--policy", "active"))[0] == 3


async def test_a_policy_that_chooses_by_chance_is_not_said_to_choose_somebody(aos, week):
    code, _, err = await aos("replay", "run", "--policy", "uniform")
    assert code == 2
    assert "aos replay evaluate --policy uniform" in err


async def test_an_empty_window_is_no_result_and_unknown_answers_have_a_next_step(aos, week):
    _, out, _ = await aos("replay", "run", "--window", "60d..50d")
    assert out == "no task of 60d..50d was done again\n"
    assert "--alike 0.9" in (await aos("replay", "run", "--window", "7d", "--limit", "5", "--policy", "always:poet"))[1]


async def test_tasks_are_done_again_and_the_same_command_says_the_same(aos, week):
    asked = ("replay", "run", "--window", "7d", "--policy", "always:poet", "--alike", "0.9", "--json")
    first, second = await aos(*asked), await aos(*asked)
    assert first[:2] == second[:2]
    found = json.loads(first[1])
    assert found["tasks"] == 600
    assert found["changed"] > 300
    assert found["after"]["success"] < found["before"]["success"]


async def test_live_agents_without_effects_do_the_tasks_again_and_the_others_are_refused(aos, nc, js, week):
    asked = []

    async def answer(message) -> None:
        asked.append(Invocation.model_validate_json(message.data))
        reply = InvocationReply(step_id=asked[-1].step_id, outputs=(text_part("done"),))
        await message.respond(reply.model_dump_json().encode())

    for agent, tags in (("poet", (HARMLESS,)), ("clerk", ())):
        await nc.subscribe(subjects.invoke("default", agent), cb=answer)
        await KvRegistry(js).register(a_card(agent, *tags))
    command = ("replay", "run", "--window", "7d", "--limit", "5", "--agents", "live", "--policy")
    code, out, _ = await aos(*command, "always:poet", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["after"]["tasks"], found["after"]["success"], found["left_out"]) == (5, 1.0, {})
    assert sorted(one.goal for one in asked) == sorted(record.instruction for record in week[-5:])
    said = (await aos(*command, "always:clerk"))[1]
    assert "left out: 5 because clerk does not promise to have no effects" in said
    assert f"the tag {HARMLESS}" in said
    assert "is not registered any more" in (await aos(*command, "always:solver"))[1]
    assert len(asked) == 5


async def test_files_that_cannot_be_written_or_asked_are_said(aos, bucket, js, week, tmp_path):
    code, _, err = await aos("policy", "show", "calm", "--out", "/dev/full")
    assert (code, err) == (1, "aos: cannot write /dev/full: No space left on device\n")
    assert "is built in" in (await aos("policy", "show", "cosine-1"))[2]
    card = a_card("poet", HARMLESS).model_copy(update={"endpoint": PythonEndpoint(target="poet.py:run")})
    await KvRegistry(js).register(card)
    for elsewhere in ((), ("--cards", str(tmp_path / "nowhere")), ("--cards", str(tmp_path))):
        code, _, err = await aos("replay", "run", "--agents", "live", "--window", "7d", *elsewhere)
        assert code == 2
        assert "the Python code of poet is not found, and nobody was asked" in err
        assert f"there is no poet.py in {elsewhere[1] if elsewhere else 'no folder'}" in err
        assert "--cards" in err


async def test_pruning_says_what_would_go_and_then_does_it(aos, bucket):
    calm = await bucket.version("default", "calm")
    for number in range(4):
        await bucket.put("default", dumps(calm.model_copy(update={"policy": f"learned-2026110{number}"})))
    code, out, _ = await aos("policy", "prune", "--keep", "2", "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["gone"] == ["learned-20261100", "learned-20261101"]
    assert "would go" in (await aos("policy", "prune", "--keep", "2", "--dry-run"))[1]
    assert len(await bucket.names("default")) == 6
    code, out, _ = await aos("policy", "prune", "--keep", "2")
    assert code == 0
    assert "2 versions left the bucket, 0 parts the object store" in out
    assert await bucket.names("default") == ("bold", "calm", "learned-20261102", "learned-20261103")
    assert (await aos("policy", "prune", "--keep", "2", "--all"))[0] == 0
    assert len(await bucket.names("default")) == 2


async def test_the_report_is_written_whole_or_not_at_all(aos, week, bucket, tmp_path):
    out = tmp_path / "report.html"
    assert (await aos("replay", "report", "--out", str(out), "--limit", "60"))[0] == 0
    assert out.read_text().endswith("</html>\n")
    assert "60 tasks, the newest of the window" in out.read_text()
    assert (await aos("replay", "report", "--out", str(out), "--window", "6d..5d"))[0] == 0
    assert "the newest of" not in out.read_text()
    code, page, _ = await aos("replay", "report", "--out", "-", "--limit", "60")
    assert (code, page[:15], page[-8:]) == (0, "<!doctype html>", "</html>\n")
    code, _, err = await aos("replay", "report", "--out", str(tmp_path / "no" / "r.html"), "--limit", "5")
    assert code == 1
    assert "cannot write" in err


async def test_a_report_that_cannot_be_written_leaves_the_one_before(aos, week, bucket, tmp_path, monkeypatch):
    out = tmp_path / "report.html"
    out.write_text("of yesterday")

    def full(path, text, **_how):
        path.write_bytes(text[:100].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    code, _, err = await aos("replay", "report", "--out", str(out), "--limit", "5")
    assert (code, out.read_text(), list(tmp_path.glob(".*partial*"))) == (1, "of yesterday", [])
    assert f"cannot write {out}: No space left" in err


async def test_without_a_store_the_next_step_is_said(aos):
    code, _, err = await aos("replay", "list")
    assert code == 3
    assert "AOS_DATA_DIR" in err
