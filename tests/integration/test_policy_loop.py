"""Experiments that decide themselves, on a real bus: widened, promoted, stopped early, or left to a person."""

import asyncio
from datetime import timedelta

import numpy as np
import pytest

from evolution.errors import ExperienceStoreUnavailable
from evolution.policies.bucket import BUILT_IN
from evolution.policies.changes import Who
from evolution.policies.loop import DESIGN, LoopTimes, PolicyLoop
from evolution.policies.trial import progress
from evolution.policies.trial_spans import WASHOUT
from evolution.store.memory_store import MemoryExperienceStore
from gateway.policy_desk import registry_over
from schemas.assignment import CONTROL, TREATMENT, arm_of
from schemas.base import now
from schemas.experience import Feedback
from schemas.policy import AgentStanding, PolicySnapshot, dumps
from schemas.policy_state import PolicyExperiment, PolicyState
from tests.unit.evolution.decisions_made import WEIGHTS, a_decision

LIKE_COSINE: dict[str, AgentStanding] = {}
TURNED_ROUND = {"spare": AgentStanding(successes=99, failures=1), "main": AgentStanding(successes=5, failures=95)}


@pytest.fixture
async def store():
    return MemoryExperienceStore()


@pytest.fixture
async def registry(js, store):
    return registry_over(js, store)


@pytest.fixture
async def loop(registry, store):
    return PolicyLoop(registry, store)


async def begin(registry, *, share=0.5, standings=LIKE_COSINE, **changes) -> PolicyExperiment:
    """An experiment that began an hour ago."""
    snapshot = PolicySnapshot(policy="learned-1", encoder="e", events=0, weights=WEIGHTS, standings=standings)
    await registry.bucket.put("default", dumps(snapshot))
    since = now() - timedelta(hours=1)
    values = {"name": "trial", "candidate": "learned-1", "share": share, "since": since} | changes
    trial = PolicyExperiment.model_validate(values)
    held = await registry.bucket.state("default")
    await registry.bucket.write(held, PolicyState(tenant="default", experiment=trial, changed_at=since))
    return trial


def traffic(count, *, share=0.5, good=0.9, usual=0.9, slower=1.0, minutes_ago=30.0, start=0, seed=1):
    """Tasks split by their hash; ``good`` is the candidate's success rate, ``usual`` the control's."""
    rng = np.random.default_rng(seed)
    records = []
    for number in range(start, start + count):
        treated = arm_of("trial", f"t{number}", share) == TREATMENT
        record = a_decision(
            number,
            policy="learned-1" if treated else BUILT_IN,
            success=bool(rng.random() < (good if treated else usual)),
            minutes_ago=minutes_ago,
            latency_ms=float(rng.lognormal(3.0, 0.3)) * (slower if treated else 1.0),
        )
        records.append(record)
    return records


async def test_a_clear_gain_with_a_small_change_is_promoted_by_the_loop(registry, store, loop):
    await begin(registry)
    await store.record(traffic(900, good=0.95, usual=0.6))
    done = await loop.look()
    assert done["default"].startswith("promote: success rises by at least")
    state = await registry.state("default")
    assert (state.active, state.experiment, state.actor) == ("learned-1", None, "aos-evolution")
    assert state.reason.startswith("experiment trial: success rises")


async def test_a_gain_that_would_change_most_choices_waits_for_a_person_while_the_canary_goes_on(registry, store, loop):
    await begin(registry, standings=TURNED_ROUND)
    await store.record(traffic(900, good=0.95, usual=0.6))
    assert "waits for a person: 100.0% of recent choices change" in (await loop.look())["default"]
    state = await registry.state("default")
    assert (state.active, state.awaiting_review, state.experiment.share) == (None, ("learned-1",), 0.5)
    assert await loop.look() == {}
    assert (await registry.promote("default", "learned-1", Who("anna"), reviewed=True)).active == "learned-1"


async def test_a_candidate_that_waited_for_a_person_and_then_harmed_waits_no_more(registry, store, loop):
    await begin(registry, standings=TURNED_ROUND)
    await store.record(traffic(900, good=0.95, usual=0.6))
    await loop.look()
    assert (await registry.state("default")).awaiting_review == ("learned-1",)
    await store.record(traffic(4000, good=0.1, usual=0.6, start=2000))
    assert "success falls" in (await loop.look())["default"]
    state = await registry.state("default")
    assert (state.experiment, state.awaiting_review) == (None, ())


@pytest.mark.parametrize(
    ("harm", "said"),
    [({"good": 0.4}, "success falls"), ({"slower": 2.0}, "log_latency rises")],
    ids=["success", "latency"],
)
async def test_an_arm_that_harms_is_stopped_early(registry, store, loop, harm, said):
    await begin(registry, share=0.2)
    await store.record(traffic(800, share=0.2, **harm))
    assert said in (await loop.look())["default"]
    state = await registry.state("default")
    assert (state.experiment, state.active) == (None, None)
    assert said in state.reason


async def test_a_split_that_is_not_the_intended_one_ends_the_experiment(registry, store, loop):
    await begin(registry, share=0.5)
    half_lost = [record for record in traffic(900) if record.policy == BUILT_IN or int(record.task_id[1:]) % 2]
    await store.record(half_lost)
    assert "tasks of one arm are lost or doubled" in (await loop.look())["default"]
    assert (await registry.state("default")).experiment is None


async def test_a_candidate_that_workers_cannot_use_ends_the_experiment_instead_of_looking_like_the_control(
    registry, store, loop
):
    await begin(registry, share=0.5)
    await store.record([record.model_copy(update={"policy": BUILT_IN}) for record in traffic(900)])
    assert (
        "tasks of learned-1 were routed by another policy: workers could not use it" in (await loop.look())["default"]
    )
    assert (await registry.state("default")).experiment is None


async def test_tasks_that_came_while_workers_still_read_the_candidate_are_held_against_nobody(registry, store, loop):
    trial = await begin(registry, share=0.5)
    ago = (now() - trial.since).total_seconds() / 60 - 0.5
    unread = [one.model_copy(update={"policy": BUILT_IN}) for one in traffic(600, good=0.1, minutes_ago=ago)]
    await store.record([*unread, *traffic(300, start=2000)])
    assert await loop.look() == {}
    found = await loop.standing(await registry.state("default"))
    assert found.verdict.action.value == "wait"
    (stage,) = found.stages
    assert stage.came(TREATMENT) > 2 * stage.count(TREATMENT)
    assert (stage.strayed(TREATMENT), stage.strayed(CONTROL)) == (0, 0)


async def test_the_canary_widens_step_by_step_and_each_stage_counts_for_itself(registry, store, loop):
    trial = await begin(registry, share=0.05)
    await store.record(traffic(2400, share=0.05))
    assert (await loop.look())["default"].startswith("widen: ")
    state = await registry.state("default")
    assert (state.experiment.share, state.experiment.since) == (0.2, trial.since)
    # Tasks of the new share come later; one within the wash-out belongs to neither stage.
    await store.record(traffic(300, share=0.2, minutes_ago=-60, start=5000))
    await store.record([a_decision(9999, minutes_ago=-WASHOUT.total_seconds() / 120)])
    found = await progress(store, state, await registry.bucket.changes("default"), DESIGN)
    assert [stage.treatment_share for stage in found.stages] == [0.05, 0.2]
    counts = [stage.count(TREATMENT) + stage.count(CONTROL) for stage in found.stages]
    assert counts == [2400, 300]
    assert found.control == BUILT_IN


async def test_tasks_that_no_policy_routed_count_for_neither_arm(registry, store):
    await begin(registry)
    await store.record([a_decision(1, minutes_ago=30), a_decision(2, minutes_ago=30, candidates=(), chosen=())])
    state = await registry.state("default")
    found = await progress(store, state, await registry.bucket.changes("default"), DESIGN)
    assert found.tasks == {CONTROL: 1, TREATMENT: 0}


@pytest.mark.parametrize("held_back", ["frozen", "watched"])
async def test_a_frozen_tenant_and_a_watched_experiment_are_left_alone(registry, store, loop, held_back):
    await begin(registry, automatic=held_back != "watched")
    if held_back == "frozen":
        await registry.freeze("default", Who("anna"))
    await store.record(traffic(900, good=0.2))
    assert await loop.look() == {}
    assert (await registry.state("default")).experiment is not None
    assert (await loop.standing(await registry.state("default"))).verdict.action.value == "roll_back"


async def test_two_loops_at_once_decide_once(registry, store, js):
    await begin(registry)
    await store.record(traffic(900, good=0.95, usual=0.6))
    loops = [PolicyLoop(registry_over(js, store), store) for _ in range(3)]
    await asyncio.gather(*(loop.look() for loop in loops))
    told = await registry.bucket.changes("default")
    assert [state.active for state in told] == [None, "learned-1"]


async def in_force(registry, policy: str) -> None:
    snapshot = PolicySnapshot(policy=policy, encoder="e", events=0, weights=WEIGHTS, standings=TURNED_ROUND)
    await registry.bucket.put("default", dumps(snapshot))
    await registry.promote("default", policy, Who("anna"), reviewed=True)


def spare_is_worse(**changes):
    """`spare` is what the policy TURNED_ROUND takes, and always fails."""
    return [
        a_decision(i, explored=0.5, chosen="main" if i % 2 else "spare", success=bool(i % 2), **changes)
        for i in range(400)
    ]


async def test_a_learned_policy_that_is_certainly_worse_than_the_prior_goes_back_to_it(registry, store, loop):
    await in_force(registry, "bad")
    await store.record(spare_is_worse())
    assert "reset to the prior" in (await loop.look())["default"]
    state = await registry.state("default")
    assert (state.active, state.previous[0]) == (None, "bad")
    noted = await registry.bucket.comparison("default")
    assert (noted.policy, noted.prior, noted.records, noted.reset) == ("bad", BUILT_IN, 400, True)
    assert state.reason == f"reset to the prior: bad {noted.says}"


async def test_a_policy_that_people_find_worse_than_the_prior_goes_though_all_its_tasks_succeed(registry, store, loop):
    await in_force(registry, "bad")
    done = [a_decision(i, explored=0.5, chosen="main" if i % 2 else "spare") for i in range(400)]
    await store.record(done)
    await store.add_feedback(
        [Feedback(task_id=one.task_id, thumbs_up=False) for one in done if one.chosen == ("spare",)]
    )
    assert "reset to the prior: bad beside cosine-1: success -100.0%" in (await loop.look())["default"]
    found = {one.guard: one.ok for one in (await registry.review("default", "bad")).findings}
    assert not found[f"beside {BUILT_IN}"]


async def test_a_control_that_is_worse_than_the_prior_goes_and_its_experiment_ends(registry, store, loop):
    await in_force(registry, "bad")
    held = await registry.bucket.state("default")
    await registry.bucket.put("default", dumps(PolicySnapshot(policy="other", encoder="e", events=0, weights=WEIGHTS)))
    trial = PolicyExperiment(name="trial", candidate="other", share=0.01)
    await registry.bucket.write(held, held.state.model_copy(update={"experiment": trial}))
    await store.record(spare_is_worse(policy="bad"))
    assert "reset to the prior" in (await loop.look())["default"]
    state = await registry.state("default")
    assert (state.active, state.experiment) == (None, None)


async def test_a_learned_policy_that_does_well_stays_and_is_compared_once_a_day_by_whichever_loop(
    registry, store, loop
):
    await in_force(registry, "good")
    await store.record(
        [a_decision(i, explored=0.5, chosen="main" if i % 2 else "spare", success=not i % 2) for i in range(400)]
    )
    assert await loop.look() == {}
    assert (await registry.state("default")).active == "good"
    first = await registry.bucket.comparison("default")
    assert (first.policy, first.reset) == ("good", False)
    assert first.gain > 0.9
    # A loop that starts again finds what the one before it found.
    assert await PolicyLoop(registry, store).look() == {}
    assert await registry.bucket.comparison("default") == first
    hurried = PolicyLoop(registry, store, times=LoopTimes(prior_every=timedelta(0)))
    assert await hurried.look() == {}
    assert (await registry.bucket.comparison("default")).at > first.at


async def test_a_policy_is_not_reset_while_frozen_nor_without_its_experience(registry, store, loop, monkeypatch):
    await in_force(registry, "bad")
    await store.record(spare_is_worse())

    async def down(query):
        raise ExperienceStoreUnavailable("the store is down")

    with monkeypatch.context() as patch:
        patch.setattr(store, "find", down)
        assert await loop.look() == {}
    assert await registry.bucket.comparison("default") is None, "nothing was measured: it is tried again"
    await registry.freeze("default", Who("anna"))
    assert await loop.look() == {}
    await registry.freeze("default", Who("anna"), frozen=False)
    assert "reset to the prior" in (await loop.look())["default"]


async def test_it_looks_again_and_again_until_told_to_stop(registry, store):
    await begin(registry)
    await store.record(traffic(900, good=0.95, usual=0.6))
    stop = asyncio.Event()
    running = asyncio.create_task(PolicyLoop(registry, store, times=LoopTimes(look_every_s=0.05)).run(stop))
    async with asyncio.timeout(60):
        while (await registry.state("default")).active is None:
            await asyncio.sleep(0.05)
        stop.set()
        await running
