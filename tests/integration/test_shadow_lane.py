"""Live agents asked again over a real bus: only those without effects, and nothing is left behind."""

from pathlib import Path

import pytest

from agents.connectors.wiring import connectors
from evolution.replay.policies import always, as_logged
from gateway.bus.streams import Quotas, stream_configs
from gateway.replay.shadow import HARMLESS, ShadowLane
from schemas import subjects
from schemas.card import AgentCard, NatsEndpoint, Skill
from schemas.experience import ExperienceRecord
from schemas.invocation import Invocation, InvocationReply
from schemas.parts import Modality, text_part
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.unit.evolution.test_rerunning import done


def a_card(agent, *tags) -> AgentCard:
    skill = Skill(id="do", description="does the thing", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,))
    return AgentCard(
        id=agent, version="1.0.0", description="does the thing", skills=(skill,), endpoint=NatsEndpoint(), tags=tags
    )


@pytest.fixture
async def asked(nc):
    """What the agents `main` and `spare` were asked; `spare` fails for words with 'hard'."""
    heard: list[Invocation] = []

    async def answer(message) -> None:
        invocation = Invocation.model_validate_json(message.data)
        heard.append(invocation)
        reply = {"step_id": invocation.step_id, "outputs": [text_part("done").model_dump()], "cost": 0.25}
        if invocation.agent_id == "spare" and "hard" in invocation.goal:
            reply = {"step_id": invocation.step_id, "error": {"message": "too hard"}}
        await message.respond(InvocationReply.model_validate(reply).model_dump_json().encode())

    for agent in ("main", "spare"):
        await nc.subscribe(subjects.invoke("default", agent), queue=subjects.QUEUE_AGENTS, cb=answer)
    await nc.flush()
    return heard


@pytest.fixture
async def directory(nc, tmp_path: Path):
    blobs = ObstoreBlobs.from_url(tmp_path.as_uri())
    made = connectors(nc, blobs, python_folders=(), python_packages=(), gateway_url=None)
    yield made
    await made.close()


async def test_harmless_agents_answer_again_and_the_results_are_compared(directory, asked):
    records = [
        done(1, "main", words="easy"),
        done(2, "main", words="hard", success=False),
        done(3, "spare", words="hard"),
    ]
    lane = ShadowLane(directory, {"main": a_card("main", HARMLESS), "spare": a_card("spare", HARMLESS)})
    found = await lane.run(records, always("spare"))
    assert found.left_out == {}
    compared = found.compared
    assert {one.task_id: one.after.success for one in compared.reruns} == {"t1": True, "t2": False, "t3": False}
    assert (compared.before.tasks, compared.unknown, compared.changed) == (3, 0, 2)
    assert compared.before.success == pytest.approx(2 / 3)
    assert compared.after.success == pytest.approx(1 / 3)
    assert compared.after.cost == pytest.approx(0.25 / 3)
    assert {one.agent_id for one in asked} == {"spare"}
    assert not {one.task_id for one in asked} & {record.task_id for record in records}


async def test_agents_that_do_not_promise_to_have_no_effects_are_never_asked(directory, asked):
    records = [done(1, "main"), done(2, "spare"), done(3, "gone")]
    lane = ShadowLane(directory, {"main": a_card("main", HARMLESS), "spare": a_card("spare", "side_effects:some")})
    found = await lane.run(records[:2], always("spare"))
    assert asked == []
    assert found.left_out == {"spare does not promise to have no effects (tag side_effects:none)": 2}
    unregistered = ShadowLane(directory, {})
    assert (await unregistered.run(records[:1], as_logged)).left_out == {"main is not registered any more": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modalities": ("text", "image")}, "attachments"),
        ({"instruction": "x" * 2_000}, "not kept whole"),
        ({"instruction": " "}, "not kept whole"),
        ({"chosen": ("main", "spare")}, "no single agent"),
        ({"steps": ()}, "no single agent"),
    ],
    ids=["attachment", "long", "empty", "team", "undone"],
)
async def test_what_cannot_be_asked_again_whole_is_left_out_with_its_reason(directory, asked, changes, reason):
    record = ExperienceRecord.model_validate({**dict(done(1, "main")), **changes})
    found = await ShadowLane(directory, {"main": a_card("main", HARMLESS)}).run([record], always("main"))
    assert asked == []
    [(said, count)] = found.left_out.items()
    assert reason in said
    assert count == 1


async def test_the_lane_leaves_nothing_in_any_stream_or_bucket(js, directory, asked):
    async def stored() -> dict[str, int]:
        names = [str(config.name) for config in stream_configs(Quotas())]
        names += [f"KV_{bucket}" for bucket in (subjects.BUCKET_TASKS, subjects.BUCKET_PLANS, subjects.BUCKET_POLICY)]
        return {name: (await js.stream_info(name)).state.last_seq for name in names}

    before = await stored()
    records = [done(i, "main", words=f"task {i}") for i in range(10)]
    found = await ShadowLane(directory, {"main": a_card("main", HARMLESS)}).run(records, always("main"))
    assert found.compared.after.success == 1.0
    assert len(asked) == 10
    assert await stored() == before


async def test_an_agent_that_is_not_there_is_a_failure_not_an_error(directory, js):
    lane = ShadowLane(directory, {"main": a_card("main", HARMLESS)}, timeout_s=5.0)
    found = await lane.run([done(1, "main")], always("main"))
    assert found.compared.after.success == 0.0
    assert found.compared.before.success == 1.0
