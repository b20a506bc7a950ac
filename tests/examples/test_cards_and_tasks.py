"""Every sample card is valid and says enough to be found; every demo task is planned with the agents it expects."""

import importlib
import mimetypes
from collections import Counter
from pathlib import Path

import pytest
import yaml
from conftest import AGENTS, EXAMPLES, INPUTS, MODALITIES
from sample_fleet import load_cards, planner_of

from agents.planning.planner import GreedyPlanner
from schemas.card import AgentCard
from schemas.parts import INLINE_LIMIT_BYTES, BlobRef, Modality, Part, text_part
from schemas.percept import Percept
from schemas.task import TaskSubmitted
from tensor_layer.ports import Perceived
from tensor_layer.wiring import local_text_encoder

CARDS = load_cards(AGENTS)
TASKS = yaml.safe_load((EXAMPLES / "tasks.yaml").read_text())["tasks"]


def test_there_are_at_least_twelve_agents_of_every_kind_of_endpoint():
    kinds = Counter(card.endpoint.kind for card in CARDS.values())
    assert sum(kinds.values()) >= 12
    assert set(kinds) == {"python", "http", "nats", "openai"}


def test_the_echo_agent_is_kept_apart_from_the_samples():
    assert "echo" not in CARDS
    assert set(load_cards(EXAMPLES / "echo")) == {"echo"}


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.id)
def test_each_skill_says_enough_to_be_found(card: AgentCard):
    for skill in card.skills:
        assert len(skill.description) > 40
        assert 4 <= len(skill.examples) <= 8


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.id)
def test_each_card_names_code_that_is_there(card: AgentCard):
    if card.endpoint.kind == "python":
        file, _, name = card.endpoint.target.partition(":")
        module = importlib.import_module(file.removesuffix(".py"))
        assert callable(getattr(module, name))
    else:
        assert card.endpoint.command is not None
        assert (AGENTS / card.endpoint.command[-1]).is_file()


def test_no_agent_imports_anything_of_the_project():
    for path in [*AGENTS.glob("*.py"), *(EXAMPLES / "echo").glob("*.py")]:
        for package in ("schemas", "tensor_layer", "agents", "evolution", "gateway"):
            assert f"from {package}" not in path.read_text(), path.name
            assert f"import {package}" not in path.read_text(), path.name


def test_the_demo_asks_enough_through_both_doors():
    assert len({task["id"] for task in TASKS}) == len(TASKS) >= 14
    assert {task["door"] for task in TASKS} == {"bus", "http"}
    assert sum(len(task["expect"]["agents"]) > 1 for task in TASKS) >= 5


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["id"])
def test_each_task_names_inputs_and_agents_that_are_there(task: dict):
    assert all((INPUTS / name).is_file() for name in task.get("attachments", []))
    assert set(task["expect"]["agents"]) <= set(CARDS)
    assert {"words", "media"} & set(task["expect"])


async def test_each_task_is_planned_with_the_agents_it_expects(tmp_path: Path):
    planner, index = await planner_of(CARDS, local_text_encoder(), tmp_path)
    planned = {task["id"]: await agents_planned(planner, task) for task in TASKS}
    await index.close()
    assert planned == {task["id"]: expected_agents(task) for task in TASKS}


async def agents_planned(planner: GreedyPlanner, task: dict) -> list[str]:
    parts = (text_part(task["instruction"]), *(attachment(name) for name in task.get("attachments", [])))
    perceived = Perceived(Percept(parts=(), modalities=()), None, parts)
    network = (await planner.plan(TaskSubmitted(parts=parts), perceived)).plan.network
    return [network.node(node).agent_id for group in network.groups() for node in group]


def expected_agents(task: dict) -> list[str]:
    """Answers to two questions are collected by the report writer, whom the task does not ask for by name."""
    agents = task["expect"]["agents"]
    return [*agents, "report"] if task["id"] == "two_questions" else agents


def attachment(name: str) -> Part:
    path = INPUTS / name
    ref = BlobRef(digest="sha256:" + 64 * "0", size_bytes=INLINE_LIMIT_BYTES)
    media_type = mimetypes.guess_type(name)[0]
    return Part(modality=Modality(MODALITIES[path.suffix]), media_type=media_type, name=name, ref=ref)
