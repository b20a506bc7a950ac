"""The sample agents as tests see them: their folder, their inputs, and one call with words and files."""

import importlib
import mimetypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
AGENTS = EXAMPLES / "agents"
INPUTS = EXAMPLES / "inputs"
MODALITIES = {
    ".csv": "table", ".png": "image", ".jpg": "image", ".wav": "audio", ".pdf": "document", ".docx": "document",
    ".txt": "text",
}  # fmt: skip

sys.path.append(str(AGENTS))  # as the child that hosts them does

Part = dict[str, Any]


def file_part(name: str) -> Part:
    """A file of examples/inputs by reference, as the host hands it to an agent."""
    path = INPUTS / name
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    ref = {"digest": "sha256:" + 64 * "0", "size_bytes": path.stat().st_size}
    modality = MODALITIES[path.suffix]
    return {"modality": modality, "media_type": media_type, "name": path.name, "ref": ref, "path": str(path)}


def text_part(text: str, name: str = "given.txt") -> Part:
    """Content in text form."""
    return {"modality": "text", "media_type": "text/plain", "name": name, "text": text}


def invocation(goal: str, *inputs: str | Part, skill: str = "any", step: str = "task.node") -> dict[str, Any]:
    """What an agent gets: the words, then files (by name) and parts."""
    parts = [file_part(item) if isinstance(item, str) else item for item in inputs]
    words = {"modality": "text", "media_type": "text/plain", "text": goal}
    return {
        "step_id": step, "task_id": "task", "tenant": "default", "agent_id": "any", "skill_id": skill, "goal": goal,
        "inputs": [words, *parts], "attempt": 1, "deadline": "2030-01-01T00:00:00Z",
    }  # fmt: skip


class Reply:
    """An agent's reply, easy to ask."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.outputs: list[Part] = raw.get("outputs", [])
        self.error: dict[str, Any] | None = raw.get("error")

    @property
    def text(self) -> str:
        """All texts and tables, joined."""
        assert self.error is None, self.error
        return "\n".join(part["text"] for part in self.outputs if part.get("text") is not None)

    def part(self, modality: str) -> Part:
        """The first output of that modality."""
        assert self.error is None, self.error
        return next(part for part in self.outputs if part["modality"] == modality)


Ask = Callable[..., Reply]


@pytest.fixture
def ask() -> Ask:
    """Call a Python agent for real: ask("ocr", "read it", "invoice_scan.png")."""

    def call(agent: str, goal: str, *inputs: str | Part, skill: str = "any") -> Reply:
        return Reply(importlib.import_module(agent).run(invocation(goal, *inputs, skill=skill)))

    return call
