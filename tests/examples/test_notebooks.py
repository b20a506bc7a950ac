"""The example notebooks run from top to bottom on an export of real records."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evolution.export import ExportFormat, export
from evolution.ports import ExperienceQuery
from evolution.replay.evaluating import evaluated
from evolution.replay.policies import always
from evolution.store.memory_store import MemoryExperienceStore
from tests.unit.evolution.a_week import AGENTS, a_week

EXPORTED = [*a_week(300), *(r.model_copy(update={"record_id": "n", "vector": None}) for r in a_week(1))]
NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("export") / "experience.parquet"

    async def write() -> None:
        store = MemoryExperienceStore()
        await store.record(EXPORTED)
        await export(store, ExperienceQuery(), path, ExportFormat.PARQUET)

    asyncio.run(write())
    return path


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_well_formed_and_its_cells_run(notebook, exported, tmp_path):
    content = json.loads(notebook.read_text())
    assert (content["nbformat"], {cell["cell_type"] for cell in content["cells"]}) == (4, {"markdown", "code"})
    assert all(not cell["outputs"] for cell in content["cells"] if cell["cell_type"] == "code")
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])
    cells = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]
    ending = "print(len(plt.get_fignums()), 'figures'); print(what_if['success'].to_json())"
    environment = os.environ | {"MPLBACKEND": "Agg", "AOS_EXPERIENCE": str(exported), "MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "\n\n".join([*cells, ending])],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("301 tasks from ")
    assert "4 figures" in done.stdout
    by_hand = json.loads(done.stdout.splitlines()[-1])
    commands = evaluated(EXPORTED, {agent: always(agent) for agent in AGENTS}).evaluations
    assert {agent: by_hand[agent] for agent in AGENTS} == {
        agent: pytest.approx(found.self_normalised.value, abs=1e-9) for agent, found in commands.items()
    }


def test_there_is_a_notebook():
    assert [path.stem for path in NOTEBOOKS] == ["experience"]
