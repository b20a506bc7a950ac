"""Which tasks the demo submits: examples/tasks.yaml, checked. Called by `show`."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.errors import DemoNotThere

EXAMPLES = Path(__file__).parents[3] / "examples"


class Expectation(BaseModel):
    """What shows that a task was really done."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    agents: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    media: tuple[str, ...] = ()


class DemoTask(BaseModel):
    """One task of the demo."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    title: str
    instruction: str
    attachments: tuple[str, ...] = ()
    door: Literal["bus", "http"] = "http"
    expect: Expectation = Expectation()

    def files(self, examples: Path) -> tuple[Path, ...]:
        """The attachments as paths."""
        return tuple(examples / "inputs" / name for name in self.attachments)


def load_script(examples: Path = EXAMPLES) -> tuple[DemoTask, ...]:
    """All tasks of the demo, in order. Raises DemoNotThere."""
    path = examples / "tasks.yaml"
    try:
        rows = yaml.safe_load(path.read_text())
        return tuple(DemoTask.model_validate(row) for row in rows["tasks"])
    except OSError as error:
        problem = f"{path} cannot be read: the demo runs from a checkout of the repository, where examples/ is"
        raise DemoNotThere(problem) from error
    except (KeyError, TypeError, yaml.YAMLError, ValidationError) as error:
        raise DemoNotThere(f"{path} is not a demo script: {error}") from error
