"""Tasks over HTTP: submitted, read, waited for, listed, followed; bad input answered with problem JSON."""

import asyncio
import io
import random

import pytest
from PIL import Image

from gateway.door_limits import DoorLimits
from schemas import subjects
from schemas.task import TaskRecord
from tests.integration.http_door import TinyWorker, in_process, open_app, served


def noisy_png() -> bytes:
    """A picture that does not compress."""
    noise = Image.frombytes("RGB", (512, 512), random.Random(7).randbytes(512 * 512 * 3))
    noise.save(file := io.BytesIO(), "png")
    return file.getvalue()


@pytest.fixture
async def client(nc, js, tmp_path):
    async with in_process(await open_app(nc, js, tmp_path)) as client:
        yield client


@pytest.fixture
async def worker(nc, js):
    async with TinyWorker(nc, js).working() as worker:
        yield worker


async def test_a_submitted_task_is_accepted_and_can_be_read_at_once(client):
    accepted = await client.post("/v1/tasks", json={"text": "what is 2 + 2?", "priority": "high"})
    assert accepted.status_code == 202
    assert accepted.json()["state"] == "queued"
    record = TaskRecord.model_validate_json((await client.get(accepted.headers["location"])).content)
    assert record.title == "what is 2 + 2?"
    assert record.stream_seq == 1
    assert record.priority == "high"


async def test_waiting_gives_the_finished_task(client, worker):
    response = await client.post("/v1/tasks?wait=40", json={"text": "echo me"})
    assert response.status_code == 200
    assert response.json()["state"] == "succeeded"
    assert response.json()["result"]["outputs"][0]["text"] == "echo me"


async def test_waiting_in_vain_gives_the_accepted_task(client):
    response = await client.post("/v1/tasks?wait=0.2", json={"text": "nobody works"})
    assert response.status_code == 202


async def test_reading_can_wait_for_the_end(client, nc, js):
    task = (await client.post("/v1/tasks", json={"text": "later"})).json()
    waiting = asyncio.create_task(client.get(f"/v1/tasks/{task['task_id']}?wait=40"))
    async with TinyWorker(nc, js).working():
        assert (await waiting).json()["state"] == "succeeded"


async def test_a_key_over_http_replays_the_first_answer(client):
    headers = {"Idempotency-Key": "order-1"}
    first = await client.post("/v1/tasks", json={"text": "once"}, headers=headers)
    again = await client.post("/v1/tasks", json={"text": "once"}, headers=headers)
    other = await client.post("/v1/tasks", json={"text": "twice"}, headers=headers)
    assert first.json()["task_id"] == again.json()["task_id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")


async def test_a_repeat_after_the_end_gives_the_result_at_once(client, worker):
    headers = {"Idempotency-Key": "order-1"}
    await client.post("/v1/tasks?wait=40", json={"text": "once"}, headers=headers)
    again = await client.post("/v1/tasks", json={"text": "once"}, headers=headers)
    assert (again.status_code, again.json()["state"]) == (200, "succeeded")
    assert len(worker.taken) == 1


async def test_a_hundred_posts_with_one_key_over_sockets_are_one_task(nc, js, tmp_path):
    async with served(await open_app(nc, js, tmp_path)) as client:
        headers = {"Idempotency-Key": "order-1"}
        posts = [client.post("/v1/tasks", json={"text": "once"}, headers=headers) for _ in range(100)]
        responses = await asyncio.gather(*posts)
    assert {response.status_code for response in responses} == {202}
    assert len({response.json()["task_id"] for response in responses}) == 1
    assert (await js.stream_info(subjects.STREAM_TASKS)).state.messages == 1


async def test_lists_go_back_page_by_page_from_the_latest_change(client):
    submitted = [(await client.post("/v1/tasks", json={"text": f"task {n}"})).json()["task_id"] for n in range(7)]
    seen, cursor = [], None
    while True:
        page = (await client.get("/v1/tasks", params={"limit": 3} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [task["task_id"] for task in page["tasks"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == submitted[::-1]


async def test_lists_can_be_filtered_by_state(client, nc, js):
    async with TinyWorker(nc, js).working():
        done = (await client.post("/v1/tasks?wait=40", json={"text": "done"})).json()["task_id"]
    waiting = (await client.post("/v1/tasks", json={"text": "waits"})).json()["task_id"]
    for state, task_id in (("succeeded", done), ("queued", waiting)):
        page = (await client.get("/v1/tasks", params={"state": state})).json()
        assert [task["task_id"] for task in page["tasks"]] == [task_id]
        assert page["cursor"] is None


async def test_a_list_finds_old_tasks_behind_many_changes_of_others(client, js):
    task_id = (await client.post("/v1/tasks", json={"text": "old"})).json()["task_id"]
    others = TaskRecord(task_id="x", tenant="other", state="running").model_dump_json().encode()
    await asyncio.gather(*(js.publish(f"$KV.{subjects.BUCKET_TASKS}.other.{n}", others) for n in range(700)))
    page = (await client.get("/v1/tasks")).json()
    assert ([task["task_id"] for task in page["tasks"]], page["cursor"]) == ([task_id], None)


async def test_a_task_whose_last_event_got_lost_still_ends_the_wait_and_the_story(client, js):
    task_id = (await client.post("/v1/tasks", json={"text": "quiet"})).json()["task_id"]
    waiting = asyncio.create_task(client.get(f"/v1/tasks/{task_id}?wait=40"))
    following = asyncio.create_task(client.get(f"/v1/tasks/{task_id}/events"))
    done = TaskRecord(task_id=task_id, tenant="default", state="succeeded").model_dump_json().encode()
    await (await js.key_value(subjects.BUCKET_TASKS)).put(f"default.{task_id}", done)
    assert (await waiting).json()["state"] == "succeeded"
    assert "event: accepted" in (await following).text


async def test_a_tenant_sees_its_own_tasks_only(client):
    mine = {"X-AOS-Tenant": "mine"}
    task_id = (await client.post("/v1/tasks", json={"text": "private"}, headers=mine)).json()["task_id"]
    assert (await client.get(f"/v1/tasks/{task_id}", headers=mine)).status_code == 200
    assert (await client.get(f"/v1/tasks/{task_id}")).status_code == 404
    assert (await client.get("/v1/tasks")).json()["tasks"] == []
    assert len((await client.get("/v1/tasks", headers=mine)).json()["tasks"]) == 1


async def test_outputs_are_served_with_their_type_and_name(client, worker):
    picture = noisy_png()
    assert len(picture) > 600_000, "by reference"
    files = {"file": ("Rechnung März.png", picture, "image/png")}
    data = {"text": ["<script>alert(1)</script>"]}
    task = (await client.post("/v1/tasks?wait=40", data=data, files=files)).json()
    here = f"/v1/tasks/{task['task_id']}/outputs"
    text, image = await client.get(f"{here}/0"), await client.get(f"{here}/1")
    assert text.text == "<script>alert(1)</script>"
    assert text.headers["content-type"].startswith("text/plain")
    assert image.content == picture
    assert image.headers["content-type"] == "image/png"
    assert image.headers["content-disposition"] == "inline; filename*=UTF-8''Rechnung%20M%C3%A4rz.png"
    assert image.headers["x-content-type-options"] == "nosniff"
    missing = await client.get(f"{here}/2")
    assert (missing.status_code, missing.json()["code"]) == (404, "output_not_found")


@pytest.mark.parametrize("said", ["a/b\r\nX-Evil: 1", "a/b\0", "text/€", "nonsense", "/", "text/plain\n", "x" * 255])
async def test_an_output_of_no_media_type_is_bytes(nc, js, tmp_path, worker, said):
    async with served(await open_app(nc, js, tmp_path)) as client:
        task = (await client.post("/v1/tasks?wait=40", json={"parts": [{"text": "x", "media_type": said}]})).json()
        output = await client.get(f"/v1/tasks/{task['task_id']}/outputs/0")
    assert (output.status_code, output.content) == (200, b"x")
    assert output.headers["content-type"] == "application/octet-stream"
    assert output.headers["content-disposition"].startswith("attachment")
    assert "x-evil" not in output.headers


async def test_a_range_of_an_output_can_be_read(client, worker):
    content = bytes(range(256)) * 4000
    task = (await client.post("/v1/tasks?wait=40", files={"file": ("a.bin", content)})).json()
    part = await client.get(f"/v1/tasks/{task['task_id']}/outputs/0", headers={"Range": "bytes=1000-1009"})
    assert (part.status_code, part.content) == (206, content[1000:1010])


async def test_outputs_of_an_unfinished_task_are_a_conflict(client):
    task = (await client.post("/v1/tasks", json={"text": "waits"})).json()
    response = await client.get(f"/v1/tasks/{task['task_id']}/outputs/0")
    assert (response.status_code, response.json()["code"]) == (409, "task_not_finished")


async def test_a_form_carries_fields_and_files(client, worker):
    form = {
        "text": ["first", "second"],
        "priority": "low",
        "requires_approval": "false",
        "deadline_s": "60",
        "max_cost": "1.5",
        "labels": '{"project":"atlas"}',
        "routing": '{"pin":["echo"]}',
    }
    files = [("file", ("../../etc/a.csv", b"a,b\n1,2\n", "text/csv")), ("file", ("b.bin", b"\x00" * 300_000))]
    response = await client.post("/v1/tasks?wait=40", data=form, files=files)
    assert response.status_code == 200
    task = worker.taken[0]
    assert (task.priority, task.deadline_s, task.max_cost) == ("low", 60, 1.5)
    assert (task.labels, task.routing.pin) == ({"project": "atlas"}, ("echo",))
    assert [part.text for part in task.parts[:2]] == ["first", "second"]
    assert (task.parts[2].name, task.parts[2].media_type) == ("a.csv", "text/csv")
    assert task.parts[2].inline_bytes() == b"a,b\n1,2\n"
    assert task.parts[3].ref.size_bytes == 300_000


async def test_many_small_files_together_stay_under_the_message_limit(client, js, worker):
    files = [("file", (f"{n}.bin", bytes([n]) * 50_000)) for n in range(20)]
    response = await client.post("/v1/tasks?wait=40", files=files)
    assert response.status_code == 200
    parts = worker.taken[0].parts
    assert len(parts) == 20
    assert sum(len(part.data or "") for part in parts) <= 256 * 1024
    assert {part.ref.size_bytes for part in parts if part.ref} == {50_000}


BAD_BODIES = [
    (b'{"text": "unterminated', 400, "invalid_json", ""),
    (b"\xff\xfe", 400, "invalid_json", ""),
    (b"", 400, "invalid_json", ""),
    (b"[1, 2]", 422, "schema_invalid", "body"),
    (b'{"text": 7}', 422, "schema_invalid", "text"),
    (b'{"text": "x", "colour": "red"}', 422, "schema_invalid", "colour"),
    (b'{"text": "  \\n "}', 422, "schema_invalid", "body"),
    (b"{}", 422, "schema_invalid", "body"),
    (b'{"parts": []}', 422, "schema_invalid", "body"),
    (b'{"text": "x", "priority": "urgent"}', 422, "schema_invalid", "priority"),
    (b'{"text": "x", "deadline_s": -1}', 422, "schema_invalid", "deadline_s"),
    (b'{"text": "x", "max_cost": NaN}', 422, "schema_invalid", "max_cost"),
    (b'{"parts": [{"text": "x", "data": "eA=="}]}', 422, "schema_invalid", "parts[0]"),
    (b'{"parts": [{"data": "not base64!"}]}', 422, "schema_invalid", "parts[0].data"),
    (b'{"parts": [{"text": "x", "name": "../x"}]}', 422, "schema_invalid", "parts[0].name"),
    (b'{"text": "x", "routing": {"pin": ["a.b"]}}', 422, "schema_invalid", "routing.pin[0]"),
]


@pytest.mark.parametrize(("body", "status", "code", "field"), BAD_BODIES)
async def test_a_bad_body_is_answered_with_what_is_wrong_with_it(client, js, body, status, code, field):
    response = await client.post("/v1/tasks", content=body, headers={"Content-Type": "application/json"})
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert [each["field"] for each in problem.get("fields", [])] == ([field] if field else [])
    assert problem["detail"]
    assert (await js.stream_info(subjects.STREAM_TASKS)).state.messages == 0


async def test_a_field_problem_says_what_was_expected_with_an_example(client):
    response = await client.post("/v1/tasks", json={"text": "x", "priority": "urgent", "colour": "red"})
    by_field = {field["field"]: field for field in response.json()["fields"]}
    assert by_field["priority"]["expected"] == "'high', 'normal' or 'low'"
    assert by_field["priority"]["example"] == "normal"
    assert "deadline_s" in by_field["colour"]["expected"]


BAD_FORMS = [
    (b"--b\r\nContent-Disposition: form-data; name=text\r\n\r\nhel", 400, "multipart_truncated"),
    (b"", 400, "multipart_truncated"),
    (b"no boundary at all", 400, "multipart_invalid"),
    (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", 400, "multipart_invalid"),
    (b"--b\r\nContent-Disposition: form-data; name=labels\r\n\r\n{x\r\n--b--\r\n", 400, "invalid_json"),
    (b"--b\r\nContent-Disposition: form-data; name=colour\r\n\r\nred\r\n--b--\r\n", 422, "schema_invalid"),
    (b"--b--\r\n", 422, "schema_invalid"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD_FORMS)
async def test_a_bad_form_is_answered_with_what_is_wrong_with_it(client, body, status, code):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = await client.post("/v1/tasks", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_a_file_that_came_as_words_is_answered_with_how_files_are_sent(client):
    response = await client.post("/v1/tasks", files={"text": (None, "read it"), "file": (None, "scan.png")})
    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "schema_invalid")
    assert "file=@" in problem["fields"][0]["expected"]


async def test_a_parameter_that_is_no_number_is_told_what_was_expected(client):
    [field] = (await client.get("/v1/tasks?limit=abc")).json()["fields"]
    assert (field["field"], field["expected"]) == ("query.limit", "a valid integer")


async def test_a_form_without_a_boundary_is_refused(client):
    response = await client.post("/v1/tasks", content=b"x", headers={"Content-Type": "multipart/form-data"})
    assert (response.status_code, response.json()["code"]) == (400, "multipart_invalid")


async def test_other_content_types_are_refused_with_the_way_out(client):
    response = await client.post("/v1/tasks", data={"text": "x"})
    assert (response.status_code, response.json()["code"]) == (415, "media_type_unsupported")
    assert "application/json" in response.json()["next_step"]


@pytest.mark.parametrize("tenant", ["a.b", "*", "a b", "x" * 65, ""])
async def test_a_bad_tenant_is_refused(client, tenant):
    for method, path in (("POST", "/v1/tasks"), ("GET", "/v1/tasks"), ("GET", "/v1/agents"), ("GET", "/v1/dead")):
        response = await client.request(method, path, headers={"X-AOS-Tenant": tenant})
        assert (response.status_code, response.json()["code"]) == (400, "tenant_invalid")


@pytest.mark.parametrize("wait", ["soon", "-1", "nan", "1e9"])
async def test_a_bad_wait_is_refused(client, wait):
    response = await client.post("/v1/tasks", params={"wait": wait}, json={"text": "x"})
    assert (response.status_code, response.json()["fields"][0]["field"]) == (422, "query.wait")


@pytest.mark.parametrize("query", ["state=asleep", "limit=0", "limit=many", "cursor=-3"])
async def test_a_bad_query_is_refused(client, query):
    response = await client.get(f"/v1/tasks?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "schema_invalid")
    assert response.json()["fields"][0]["field"] == f"query.{query.partition('=')[0]}"


@pytest.mark.parametrize("task_id", ["unknown", "a.b", "%2e%2e", "a%20b"])
async def test_an_unknown_task_is_not_found(client, task_id):
    for path in ("", "/events", "/outputs/0"):
        response = await client.get(f"/v1/tasks/{task_id}{path}")
        assert (response.status_code, response.json()["code"]) == (404, "task_not_found")


async def test_a_json_body_over_the_limit_is_refused_before_it_is_read(nc, js, tmp_path):
    app = await open_app(nc, js, tmp_path, DoorLimits(json_body_bytes=1000))
    async with in_process(app) as client:
        announced = await client.post("/v1/tasks", json={"text": "x" * 2000})
        chunked = await client.post(
            "/v1/tasks", content=_chunks(b'{"text": "', 20), headers={"Content-Type": "text/json+json"}
        )
    for response in (announced, chunked):
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
        assert "multipart" in response.json()["next_step"]


async def test_an_attachment_over_the_limit_is_refused_and_not_kept(nc, js, tmp_path):
    app = await open_app(nc, js, tmp_path, DoorLimits(attachment_bytes=500_000))
    async with in_process(app) as client:
        response = await client.post("/v1/tasks", files={"file": ("big.bin", b"x" * 600_000)})
    assert (response.status_code, response.json()["code"]) == (413, "attachment_too_large")
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def test_too_many_parts_are_refused(client):
    files = [("file", (f"{n}.txt", b"x")) for n in range(65)]
    response = await client.post("/v1/tasks", files=files)
    assert (response.status_code, response.json()["fields"][0]["field"]) == (422, "parts")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"parts": [' + b",".join([b"{}"] * 1_000_000) + b"]}", "too_many_values"),
        (b'{"labels": {' + b",".join(b'"a%d":1' % number for number in range(400_000)) + b"}}", "too_many_values"),
        (b"{" + b",".join(b'"a%d":1' % number for number in range(9_000)) + b"}", "schema_invalid"),
        (b'{"' + b"a" * 1_000_000 + b'": 1}', "schema_invalid"),
    ],
)
async def test_a_body_of_countless_mistakes_is_answered_in_few_words(client, body, code):
    """Telling each of them would cost seconds, in which nobody else is served, and be longer than the body."""
    for path in ("/v1/tasks", "/v1/explain", "/v1/agents/search", "/v1/embeddings"):
        if path != "/v1/agents/search" or len(body) < 256 * 1024:
            response = await client.post(path, content=body)
            assert response.json()["code"] == code, path
            assert len(response.content) < 20_000


async def test_long_content_with_many_commas_is_taken(client):
    text = 'a, "b", {c}, [d], \\ ' * 10_000
    assert (await client.post("/v1/tasks", json={"parts": [{"text": text}]})).status_code == 202


async def test_a_field_of_a_form_comes_once(client):
    """Of two values one would be left out, and so many could come that their reading never ends."""
    field = b'--b\r\nContent-Disposition: form-data; name="priority"\r\n\r\nhigh\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = await client.post("/v1/tasks", content=field * 3, headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "schema_invalid")
    assert [(each["field"], each["problem"]) for each in response.json()["fields"]] == [("priority", "came twice")]


async def test_a_bus_that_is_away_is_503_with_a_time_to_come_back(nc, js, nats_server, tmp_path):
    app = await open_app(nc, js, tmp_path, DoorLimits(publish_timeout_s=0.5))
    nats_server.kill()
    async with in_process(app) as client:
        response = await client.post("/v1/tasks", json={"text": "x"})
    assert (response.status_code, response.json()["code"]) == (503, "bus_unavailable")
    assert response.headers["retry-after"] == "1"
    await nats_server.start()


async def test_a_full_store_is_503_and_recovers(client, js):
    body = {"text": "x" * 250_000}
    while (response := await client.post("/v1/tasks", json=body)).status_code == 202:
        pass
    assert (response.status_code, response.json()["code"]) == (503, "store_full")
    assert int(response.headers["retry-after"]) > 0
    await js.purge_stream(subjects.STREAM_TASKS)
    assert (await client.post("/v1/tasks", json=body)).status_code == 202


async def _chunks(first, count):
    yield first
    for _ in range(count):
        yield b"x" * 100
