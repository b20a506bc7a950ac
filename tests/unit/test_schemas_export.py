"""Generated files are what the models say today; the schemas accept what the models accept."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from gateway.schema_export import SCHEMAS_FOLDER, export, file_name, generated, message_map, models, stale
from schemas.subjects import BUS
from schemas.task import TaskSubmitted

ROOT = Path(__file__).parents[2]


def test_the_files_in_the_tree_are_not_stale():
    assert stale(ROOT) == [], "run: aos schema export"


def test_the_python_made_from_the_proto_file_is_not_stale(tmp_path: Path):
    protoc = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{ROOT}",
        f"--python_out={tmp_path}",
        f"--pyi_out={tmp_path}",
    ]
    subprocess.run([*protoc, "schemas/proto/aos.proto"], check=True, cwd=ROOT)
    for name in ("aos_pb2.py", "aos_pb2.pyi"):
        made = (tmp_path / "schemas" / "proto" / name).read_text()
        assert made == (ROOT / "schemas" / "proto" / name).read_text(), "run: make proto"


def test_export_writes_what_differs_and_removes_what_is_gone(tmp_path: Path):
    assert set(export(tmp_path)) == set(generated())
    gone = tmp_path / SCHEMAS_FOLDER / "gone.schema.json"
    gone.write_text("{}")
    edited = tmp_path / SCHEMAS_FOLDER / file_name(TaskSubmitted)
    edited.write_text("{}")
    assert {path.name for path in export(tmp_path)} == {"gone.schema.json", "task_submitted.schema.json"}
    assert stale(tmp_path) == []
    assert not gone.exists()


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_schema_is_valid_and_refuses_unknown_fields(model):
    schema = json.loads(generated()[SCHEMAS_FOLDER / file_name(model)])
    jsonschema.Draft202012Validator.check_schema(schema)
    if model.model_config.get("extra") == "forbid":
        assert schema["additionalProperties"] is False


def test_a_real_task_passes_its_schema():
    schema = json.loads((ROOT / SCHEMAS_FOLDER / file_name(TaskSubmitted)).read_text())
    task = TaskSubmitted(parts=({"text": "hello"},))
    jsonschema.validate(json.loads(task.model_dump_json(exclude_none=True)), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"parts": []}, schema)


def test_the_map_names_every_subject():
    page = message_map()
    assert all(f"`{route.subject}`" in page for route in BUS)
