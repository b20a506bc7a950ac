"""Work that was given up: listed, read, and sent round again."""

import base64
from dataclasses import replace

import pytest

from gateway.bus.ensuring import ensure
from gateway.bus.streams import Quotas
from gateway.foundation import quotas_of
from gateway.settings import Settings
from gateway.settings.sections import Retention
from schemas import subjects
from schemas.task import DeadTask, TaskRecord, TaskState, TaskSubmitted
from tests.integration.http_door import TinyWorker, in_process, open_app


@pytest.fixture
async def client(nc, js, tmp_path):
    async with in_process(await open_app(nc, js, tmp_path)) as client:
        yield client


async def bury(js, task_id="t1", payload=b"{}", tenant="default", subject=None):
    dead = DeadTask(
        task_id=task_id,
        tenant=tenant,
        reason="a worker died of it",
        code="too_many_deliveries",
        attempts=10,
        subject=subject or f"aos.{tenant}.task.submit.normal",
        payload=base64.b64encode(payload).decode(),
    )
    return (await js.publish(subjects.dead(tenant), dead.model_dump_json().encode())).seq


@pytest.fixture
async def given_up(client, js):
    """A task that failed and was buried; its path and the letter's number."""
    accepted = await client.post("/v1/tasks", json={"text": "poison"})
    task_id = accepted.json()["task_id"]
    message = await js.get_msg(subjects.STREAM_TASKS, seq=1)
    await js.purge_stream(subjects.STREAM_TASKS)
    bucket = await js.key_value(subjects.BUCKET_TASKS)
    record = TaskRecord.model_validate_json((await bucket.get(f"default.{task_id}")).value)
    failed = record.model_copy(update={"state": TaskState.FAILED, "deliveries": 10})
    await bucket.put(f"default.{task_id}", failed.model_dump_json().encode())
    return accepted.headers["location"], await bury(js, task_id, message.data)


async def test_dead_letters_are_listed_newest_first_page_by_page(client, js):
    for n in range(5):
        await bury(js, f"t{n}")
    first = (await client.get("/v1/dead?limit=3")).json()
    rest = (await client.get(f"/v1/dead?limit=3&cursor={first['cursor']}")).json()
    assert [letter["task_id"] for letter in first["letters"] + rest["letters"]] == ["t4", "t3", "t2", "t1", "t0"]
    assert rest["cursor"] is None
    assert first["letters"][0]["payload"] is None


async def test_nothing_dead_is_an_empty_list(client):
    assert (await client.get("/v1/dead")).json() == {"letters": [], "cursor": None}


async def test_a_letter_tells_its_reason_and_payload(client, js):
    letter = (await client.get(f"/v1/dead/{await bury(js, payload=b'content')}")).json()
    assert (letter["reason"], letter["attempts"]) == ("a worker died of it", 10)
    assert base64.b64decode(letter["payload"]) == b"content"


async def test_a_tenant_sees_its_own_dead_only(client, js):
    seq = await bury(js, tenant="other")
    for method, path in (("GET", f"/v1/dead/{seq}"), ("POST", f"/v1/dead/{seq}/redrive")):
        response = await client.request(method, path)
        assert (response.status_code, response.json()["code"]) == (404, "dead_letter_not_found")
    assert (await client.get("/v1/dead")).json()["letters"] == []


async def test_a_redriven_task_is_queued_again_and_done(client, given_up, nc, js):
    here, seq = given_up
    redriven = await client.post(f"/v1/dead/{seq}/redrive")
    assert redriven.status_code == 202
    record = (await client.get(here)).json()
    assert (record["state"], record["stream_seq"]) == ("queued", redriven.json()["stream_seq"])
    assert (await client.get("/v1/dead")).json()["letters"] == []
    async with TinyWorker(nc, js).working():
        assert (await client.get(f"{here}?wait=40")).json()["state"] == "succeeded"


async def test_redriving_is_finished_by_asking_again_after_a_crash_in_between(client, given_up, js, nc):
    """The message was published, but the letter not yet dropped."""
    here, seq = given_up
    letter = DeadTask.model_validate_json((await js.get_msg(subjects.STREAM_DEAD, seq=seq)).data)
    headers = {subjects.HEADER_MESSAGE_ID: f"redrive-{letter.task_id}-{seq}"}
    await js.publish(letter.subject, base64.b64decode(letter.payload), headers=headers)
    assert (await client.post(f"/v1/dead/{seq}/redrive")).status_code == 202
    assert (await js.stream_info(subjects.STREAM_TASKS)).state.messages == 1
    async with TinyWorker(nc, js).working() as worker:
        assert (await client.get(f"{here}?wait=40")).json()["state"] == "succeeded"
    assert len(worker.taken) == 1


async def test_a_task_under_way_is_not_redriven(client, given_up, js):
    here, seq = given_up
    bucket = await js.key_value(subjects.BUCKET_TASKS)
    task_id = here.rsplit("/", 1)[1]
    running = TaskRecord(task_id=task_id, tenant="default", state=TaskState.RUNNING, stream_seq=9)
    await bucket.put(f"default.{task_id}", running.model_dump_json().encode())
    response = await client.post(f"/v1/dead/{seq}/redrive")
    assert (response.status_code, response.json()["code"]) == (409, "task_under_way")
    assert len((await client.get("/v1/dead")).json()["letters"]) == 1


async def test_a_task_without_a_record_is_redriven_too(client, js):
    task = TaskSubmitted.model_validate({"task_id": "old", "parts": [{"text": "x"}]})
    seq = await bury(js, "old", task.model_dump_json().encode())
    assert (await client.post(f"/v1/dead/{seq}/redrive")).json()["task_id"] == "old"


async def test_work_that_never_was_a_task_is_sent_round_as_it_was(client, js):
    seq = await bury(js, payload=b"not json")
    redriven = (await client.post(f"/v1/dead/{seq}/redrive")).json()
    assert redriven["task_id"] is None
    assert (await js.get_msg(subjects.STREAM_TASKS, seq=redriven["stream_seq"])).data == b"not json"


async def test_a_letter_that_does_not_say_where_it_belongs_stays(client, js):
    dead = DeadTask(task_id="x", tenant="default", reason="r", code="c", payload="!!!", subject="aos.default.dead")
    seq = (await js.publish(subjects.dead("default"), dead.model_dump_json().encode())).seq
    response = await client.post(f"/v1/dead/{seq}/redrive")
    assert (response.status_code, response.json()["code"]) == (409, "not_redrivable")


@pytest.mark.parametrize("seq", ["0", "x", "-1"])
async def test_a_bad_number_is_refused(client, seq):
    assert (await client.get(f"/v1/dead/{seq}")).json()["fields"][0]["field"] == "path.seq"


async def test_a_letter_that_was_let_go_is_gone_and_the_others_stay(client, js):
    first, second, others = await bury(js, "t1"), await bury(js, "t2"), await bury(js, tenant="other")
    assert (await client.delete(f"/v1/dead/{others}")).status_code == 404
    assert (await client.delete(f"/v1/dead/{first}")).status_code == 204
    assert (await client.delete(f"/v1/dead/{first}")).status_code == 404
    assert (await client.post(f"/v1/dead/{first}/redrive")).status_code == 404
    assert [letter["seq"] for letter in (await client.get("/v1/dead")).json()["letters"]] == [second]
    assert (await js.stream_info(subjects.STREAM_DEAD)).state.messages == 2


async def test_all_letters_of_a_tenant_go_or_those_before_a_moment(client, js):
    await bury(js, "t1")
    await bury(js, tenant="other")
    later = await bury(js, "t2")
    moment = (await client.get(f"/v1/dead/{later}")).json()["stored_at"]
    assert (await client.post("/v1/dead/purge", params={"before": moment})).json() == {"removed": 1}
    assert [letter["seq"] for letter in (await client.get("/v1/dead")).json()["letters"]] == [later]
    assert (await client.post("/v1/dead/purge")).json() == {"removed": 1}
    assert (await client.post("/v1/dead/purge")).json() == {"removed": 0}
    assert (await js.stream_info(subjects.STREAM_DEAD)).state.messages == 1


async def test_a_dead_letter_is_kept_for_as_long_as_is_set(js, nc):
    await ensure(js, replace(Quotas().scaled(0.05), dead_days=2.0), nc.max_payload)
    assert (await js.stream_info(subjects.STREAM_DEAD)).config.max_age == 2 * 86_400
    assert quotas_of(Settings(retention=Retention(dead_days=30.0))).dead_days == 30.0
