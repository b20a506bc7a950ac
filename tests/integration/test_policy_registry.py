"""Policies on a real bus: versions that stay, changes that compare and set, guards that ask a person."""

from datetime import timedelta

import pytest

from evolution.errors import (
    ChangedMeanwhile,
    ExperimentRunning,
    NoExperiment,
    PoliciesFrozen,
    PolicyBucketUnavailable,
    PolicyDamaged,
    PolicyExists,
    PolicyNotFound,
    PolicyRefused,
    ReviewNeeded,
)
from evolution.policies.bucket import BUILT_IN, PolicyBucket
from evolution.policies.changes import Who
from evolution.policies.registry import PolicyRegistry
from evolution.store.memory_store import MemoryExperienceStore
from gateway.policy_desk import registry_over
from gateway.replay.choices import WorkerChoices
from schemas import subjects
from schemas.base import now
from schemas.policy import AgentStanding, Lineage, PolicySnapshot, dumps
from schemas.policy_state import PolicyExperiment, PolicyState
from tests.unit.evolution.decisions_made import WEIGHTS, a_decision

ME = Who("anna", "because")


def a_policy(name="learned-1", **changes) -> PolicySnapshot:
    values = {"policy": name, "encoder": "minilm-1", "events": 40, "weights": WEIGHTS}
    return PolicySnapshot.model_validate(values | changes)


@pytest.fixture
async def store():
    return MemoryExperienceStore()


@pytest.fixture
async def registry(js, store) -> PolicyRegistry:
    return registry_over(js, store)


async def put(registry, *snapshots):
    for snapshot in snapshots:
        await registry.bucket.put("default", dumps(snapshot))


# Versions


async def test_without_any_version_the_built_in_policy_is_active_and_the_reference(registry):
    [built_in] = await registry.listed("default")
    assert (built_in.name, built_in.roles) == (BUILT_IN, ("active", "reference"))


async def test_versions_come_back_as_written_and_are_listed_oldest_first_with_their_lineage(registry):
    lineage = Lineage(since=now() - timedelta(days=1), until=now(), records=40, code="0.1.0", metrics={"auc": 0.8})
    newer = a_policy("b-new", parent="z-old", lineage=lineage)
    older = a_policy("z-old", at=now() - timedelta(days=2))
    await put(registry, newer, older)
    assert await registry.bucket.version("default", "b-new") == newer
    assert [item.name for item in await registry.listed("default")] == [BUILT_IN, "z-old", "b-new"]
    assert (await registry.listed("default"))[2].snapshot.lineage == lineage


async def test_the_same_file_may_be_stored_twice_and_another_one_may_not_take_its_name(registry):
    snapshot = a_policy()
    await put(registry, snapshot, snapshot)
    with pytest.raises(PolicyExists, match="versions are never changed"):
        await put(registry, snapshot.model_copy(update={"events": 41}))
    assert await registry.bucket.version("default", "learned-1") == snapshot


async def test_a_version_deleted_by_hand_is_gone(registry, js):
    await put(registry, a_policy("one"), a_policy("two"))
    await (await js.key_value(subjects.BUCKET_POLICY)).delete(subjects.policy_version_key("default", "one"))
    assert [item.name for item in await registry.listed("default")] == [BUILT_IN, "two"]
    with pytest.raises(PolicyNotFound):
        await registry.promote("default", "one", ME, reviewed=True)


async def test_one_tenants_versions_are_not_anothers(registry):
    await put(registry, a_policy())
    assert len(await registry.listed("other")) == 1
    with pytest.raises(PolicyNotFound):
        await registry.bucket.version("other", "learned-1")


@pytest.mark.parametrize("name", ["nothing", "not a token", "a.b", ">", ""])
async def test_a_name_that_is_not_there_is_not_found(registry, name):
    with pytest.raises(PolicyNotFound):
        await registry.promote("default", name, ME)


# Edited by hand


async def test_a_file_edited_by_hand_is_refused_with_what_to_do(registry):
    edited = dumps(a_policy()).replace(b'"nearness":2.0', b'"nearness":9.0')
    with pytest.raises(PolicyDamaged, match="never edited by hand"):
        await registry.bucket.put("default", edited)
    assert len(await registry.listed("default")) == 1


async def test_a_version_edited_in_the_bucket_is_shown_as_damaged_and_never_promoted(registry, js):
    kv = await js.key_value(subjects.BUCKET_POLICY)
    for name, content in (
        ("edited", dumps(a_policy("edited")).replace(b'"events":40', b'"events":99')),
        ("renamed", dumps(a_policy("another"))),
        ("cut", dumps(a_policy("cut"))[:-20]),
        ("text", b"weights: all of them"),
    ):
        await kv.put(subjects.policy_version_key("default", name), content)
        with pytest.raises(PolicyDamaged):
            await registry.promote("default", name, ME, reviewed=True)
    listed = {item.name: item.damaged for item in await registry.listed("default")}
    assert "damaged" in listed["edited"]
    assert "calls itself another" in listed["renamed"]
    assert (await registry.state("default")).active is None


async def test_a_state_written_by_hand_says_how_to_restore_it(registry, js):
    kv = await js.key_value(subjects.BUCKET_POLICY)
    await kv.put("default.state", b'{"tenant":"default","active":5}')
    with pytest.raises(PolicyDamaged, match="nats kv revert"):
        await registry.state("default")


# Promotion, rollback, freeze


async def test_promoting_and_rolling_back_keeps_the_way_back_and_who_did_it(registry):
    await put(registry, a_policy("one"), a_policy("two"))
    await registry.promote("default", "one", ME, reviewed=True)
    state = await registry.promote("default", "two", ME, reviewed=True)
    assert (state.active, state.previous, state.actor, state.reason) == ("two", ("one", BUILT_IN), "anna", "because")
    assert (await registry.rollback("default", ME)).active == "one"
    assert (await registry.rollback("default", ME)).active is None
    with pytest.raises(PolicyRefused, match="nothing to go back to"):
        await registry.rollback("default", ME)
    told = await registry.bucket.changes("default")
    assert [state.active for state in told] == ["one", "two", "one", None]


async def test_frozen_policies_are_not_promoted_but_may_still_be_rolled_back(registry):
    await put(registry, a_policy("one"), a_policy("two"))
    await registry.promote("default", "one", ME, reviewed=True)
    await registry.freeze("default", Who("bea", "audit"))
    with pytest.raises(PoliciesFrozen, match="tenant default are frozen"):
        await registry.promote("default", "two", ME, reviewed=True)
    with pytest.raises(PoliciesFrozen):
        await registry.start_experiment("default", PolicyExperiment(name="e", candidate="two", share=0.1), ME)
    assert (await registry.rollback("default", ME)).active is None
    await registry.freeze("default", ME, frozen=False)
    assert (await registry.promote("default", "two", ME, reviewed=True)).active == "two"


async def test_of_two_people_who_change_at_once_one_is_told_to_look_again(registry):
    await put(registry, a_policy("one"))
    bucket = registry.bucket
    mine, theirs = await bucket.state("default"), await bucket.state("default")
    await bucket.write(theirs, PolicyState(tenant="default", frozen=True))
    with pytest.raises(ChangedMeanwhile):
        await bucket.write(mine, PolicyState(tenant="default", active="one"))
    assert (await registry.state("default")).frozen


async def test_a_tenant_says_what_it_puts_first_and_how_sure_a_plan_must_be(registry):
    state = await registry.prefer("default", ME, "cost", None)
    assert (state.preference, state.quality_threshold, state.actor) == ("cost", None, "anna")
    state = await registry.prefer("default", ME, None, 0.7)
    assert (state.preference, state.quality_threshold) == ("cost", 0.7)
    assert (await registry.state("other")).preference is None


async def test_the_reference_is_a_version_that_is_there(registry):
    await put(registry, a_policy("calm"))
    state = await registry.refer("default", "calm", ME)
    assert (state.reference, state.actor) == ("calm", "anna")
    with pytest.raises(PolicyNotFound):
        await registry.refer("default", "nobody", ME)
    assert (await registry.refer("default", BUILT_IN, ME)).reference is None


async def test_exploration_has_a_floor(registry):
    assert (await registry.explore("default", 0.2, ME)).exploration == 0.2
    with pytest.raises(PolicyRefused, match="newcomers would starve"):
        await registry.explore("default", 0.001, ME)


# Guards


async def test_what_cannot_be_measured_waits_for_a_person(registry):
    await put(registry, a_policy())
    with pytest.raises(ReviewNeeded, match="no recent decision"):
        await registry.promote("default", "learned-1", ME)
    with pytest.raises(ReviewNeeded):
        await registry.promote("default", "learned-1", Who("aos-evolution"), automatic=True)
    state = await registry.state("default")
    assert (state.active, state.awaiting_review) == (None, ("learned-1",))
    assert (await registry.promote("default", "learned-1", ME, reviewed=True)).awaiting_review == ()


async def test_a_small_measured_change_is_promoted_and_a_large_one_waits(registry, store):
    # In one of ten tasks the second candidate is nearly as near: a little reputation turns only those round.
    await store.record([a_decision(i, near=0.02 if i % 10 == 0 else 0.12) for i in range(300)])
    small = {"spare": AgentStanding(successes=90, failures=10), "main": AgentStanding(successes=70, failures=30)}
    large = {"spare": AgentStanding(successes=99, failures=1), "main": AgentStanding(successes=5, failures=95)}
    await put(registry, a_policy("small", standings=small), a_policy("large", standings=large))
    with pytest.raises(ReviewNeeded, match=r"100\.0% of recent choices change"):
        await registry.promote("default", "large", ME)
    assert (await registry.promote("default", "small", ME)).active == "small"


async def test_a_policy_of_agents_that_are_all_gone_waits_for_a_person(registry, store):
    await store.record([a_decision(number) for number in range(40)])
    gone = {name: AgentStanding(successes=9.0, failures=1.0) for name in ("x", "y")}
    await put(registry, a_policy("strange", standings=gone), a_policy("partly", standings=gone | {"main": gone["x"]}))
    review = await registry.review("default", "strange")
    [told] = [finding for finding in review.findings if finding.guard == "agents"]
    assert (told.ok, told.value) == (False, 0.0)
    assert "knows 0 of the 2 agents" in told.says
    with pytest.raises(ReviewNeeded, match="all gone"):
        await registry.promote("default", "strange", ME)
    [told] = [one for one in (await registry.review("default", "partly")).findings if one.guard == "agents"]
    assert (told.ok, told.value) == (True, 0.5)


async def test_a_policy_that_learned_from_one_client_and_its_own_choices_waits_for_a_person(registry, store):
    lineage = Lineage(since=now() - timedelta(hours=3), until=now() + timedelta(minutes=1), records=100)
    narrow = [a_decision(i, instruction="the same again", explored=0.0, chosen="main") for i in range(100)]
    await store.record(narrow)
    await put(registry, a_policy(lineage=lineage))
    problems = (await registry.review("default", "learned-1")).problems
    assert [problem.split(";")[0] for problem in problems] == [
        "1.0 effective different tasks in 100",
        "1.0 effective agents were tried",
        "0.0% of choices explored",
    ]


async def test_a_policy_that_is_certainly_worse_than_the_reference_and_the_best_agent_is_stopped(registry, store):
    # Both are chosen half of the time; `main` nearly always succeeds, `spare` hardly ever.
    records = [
        a_decision(i, near=0.05, explored=0.5, chosen="main" if i % 2 else "spare", success=bool(i % 2))
        for i in range(600)
    ]
    await store.record(records)
    bad = {"spare": AgentStanding(successes=99, failures=1), "main": AgentStanding(successes=5, failures=95)}
    await put(registry, a_policy("bad", standings=bad))
    found = {one.guard: one for one in (await registry.review("default", "bad")).findings}
    assert not found[f"beside {BUILT_IN}"].ok
    assert found[f"beside {BUILT_IN}"].value == pytest.approx(-1.0, abs=0.05)
    assert not found["beside best single agent (main)"].ok


async def test_the_difference_of_two_versions_names_weights_agents_and_changed_choices(registry, store):
    await store.record([a_decision(i, near=0.05) for i in range(20)])
    standings = {"spare": AgentStanding(successes=99, failures=1), "main": AgentStanding(successes=5, failures=95)}
    weights = {"nearness": 2.0, "bias": 1.0, "reputation": 2.0}
    await put(registry, a_policy("one"), a_policy("two", weights=weights, standings=standings))
    found = await registry.diff("default", "one", "two")
    assert found.weights == {"bias": (None, 1.0), "reputation": (1.0, 2.0)}
    assert found.standings == {"main": (None, 0.05), "spare": (None, 0.99)}
    assert found.changed_choices == 1.0
    assert (await registry.diff("default", "two", BUILT_IN)).changed_choices == 1.0


# Experiments


async def test_only_one_experiment_runs_and_other_promotions_wait_for_its_end(registry):
    await put(registry, a_policy("one"), a_policy("two"))
    trial = PolicyExperiment(name="trial", candidate="one", share=0.1)
    await registry.start_experiment("default", trial, ME)
    with pytest.raises(ExperimentRunning):
        await registry.start_experiment("default", trial.model_copy(update={"candidate": "two"}), ME)
    with pytest.raises(ExperimentRunning, match="stop it first"):
        await registry.promote("default", "two", ME, reviewed=True)
    assert "candidate of trial at 10%" in (await registry.listed("default"))[1].roles
    promoted = await registry.promote("default", "one", ME, reviewed=True)
    assert promoted.experiment is None
    with pytest.raises(NoExperiment):
        await registry.stop_experiment("default", ME)


async def test_an_experiment_needs_a_candidate_that_is_there_and_not_in_force(registry):
    with pytest.raises(PolicyNotFound):
        await registry.start_experiment("default", PolicyExperiment(name="e", candidate="none", share=0.1), ME)
    with pytest.raises(PolicyRefused):
        await registry.start_experiment("default", PolicyExperiment(name="e", candidate=BUILT_IN, share=0.1), ME)


async def test_an_absent_bus_is_said_in_words(nc, js, registry):
    await registry.bucket.state("default")
    await nc.close()
    with pytest.raises(PolicyBucketUnavailable, match="cannot read the policy state"):
        await registry.bucket.state("default")
    with pytest.raises(PolicyBucketUnavailable, match="cannot list the policies"):
        await registry.bucket.names("default")


async def test_looking_at_what_is_in_force_loads_each_version_once(js, store):
    loaded = []
    choices = WorkerChoices()

    async def counted(snapshot):
        loaded.append(snapshot.policy if snapshot else BUILT_IN)
        return await choices(snapshot)

    registry = PolicyRegistry(PolicyBucket(js), store, counted)
    await put(registry, a_policy())
    await registry.promote("default", "learned-1", ME, reviewed=True)
    await store.record([a_decision(number) for number in range(20)])
    loaded.clear()
    review = await registry.review("default", "learned-1")
    assert sorted(loaded) == sorted([BUILT_IN, "learned-1"])
    [size] = [finding for finding in review.findings if finding.guard == "size of change"]
    assert size.value == 0.0
