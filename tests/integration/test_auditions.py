"""Newcomers are asked past tasks over a real bus, without effect for anybody, and what they answer is learned."""

import asyncio
from datetime import timedelta

import pytest

from agents.connectors.wiring import connectors
from agents.journey.records import TaskRecords
from agents.matching.live.lessons import lessons_of
from agents.registry.kv_registry import KvRegistry
from evolution.policies.bucket import PolicyBucket
from evolution.ports import ExperienceQuery
from evolution.store.sqlite_store import SqliteExperienceStore
from gateway.agent_desk import AgentDesk
from gateway.auditions import desk as desk_module
from gateway.auditions.desk import LEAST_TASKS, AuditionDesk, Terms, audition_newcomers
from gateway.auditions.keeping import Auditions
from gateway.auditions.stage import Stage
from gateway.bus.stream_reader import StreamReader
from gateway.foundation import Bus
from gateway.learning.publishing import Publisher
from gateway.learning.school import School
from gateway.learning.terms import Terms as SchoolTerms
from gateway.replay.asked import Kept
from gateway.replay.lane import Lane
from gateway.replay.shadow import HARMLESS
from gateway.settings import Settings
from gateway.settings.experience import Learning
from schemas import subjects
from schemas.audition import AUDITION_OF
from schemas.card import Heartbeat, Skill
from schemas.invocation import INPUT_REQUIRED, Invocation, InvocationReply
from schemas.parts import Modality, text_part
from tensor_layer.bus import PerceptionService
from tensor_layer.storage.blobs import ObstoreBlobs
from tensor_layer.wiring import local_text_encoder
from tests.integration.test_shadow_lane import a_card
from tests.unit.evolution.experience_records import encoded
from tests.unit.evolution.test_rerunning import done

PATIENCE_S = 60
WANTED = 8
THINGS = ("the letter", "the menu", "a poem", "this page", "the song", "the note", "a sign", "the book", "a line", "it")
TASKS = [f"translate {thing} into French" for thing in THINGS] + [f"add {n} and {n * 7}" for n in range(1, 11)]


@pytest.fixture(scope="module")
def encoder():
    return local_text_encoder()


@pytest.fixture
async def store(tmp_path, encoder):
    """Twenty tasks that `main` did: half are translations, half are sums."""
    store = SqliteExperienceStore(tmp_path / "experience.sqlite")
    vectors = await encoder.encode(TASKS)
    version = encoder.version.version
    await store.record(
        [
            done(number, "main", words=words, vector=encoded(vectors[number]), vector_version=version)
            for number, words in enumerate(TASKS)
        ]
    )
    yield store
    await store.close()


@pytest.fixture
def blobs(tmp_path):
    return ObstoreBlobs.from_url(tmp_path.as_uri())


@pytest.fixture
async def new_desk(nc, js, store, blobs, encoder):
    """Makes desks, as several roles would."""
    directory = connectors(nc, blobs, python_folders=(), python_packages=(), gateway_url=None)
    stage = Stage(Lane(directory), Kept(TaskRecords(await js.key_value(subjects.BUCKET_TASKS)), blobs), timeout_s=20)

    def make(least_tasks: int = 20, look_every_s: float = 0.1) -> AuditionDesk:
        registry, bucket = KvRegistry(js), f"KV_{subjects.BUCKET_AGENTS}"
        agents = AgentDesk(registry, StreamReader(nc, bucket), StreamReader(nc, f"KV_{subjects.BUCKET_HEALTH}"))
        terms = Terms(WANTED, least_tasks, look_every_s)
        return AuditionDesk(agents, registry, store, Auditions(js), stage, encoder, terms)

    yield make
    await directory.close()


@pytest.fixture
async def asked(nc):
    """What `newcomer` was asked: it translates, and cannot add."""
    heard: list[Invocation] = []

    async def answer(message) -> None:
        invocation = Invocation.model_validate_json(message.data)
        heard.append(invocation)
        reply = {"step_id": invocation.step_id, "outputs": [text_part("voilà").model_dump()], "cost": 0.5}
        if not invocation.goal.startswith("translate"):
            reply = {"step_id": invocation.step_id, "error": {"message": "no numbers, please"}}
        await message.respond(InvocationReply.model_validate(reply).model_dump_json().encode())

    await nc.subscribe(subjects.invoke("default", "newcomer"), queue=subjects.QUEUE_AGENTS, cb=answer)
    await nc.flush()
    return heard


async def comes(js, *tags: str, agent: str = "newcomer", alive: bool = True, concurrency: int = 8) -> None:
    """The agent's card is registered, and it says that it lives."""
    skill = Skill(
        id="translate", description="translates into French", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,)
    )
    card = a_card(agent, *tags).model_copy(update={"skills": (skill,), "concurrency": concurrency})
    await KvRegistry(js).register(card)
    if alive:
        beat = Heartbeat(agent_id=agent, tenant="default")
        health = await js.key_value(subjects.BUCKET_HEALTH)
        await health.put(subjects.record_key("default", agent), beat.model_dump_json().encode())


async def only(js):
    [held] = await Auditions(js).all()
    return held.audition


async def test_where_nobody_may_be_due_nothing_is_asked_before_a_card_changes(js, store, new_desk, asked, monkeypatch):
    desk, looked_at, stop = new_desk(), [], asyncio.Event()
    every = AgentDesk.every

    async def counted(agents, tenant):
        looked_at.append(tenant)
        return await every(agents, tenant)

    monkeypatch.setattr(AgentDesk, "every", counted)
    await comes(js, agent="harmful")
    for _ in range(5):
        await desk.look()
    assert looked_at == ["default"]
    running = asyncio.create_task(desk.run(stop))
    try:
        await comes(js, HARMLESS)
        async with asyncio.timeout(60):
            while not [held for held in await Auditions(js).all() if held.audition.done]:
                await asyncio.sleep(0.05)
            while "default" not in desk._settled:
                await asyncio.sleep(0.05)
        before = len(looked_at)
        await asyncio.sleep(0.5)  # five looks
        assert len(looked_at) == before
        await Auditions(js).remove("default", "newcomer")
        async with asyncio.timeout(60):
            while len(looked_at) == before:
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await running


async def test_a_newcomer_is_asked_past_tasks_once_and_nothing_else_is_left_behind(js, store, new_desk, asked):
    await comes(js, HARMLESS)
    desk = new_desk()
    await desk.look()
    audition = await only(js)
    assert (audition.agent_id, audition.done, len(audition.records)) == ("newcomer", True, WANTED)
    words = {record.labels[AUDITION_OF]: record.success for record in audition.records}
    assert all(success == TASKS[int(task[1:])].startswith("translate") for task, success in words.items())
    assert sum(words.values()) >= WANTED // 2  # half of the tasks are those nearest to its card
    assert not any(record.instruction for record in audition.records)
    assert {one.task_id for one in asked} == {record.task_id for record in audition.records}
    assert await store.count() == len(TASKS)
    await desk.look()
    assert len(asked) == WANTED


async def test_who_says_that_a_task_lacks_something_is_believed_only_where_nobody_did_it(
    js, nc, store, new_desk, encoder
):
    async def lacks_something(message) -> None:
        step_id = Invocation.model_validate_json(message.data).step_id
        error = {"code": INPUT_REQUIRED, "message": "say which text"}
        await message.respond(InvocationReply(step_id=step_id, error=error).model_dump_json().encode())

    words = "translate what I sent you"
    [vector] = await encoder.encode([words])
    version = encoder.version.version
    await store.record([done(99, "main", success=False, words=words, vector=encoded(vector), vector_version=version)])
    await nc.subscribe(subjects.invoke("default", "newcomer"), cb=lacks_something)
    await comes(js, HARMLESS)
    await new_desk().look()
    records = (await only(js)).records
    taught = {record.labels[AUDITION_OF]: len(lessons_of(record, len(vector))) for record in records}
    assert taught.pop("t99") == 0
    assert set(taught.values()) == {1}


@pytest.mark.parametrize("why", ["it promises nothing", "it is not alive", "everybody is new", "it is known"])
async def test_who_is_not_asked(js, store, new_desk, asked, why):
    await comes(js, *([] if why == "it promises nothing" else [HARMLESS]), alive=why != "it is not alive")
    if why == "it is known":
        await store.record([done(100 + number, "newcomer", words=f"task {number}") for number in range(10)])
    await new_desk(least_tasks=1_000 if why == "everybody is new" else 20).look()
    assert asked == []
    assert await Auditions(js).all() == []


async def test_who_cannot_be_reached_is_asked_again_later(js, nc, new_desk, monkeypatch):
    await comes(js, HARMLESS)
    await new_desk().look()
    held = await only(js)
    assert (held.done, held.records) == (False, ())
    await nc.subscribe(subjects.invoke("default", "newcomer"), cb=_says_yes)
    await nc.flush()
    await new_desk().look()
    assert not (await only(js)).done  # somebody may still be at it
    monkeypatch.setattr(desk_module, "ABANDONED_AFTER", timedelta(0))
    await new_desk().look()
    assert (await only(js)).done


async def _says_yes(message) -> None:
    invocation = Invocation.model_validate_json(message.data)
    reply = InvocationReply(step_id=invocation.step_id, outputs=(text_part("yes"),))
    await message.respond(reply.model_dump_json().encode())


async def test_what_a_killed_role_left_undone_is_gone_on_with_and_nothing_is_asked_twice(
    js, new_desk, asked, monkeypatch
):
    await comes(js, HARMLESS)
    await new_desk().look()
    [held] = await Auditions(js).all()
    halfway = held.audition.model_copy(update={"done": False, "records": held.audition.records[:3]})
    await Auditions(js).write(halfway, held.revision)
    asked.clear()
    monkeypatch.setattr(desk_module, "ABANDONED_AFTER", timedelta(0))
    await new_desk().look()
    audition = await only(js)
    assert (audition.done, len(audition.records), len(asked)) == (True, WANTED, WANTED - 3)
    assert len({record.labels[AUDITION_OF] for record in audition.records}) == WANTED


async def test_of_two_roles_one_auditions(js, new_desk, asked):
    await comes(js, HARMLESS)
    await asyncio.gather(*(new_desk().look() for _ in range(3)))
    assert len(asked) == len((await only(js)).records) == WANTED


async def test_several_newcomers_are_auditioned_beside_one_another(js, nc, new_desk):
    there = asyncio.Barrier(3)

    async def waits_for_the_others(message) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await there.wait()
        await _says_yes(message)

    for agent in "abc":
        await nc.subscribe(subjects.invoke("default", agent), cb=waits_for_the_others)
        await comes(js, HARMLESS, agent=agent, concurrency=1)
    await new_desk().look()
    assert [(one.audition.done, len(one.audition.records)) for one in await Auditions(js).all()] == [(True, WANTED)] * 3


async def test_answers_to_a_forgotten_task_are_forgotten(js, new_desk, asked):
    await comes(js, HARMLESS)
    await new_desk().look()
    before = await only(js)
    gone = {record.labels[AUDITION_OF] for record in before.records[:2]}
    assert await Auditions(js).forget("default", gone) == 2
    assert (await only(js)).records == before.records[2:]
    assert await Auditions(js).forget("default", gone) == 0


async def test_whoever_comes_while_the_desk_runs_is_auditioned_and_learned_of_at_once(
    nc, js, store, blobs, new_desk, asked
):
    # So many that eight more outcomes would be no reason for a version.
    past = await store.find(ExperienceQuery())
    again = [(f"again{n}-{one.task_id}", one) for n in range(3) for one in past]
    await store.record([one.model_copy(update={"record_id": name, "task_id": name}) for name, one in again])
    bucket, stop = PolicyBucket(js), asyncio.Event()
    rarely = SchoolTerms(every_outcomes=10_000, every_s=3600, least_outcomes=WANTED, least_s=0.0)
    learner = School(nc, store, Publisher(bucket, blobs, review_beyond=1.0), rarely)
    running = [asyncio.create_task(one.run(stop)) for one in (learner, new_desk())]
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await bucket.names("default"):
                await asyncio.sleep(0.05)
        await comes(js, HARMLESS)
        standing = await _standing(bucket)
        failed = sum(not one.goal.startswith("translate") for one in asked)
        assert standing.successes + standing.failures == pytest.approx(WANTED, rel=0.2)
        assert standing.failures > 0.8 * failed
    finally:
        stop.set()
        await asyncio.gather(*running)
    assert await store.find(ExperienceQuery(agent_id="newcomer")) == []


async def test_the_evolution_roles_service_auditions_by_the_encoder_of_whoever_perceives(
    nc, js, store, tmp_path, encoder, asked
):
    past = await store.find(ExperienceQuery())
    again = [(f"again{n}-{one.task_id}", one) for n in range(LEAST_TASKS // len(past)) for one in past]
    await store.record([one.model_copy(update={"record_id": name, "task_id": name}) for name, one in again])
    await comes(js, HARMLESS)
    perception, stop = PerceptionService(nc, encoder, {}), asyncio.Event()
    settings = Settings(data_dir=tmp_path / "data", learning=Learning(auditions=WANTED))
    running = asyncio.create_task(audition_newcomers(settings, Bus(nc, js), store, stop))
    await perception.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not [one for one in await Auditions(js).all() if one.audition.done]:
                await asyncio.sleep(0.05)
        assert len(asked) == WANTED
    finally:
        stop.set()
        await running
        await perception.stop()


async def test_an_agent_that_is_heard_a_little_after_its_card_came_waits_for_no_next_look(js, store, new_desk, asked):
    stop = asyncio.Event()
    running = asyncio.create_task(new_desk(look_every_s=3_600).run(stop))
    try:
        await comes(js, HARMLESS, alive=False)
        await asyncio.sleep(0.3)  # the card is looked at, and nobody has heard its agent
        await comes(js, HARMLESS)
        async with asyncio.timeout(PATIENCE_S):
            while not [one for one in await Auditions(js).all() if one.audition.done]:
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await running


async def test_a_learner_that_starts_anew_reads_auditions_with_experience(nc, js, store, blobs, new_desk, asked):
    await comes(js, HARMLESS)
    await new_desk().look()
    bucket, stop = PolicyBucket(js), asyncio.Event()
    learner = School(nc, store, Publisher(bucket, blobs, review_beyond=1.0), SchoolTerms(1, 0.0, 1, 0.0))
    running = asyncio.create_task(learner.run(stop))
    try:
        assert (await _standing(bucket)).failures > 0
    finally:
        stop.set()
        await running


async def _standing(bucket: PolicyBucket):
    """The newcomer's, in the first version that knows it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for name in await bucket.names("default"):
                standing = (await bucket.version("default", name)).standings.get("newcomer")
                if standing is not None:
                    return standing
            await asyncio.sleep(0.05)
