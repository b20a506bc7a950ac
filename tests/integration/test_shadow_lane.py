"""Live agents asked again over a real bus: only those without effects, and nothing is left behind."""

from pathlib import Path

import pytest

from agents.connectors.wiring import connectors
from agents.journey.records import Held, TaskRecords
from evolution.replay.policies import always, as_logged
from gateway.bus.streams import Quotas, stream_configs
from gateway.replay.asked import Kept
from gateway.replay.shadow import HARMLESS, ShadowLane
from schemas import subjects
from schemas.card import AgentCard, NatsEndpoint, Skill
from schemas.experience import ExperienceRecord
from schemas.invocation import Invocation, InvocationReply
from schemas.network import Edge, Network, Node
from schemas.parts import Modality, Part, data_part, text_part
from schemas.percept import PartPercept, Percept
from schemas.task import StepOutcome, TaskRecord, TaskResult, TaskState, TaskSubmitted
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
def blobs(tmp_path: Path):
    return ObstoreBlobs.from_url(tmp_path.as_uri())


@pytest.fixture
async def asker(js, blobs):
    return Kept(TaskRecords(await js.key_value(subjects.BUCKET_TASKS)), blobs)


@pytest.fixture
async def directory(nc, blobs):
    made = connectors(nc, blobs, python_folders=(), python_packages=(), gateway_url=None)
    yield made
    await made.close()


async def test_harmless_agents_answer_again_and_the_results_are_compared(directory, asker, asked):
    records = [
        done(1, "main", words="easy"),
        done(2, "main", words="hard", success=False),
        done(3, "spare", words="hard"),
    ]
    lane = ShadowLane(directory, {"main": a_card("main", HARMLESS), "spare": a_card("spare", HARMLESS)}, asker)
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


async def test_what_had_succeeded_by_help_and_fails_without_it_is_counted(directory, asker, asked):
    helped = done(1, "spare", words="hard")
    [tried] = helped.steps
    stood_in = tried.model_copy(update={"agent_id": "main", "step_id": "t1.n0.main"})
    helped = helped.model_copy(update={"steps": (tried.model_copy(update={"ok": False}), stood_in)})
    lane = ShadowLane(directory, {"spare": a_card("spare", HARMLESS)}, asker)
    compared = (await lane.run([helped, done(2, "spare", words="easy")], None)).compared
    assert {one.task_id: one.after.success for one in compared.reruns} == {"t1": False, "t2": True}
    assert compared.unaided == 1


async def test_agents_that_do_not_promise_to_have_no_effects_are_never_asked(directory, asker, asked):
    records = [done(1, "main"), done(2, "spare"), done(3, "gone")]
    lane = ShadowLane(
        directory, {"main": a_card("main", HARMLESS), "spare": a_card("spare", "side_effects:some")}, asker
    )
    found = await lane.run(records[:2], always("spare"))
    assert asked == []
    assert found.left_out == {"spare does not promise to have no effects (tag side_effects:none)": 2}
    unregistered = ShadowLane(directory, {}, asker)
    assert (await unregistered.run(records[:1], as_logged)).left_out == {"main is not registered any more": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modalities": ("text", "image")}, "attachments"),
        ({"instruction": "x" * 2_000}, "not kept whole"),
        ({"instruction": " "}, "not kept whole"),
        ({"instruction": "call [redacted]"}, "not kept whole"),
        ({"chosen": ("spare", "main")}, "would begin with another agent"),
        ({"steps": ()}, "no step was done"),
    ],
    ids=["attachment", "long", "empty", "redacted", "team", "undone"],
)
async def test_what_cannot_be_asked_again_whole_is_left_out_with_its_reason(directory, asker, asked, changes, reason):
    record = ExperienceRecord.model_validate({**dict(done(1, "main")), **changes})
    found = await ShadowLane(directory, {"main": a_card("main", HARMLESS)}, asker).run([record], always("main"))
    assert asked == []
    [(said, count)] = found.left_out.items()
    assert reason in said
    assert count == 1


async def test_the_lane_leaves_nothing_in_any_stream_or_bucket(js, directory, asker, asked):
    async def stored() -> dict[str, int]:
        names = [str(config.name) for config in stream_configs(Quotas())]
        names += [f"KV_{bucket}" for bucket in (subjects.BUCKET_TASKS, subjects.BUCKET_PLANS, subjects.BUCKET_POLICY)]
        return {name: (await js.stream_info(name)).state.last_seq for name in names}

    before = await stored()
    records = [done(i, "main", words=f"task {i}") for i in range(10)]
    found = await ShadowLane(directory, {"main": a_card("main", HARMLESS)}, asker).run(records, always("main"))
    assert found.compared.after.success == 1.0
    assert len(asked) == 10
    assert await stored() == before


def a_team(task_id, **changes) -> ExperienceRecord:
    """`main` reads a picture, `spare` goes on with its words."""
    nodes = tuple(Node(id=f"n{place}", agent_id=agent, skill_id="do") for place, agent in enumerate(("main", "spare")))
    edges = (
        Edge(source="task", target="n0", modalities=(Modality.IMAGE,)),
        Edge(source="n0", target="n1", modalities=(Modality.TEXT,)),
    )
    steps = tuple(
        StepOutcome(
            step_id=f"{task_id}.{node.id}", node=node.id, agent_id=node.agent_id, skill_id="do", attempts=1,
            latency_ms=10.0, cost=0.5, ok=True,
        )
        for node in nodes
    )  # fmt: skip
    values = {"task_id": task_id, "chosen": ("main", "spare"), "network": Network(nodes=nodes, edges=edges)}
    values |= {"steps": steps, "modalities": (Modality.TEXT, Modality.IMAGE), "instruction": "what does it say?"}
    return done(1, "main").model_copy(update=values | changes)


async def remember(js, task: TaskSubmitted, *, answer="done") -> None:
    """The task's record as a worker leaves it."""
    seen = [
        PartPercept(index=n, modality=modality, media_type=media, digest="", size_bytes=1)
        for n, (modality, media) in enumerate([(Modality.TEXT, "text/plain"), (Modality.IMAGE, "image/png")])
    ]
    record = TaskRecord(
        task_id=task.task_id, tenant=task.tenant, state=TaskState.SUCCEEDED, submission=task,
        percept=Percept(parts=tuple(seen), modalities=(Modality.TEXT, Modality.IMAGE)),
        result=TaskResult(outputs=(text_part(answer),)),
    )  # fmt: skip
    await TaskRecords(await js.key_value(subjects.BUCKET_TASKS)).change(Held(record, 0), lambda there: there)


HARMLESS_PAIR = {"main": a_card("main", HARMLESS), "spare": a_card("spare", HARMLESS)}


async def test_a_network_of_several_agents_is_run_again_with_its_attachments(js, blobs, directory, asker, asked):
    words = Part(text="what does it say?")
    small = data_part(b"\x89PNG small", Modality.IMAGE, "image/png", "small.png")
    large = Part(name="large.png", ref=await blobs.put_bytes(b"\x89PNG large"))
    await remember(js, TaskSubmitted(task_id="small", parts=(words, small)))
    await remember(js, TaskSubmitted(task_id="large", parts=(words, large)), answer="something else")
    lane = ShadowLane(directory, HARMLESS_PAIR, asker)
    found = await lane.run([a_team("small"), a_team("large")], None)
    assert found.left_out == {}
    assert {one.task_id: (one.after.success, one.same_answer) for one in found.compared.reruns} == {
        "small": (True, True),
        "large": (True, False),
    }
    assert [[step.differs for step in one.steps] for one in found.compared.reruns] == [[False, False]] * 2
    heard = [(one.agent_id, [part.name for part in one.inputs], one.attempt) for one in asked]
    assert sorted(heard) == [
        ("main", [None, "large.png"], 1),
        ("main", [None, "small.png"], 1),
        ("spare", [None, "n0.txt"], 1),
        ("spare", [None, "n0.txt"], 1),
    ]
    pictures = [one.inputs[1] for one in asked if one.agent_id == "main"]
    assert {picture.modality for picture in pictures} == {Modality.IMAGE}
    assert all(picture.ref is not None or picture.inline_bytes() for picture in pictures)


async def test_what_goes_wrong_in_a_network_is_said_step_by_step(js, directory, asker, asked):
    hard = TaskSubmitted(task_id="hard", parts=(Part(text="hard"), data_part(b"x", Modality.IMAGE, "image/png", "x")))
    await remember(js, hard)
    found = await ShadowLane(directory, HARMLESS_PAIR, asker).run([a_team("hard", instruction="hard")], None)
    [again] = found.compared.reruns
    assert (again.before.success, again.after.success, again.same_answer) == (True, False, None)
    [changed] = [step for step in again.steps if step.differs]
    assert (changed.node, changed.before.ok, changed.after.ok) == ("n1", True, False)
    assert "too hard" in changed.after.error


async def test_a_network_is_not_begun_when_one_of_its_agents_may_have_effects(js, directory, asker, asked):
    await remember(js, TaskSubmitted(task_id="pair", parts=(Part(text="read"), data_part(b"x", Modality.IMAGE, "a/b"))))
    cards = {"main": a_card("main", HARMLESS), "spare": a_card("spare")}
    found = await ShadowLane(directory, cards, asker).run([a_team("pair")], None)
    assert asked == []
    assert found.left_out == {"spare does not promise to have no effects (tag side_effects:none)": 1}


async def test_attachments_that_are_gone_are_named_as_the_reason(js, blobs, directory, asker, asked):
    ref = await ObstoreBlobs.from_url("memory://").put_bytes(b"kept somewhere else")
    await remember(js, TaskSubmitted(task_id="lost", parts=(Part(text="read"), Part(name="a.png", ref=ref))))
    found = await ShadowLane(directory, HARMLESS_PAIR, asker).run([a_team("lost"), a_team("never-told")], None)
    assert asked == []
    assert found.left_out == {
        "its attachments are not in the object store any more": 1,
        "the task had attachments, which are kept on the bus for seven days at most": 1,
    }


async def test_an_agent_that_is_not_there_is_a_failure_not_an_error(directory, asker, js):
    lane = ShadowLane(directory, {"main": a_card("main", HARMLESS)}, asker, timeout_s=5.0)
    found = await lane.run([done(1, "main")], always("main"))
    assert found.compared.after.success == 0.0
    assert found.compared.before.success == 1.0
