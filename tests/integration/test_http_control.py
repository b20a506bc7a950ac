"""People speak to tasks under way: cancel, approve, deny, feedback."""

import pytest

from schemas import subjects
from schemas.control import ControlMessage
from schemas.experience import Feedback
from schemas.task import TaskSubmitted
from tests.integration.http_door import TinyWorker, in_process, open_app


@pytest.fixture
async def client(nc, js, tmp_path):
    async with in_process(await open_app(nc, js, tmp_path)) as client:
        yield client


@pytest.fixture
async def waiting(client, nc, js):
    """A task that waits for approval of two steps."""
    told = await nc.subscribe(subjects.EVENT_ALL)
    async with TinyWorker(nc, js).working():
        task_id = (await client.post("/v1/tasks", json={"text": "x", "requires_approval": True})).json()["task_id"]
        while b"awaiting_approval" not in (await told.next_msg(timeout=30)).data:
            pass
    return f"/v1/tasks/{task_id}"


async def queue(js):
    """What is in the work queue, in order."""
    state = (await js.stream_info(subjects.STREAM_TASKS)).state
    found = [await js.get_msg(subjects.STREAM_TASKS, seq=seq) for seq in range(state.first_seq, state.last_seq + 1)]
    return [TaskSubmitted.model_validate_json(message.data) for message in found]


async def test_a_cancelled_task_is_marked_and_its_worker_told(client, nc):
    heard = await nc.subscribe(subjects.CONTROL_ALL)
    await nc.flush()
    here = (await client.post("/v1/tasks", json={"text": "x"})).headers["location"]
    response = await client.post(f"{here}/cancel", json={"reason": "ordered twice", "actor": "ada"})
    assert (response.status_code, response.json()["cancel_requested"]) == (202, True)
    message = ControlMessage.model_validate_json((await heard.next_msg(timeout=30)).data)
    assert (message.action, message.reason, message.actor) == ("cancel", "ordered twice", "ada")
    assert (await client.get(here)).json()["cancel_requested"] is True


async def test_cancelling_needs_no_body_and_may_be_repeated(client):
    here = (await client.post("/v1/tasks", json={"text": "x"})).headers["location"]
    assert [(await client.post(f"{here}/cancel")).status_code for _ in range(2)] == [202, 202]


async def test_a_finished_task_cannot_be_cancelled(client, nc, js):
    async with TinyWorker(nc, js).working():
        task = (await client.post("/v1/tasks?wait=40", json={"text": "x"})).json()
    response = await client.post(f"/v1/tasks/{task['task_id']}/cancel")
    assert (response.status_code, response.json()["code"]) == (409, "task_finished")


async def test_an_approved_task_goes_on_and_ends(client, waiting, nc, js):
    response = await client.post(f"{waiting}/approve", json={"actor": "ada"})
    assert response.json()["approvals"] == {"n1": "approved", "n2": "approved"}
    async with TinyWorker(nc, js).working():
        assert (await client.get(f"{waiting}?wait=40")).json()["state"] == "succeeded"


async def test_a_task_goes_on_only_when_every_waiting_step_is_decided(client, waiting, js):
    assert (await client.post(f"{waiting}/approve", json={"node": "n1"})).json()["approvals"]["n2"] == "pending"
    assert await queue(js) == []
    await client.post(f"{waiting}/approve", json={"node": "n2"})
    assert len(await queue(js)) == 1


async def test_one_denial_is_enough(client, waiting, nc, js):
    await client.post(f"{waiting}/approve", json={"node": "n1", "approve": False})
    async with TinyWorker(nc, js).working():
        ended = (await client.get(f"{waiting}?wait=40")).json()
    assert (ended["state"], ended["failure"]["code"]) == ("failed", "approval_denied")


async def test_denying_has_a_path_of_its_own(client, waiting):
    denied = (await client.post(f"{waiting}/deny", json={"reason": "too expensive"})).json()
    assert set(denied["approvals"].values()) == {"denied"}
    assert [(said["action"], said["reason"]) for said in denied["remarks"]] == [("deny", "too expensive")]


async def test_what_is_said_twice_is_remarked_once(client, waiting):
    for _ in range(2):
        record = (await client.post(f"{waiting}/cancel", json={"reason": "ordered twice", "actor": "ada"})).json()
    assert [(said["action"], said["actor"]) for said in record["remarks"]] == [("cancel", "ada")]


async def test_approving_twice_queues_the_task_once(client, waiting, js):
    assert [(await client.post(f"{waiting}/approve")).status_code for _ in range(2)] == [202, 202]
    assert len(await queue(js)) == 1


async def test_a_waiting_task_that_is_cancelled_goes_to_a_worker_to_end(client, waiting, nc, js):
    await client.post(f"{waiting}/cancel")
    async with TinyWorker(nc, js).working():
        assert (await client.get(f"{waiting}?wait=40")).json()["state"] == "cancelled"


async def test_a_task_that_waits_for_nobody_cannot_be_approved(client):
    here = (await client.post("/v1/tasks", json={"text": "x"})).headers["location"]
    response = await client.post(f"{here}/approve")
    assert (response.status_code, response.json()["code"]) == (409, "not_awaiting_approval")


async def test_a_step_that_does_not_wait_cannot_be_approved(client, waiting):
    response = await client.post(f"{waiting}/approve", json={"node": "n9"})
    assert (response.status_code, response.json()["next_step"]) == (409, "steps that wait: n1, n2")


async def test_feedback_reaches_the_experience_stream(client, js):
    here = (await client.post("/v1/tasks", json={"text": "x"})).headers["location"]
    response = await client.post(f"{here}/feedback", json={"score": 0.5, "comment": "half right"})
    assert response.status_code == 202
    stored = await js.get_last_msg(subjects.STREAM_EXPERIENCE, subjects.feedback("default"))
    feedback = Feedback.model_validate_json(stored.data)
    assert (feedback.score, feedback.comment, feedback.task_id) == (0.5, "half right", here.rsplit("/", 1)[1])


@pytest.mark.parametrize("body", [{}, {"score": 2}, {"stars": 5}, {"comment": "  "}])
async def test_bad_feedback_is_refused(client, body):
    here = (await client.post("/v1/tasks", json={"text": "x"})).headers["location"]
    response = await client.post(f"{here}/feedback", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "schema_invalid")


@pytest.mark.parametrize("verb", ["cancel", "approve", "deny", "feedback"])
async def test_an_unknown_task_cannot_be_spoken_to(client, verb):
    response = await client.post(f"/v1/tasks/unknown/{verb}", json={"comment": "x"} if verb == "feedback" else {})
    assert (response.status_code, response.json()["code"]) == (404, "task_not_found")
