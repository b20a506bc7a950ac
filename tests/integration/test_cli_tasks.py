"""`aos task`, `aos dead` and `aos agents` against a real door over a real bus."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from schemas import subjects
from schemas.task import DeadTask, TaskEvent, TaskEventKind, TaskState
from tests.integration.http_door import TinyWorker, open_app, served

CARD = """\
id: echo
version: 1.0.0
description: Says again what it was told.
skills:
  - {id: echo, description: Says again what it was told., inputs: [text], outputs: [text]}
endpoint: {kind: nats}
"""


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


class Terminal:
    """Runs the command line as people and scripts do: in a process of its own."""

    def __init__(self, url: str, nats_url: str, folder: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AOS_")}
        self._environ = clean | {"AOS_URL": url, "AOS_NATS_URL": nats_url}
        self._folder = folder

    async def aos(self, *arguments: str) -> Answer:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli.main", *arguments),
            env=self._environ,
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return Answer(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def terminal(nc: Client, js: JetStreamContext, tmp_path: Path) -> AsyncIterator[Terminal]:
    async with served(await open_app(nc, js, tmp_path)) as client:
        nats_url = nc.connected_url.geturl() if nc.connected_url else ""
        yield Terminal(str(client.base_url), nats_url, tmp_path)


@pytest.fixture
async def worker(nc: Client, js: JetStreamContext) -> AsyncIterator[TinyWorker]:
    async with TinyWorker(nc, js).working() as working:
        yield working


async def test_a_task_is_submitted_with_a_file_followed_and_its_result_saved(
    terminal: Terminal, worker: TinyWorker, tmp_path: Path
):
    content = os.urandom(700_000)
    (tmp_path / "noise.bin").write_bytes(content)
    submitted = await terminal.aos("task", "submit", "keep this", "-a", "noise.bin", "--wait", "--save", "kept")
    assert submitted.code == 0, submitted.err
    assert "✓ succeeded" in submitted.err
    assert "keep this" in submitted.out
    assert (tmp_path / "kept" / "noise.bin").read_bytes() == content


async def test_scripts_get_json_and_exit_codes(terminal: Terminal, worker: TinyWorker):
    submitted = await terminal.aos("task", "submit", "hello", "--wait", "--json", "--key", "k1", "--label", "a=b")
    record = json.loads(submitted.out)
    assert (submitted.code, record["state"], submitted.err) == (0, "succeeded", "")
    assert worker.taken[0].labels == {"a": "b"}

    again = await terminal.aos("task", "submit", "hello", "--json", "--key", "k1", "--label", "a=b")
    assert json.loads(again.out)["task_id"] == record["task_id"]
    assert len(worker.taken) == 1

    listed = json.loads((await terminal.aos("task", "list", "--json", "--state", "succeeded")).out)
    assert [task["task_id"] for task in listed["tasks"]] == [record["task_id"]]


async def test_a_task_may_go_straight_to_the_bus(terminal: Terminal, js: JetStreamContext):
    submitted = await terminal.aos("task", "submit", "over the bus", "--bus", "--priority", "high")
    assert submitted.code == 0, submitted.err
    message = await js.get_last_msg("AOS_TASKS", "aos.default.task.submit.high")
    assert message.data is not None
    task = json.loads(message.data)
    assert (task["task_id"], task["parts"][0]["text"]) == (submitted.out.strip(), "over the bus")


async def test_a_task_on_the_bus_is_waited_for_before_a_worker_has_taken_it(terminal: Terminal):
    waited = await terminal.aos("task", "submit", "over the bus", "--bus", "--wait", "--timeout", "1")
    assert (waited.code, waited.out) == (5, "")
    assert "no worker has taken it yet" in waited.err


async def test_a_task_that_the_bus_brought_and_nobody_can_read_is_no_success(
    terminal: Terminal, nc: Client, js: JetStreamContext
):
    came = await nc.subscribe(subjects.SUBMIT_ALL)
    waiting = asyncio.create_task(terminal.aos("task", "submit", "over the bus", "--bus", "--wait"))
    task_id = json.loads((await came.next_msg(timeout=60)).data)["task_id"]
    refused = TaskEvent(task_id=task_id, tenant="default", kind=TaskEventKind.REJECTED, data={"reason": "too long"})
    await js.publish(subjects.event("default", task_id), refused.model_dump_json().encode())
    answer = await waiting
    assert (answer.code, answer.out) == (1, f"task {task_id}: rejected\n")
    assert "too long" in answer.err


async def test_a_task_waits_for_a_person_and_goes_on(terminal: Terminal, worker: TinyWorker):
    submitted = await terminal.aos("task", "submit", "careful", "--approval", "--wait")
    assert submitted.code == 6
    assert "awaiting approval" in submitted.out
    assert "aos task approve" in submitted.out
    task_id = submitted.out.split()[1].rstrip(":")
    assert (await terminal.aos("task", "get", task_id)).code == 0
    again = await terminal.aos("task", "submit", "careful", "--approval", "--wait", "--json")
    assert (again.code, json.loads(again.out)["state"]) == (6, "awaiting_approval")
    assert (await terminal.aos("task", "approve", task_id, "--deny", "--reason", "no")).code == 0
    watched = await terminal.aos("task", "watch", task_id)
    assert watched.code == 1
    assert "approval_denied" in watched.out


async def test_a_task_that_was_approved_is_watched_to_its_end(terminal: Terminal, nc: Client, js: JetStreamContext):
    async with TinyWorker(nc, js).working():
        submitted = await terminal.aos("task", "submit", "careful", "--approval", "--wait", "--json")
        task_id = json.loads(submitted.out)["task_id"]
    assert (await terminal.aos("task", "approve", task_id)).code == 0
    nobody_works = await terminal.aos("task", "watch", task_id, "--timeout", "1")
    assert (nobody_works.code, nobody_works.out) == (5, "")
    async with TinyWorker(nc, js).working():
        watched = await terminal.aos("task", "watch", task_id)
    assert (watched.code, "careful" in watched.out) == (0, True), watched.err


async def test_what_people_think_of_a_result_is_kept_for_learning(
    terminal: Terminal, worker: TinyWorker, js: JetStreamContext
):
    sent = await terminal.aos("task", "submit", "hello", "--json")
    task_id = json.loads(sent.out)["task_id"]
    said = await terminal.aos("task", "feedback", task_id, "--bad", "--score", "0", "--comment", "no total", "--json")
    assert said.code == 0, said.err
    stream = await js.find_stream_name_by_subject(subjects.feedback("default"))
    message = await js.get_last_msg(stream, subjects.feedback("default"))
    kept = json.loads(message.data or b"")
    assert (kept["task_id"], kept["thumbs_up"], kept["score"], kept["comment"]) == (task_id, False, 0.0, "no total")
    assert kept["feedback_id"] == json.loads(said.out)["feedback_id"]
    nothing = await terminal.aos("task", "feedback", task_id)
    assert nothing.code == 2
    assert "--good" in nothing.err


async def test_what_goes_wrong_is_said_with_the_next_step(terminal: Terminal):
    empty = await terminal.aos("task", "submit", " ")
    assert (empty.code, "Traceback" in empty.err) == (1, False)
    assert "empty" in empty.err

    unknown = await terminal.aos("task", "get", "nobody", "--json")
    assert unknown.code == 4
    assert json.loads(unknown.err)["code"] == "task_not_found"

    nobody_works = await terminal.aos("task", "submit", "hello", "--wait", "--timeout", "0.5")
    assert nobody_works.code == 5
    assert "aos task watch" in nobody_works.err
    task_id = nobody_works.err.split()[-1]
    assert (await terminal.aos("task", "cancel", task_id)).code == 0
    queued = json.loads((await terminal.aos("task", "get", task_id, "--json")).out)
    assert queued["state"] in {TaskState.QUEUED, TaskState.CANCELLED}
    assert queued["cancel_requested"]


async def test_agents_are_registered_shown_and_removed(terminal: Terminal, tmp_path: Path):
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "echo.yaml").write_text(CARD)
    (tmp_path / "cards" / "bad.yaml").write_text(CARD.replace("1.0.0", "one").replace("id: echo\n", "id: bad\n", 1))
    registered = await terminal.aos("agents", "register", "cards")
    assert registered.code == 1
    assert "echo 1.0.0: registered" in registered.out
    assert "bad.yaml:2" in registered.err

    listed = json.loads((await terminal.aos("agents", "list", "--json")).out)
    assert [entry["card"]["id"] for entry in listed["agents"]] == ["echo"]
    (tmp_path / "cards" / "bad.yaml").write_text(CARD.replace("id: echo\n", "id: second\n", 1))
    await terminal.aos("agents", "register", "cards")
    page = await terminal.aos("agents", "list", "--limit", "1")
    assert ("more: --cursor echo" in page.out, "second" in page.out) == (True, False)
    assert "second" in (await terminal.aos("agents", "list", "--cursor", "echo")).out
    assert "echo 1.0.0" in (await terminal.aos("agents", "show", "echo")).out
    assert (await terminal.aos("agents", "remove", "echo")).code == 0
    assert "removed" in (await terminal.aos("agents", "history", "echo")).out
    assert (await terminal.aos("agents", "show", "echo")).code == 4


async def test_a_result_that_cannot_be_saved_is_not_lost_and_says_so(
    terminal: Terminal, worker: TinyWorker, tmp_path: Path
):
    (tmp_path / "taken").write_text("a file")
    answer = await terminal.aos("task", "submit", "hello", "--wait", "--save", "taken/here")
    assert answer.code == 1
    assert "cannot be saved in taken/here: not a directory" in answer.err
    assert "aos task get" in answer.err
    assert "Traceback" not in answer.err


async def test_a_folder_without_cards_is_no_success(terminal: Terminal, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    answer = await terminal.aos("agents", "register", "empty")
    assert answer.code == 2
    assert "no schema file in empty" in answer.err


async def test_nothing_was_given_up(terminal: Terminal):
    assert "nothing was given up" in (await terminal.aos("dead", "list")).out
    assert (await terminal.aos("dead", "show", "7")).code == 4


async def test_dead_work_is_let_go_only_by_who_means_it(terminal: Terminal, js: JetStreamContext) -> None:
    letter = DeadTask(task_id="t1", tenant="default", reason="poison", code="poison", payload="e30=")
    seqs = [(await js.publish(subjects.dead("default"), letter.model_dump_json().encode())).seq for _ in range(3)]
    for words in (["remove", str(seqs[0])], ["purge"], ["purge", "--json"]):
        refused = await terminal.aos("dead", *words)
        assert (refused.code, "--yes" in refused.err) == (2, True)
    assert (await js.stream_info(subjects.STREAM_DEAD)).state.messages == 3
    assert json.loads((await terminal.aos("dead", "remove", str(seqs[0]), "--yes", "--json")).out) == {"removed": 1}
    assert (await terminal.aos("dead", "remove", str(seqs[0]), "--yes")).code == 4
    assert "0 dead letters" in (await terminal.aos("dead", "purge", "--older-than", "1h", "--yes")).out
    assert json.loads((await terminal.aos("dead", "purge", "--yes", "--json")).out) == {"removed": 2}
