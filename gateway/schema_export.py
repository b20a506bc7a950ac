"""Writes what other languages need of the vocabulary: JSON Schemas and the map of the bus. Called by ``aos schema``.

The files are generated from the models and from ``schemas.subjects.BUS``; a test fails when they are stale.
"""

import json
import re
from pathlib import Path

from pydantic import BaseModel

from schemas.card import AgentCard, CardRevision
from schemas.explain import Explanation, SearchReply
from schemas.invocation import InvocationReply
from schemas.problem import Problem
from schemas.subjects import (
    BUS,
    CONTENT_JSON,
    CONTENT_PROTOBUF,
    EXPLAIN,
    HEADER_CONTENT_TYPE,
    HEADER_MESSAGE_ID,
    HEADER_SERVICE_ERROR,
    HEADER_SERVICE_ERROR_CODE,
    SEARCH,
    TASK_MESSAGE_BYTES,
)
from schemas.tensor import EncodeReply, TensorMessage
from schemas.wire import protobuf_models

SCHEMAS_FOLDER = Path("schemas/json")
MAP_FILE = Path("docs/message-map.md")
DIALECT = "https://json-schema.org/draft/2020-12/schema"

BESIDE_THE_BUS: tuple[type[BaseModel], ...] = (
    AgentCard,
    CardRevision,
    InvocationReply,
    Explanation,
    SearchReply,
    EncodeReply,
    TensorMessage,
    Problem,
)
"""Replies, schema files and HTTP errors: models that cross a process boundary without a subject of their own."""


def models() -> tuple[type[BaseModel], ...]:
    """Every exported model once, by name."""
    found = {model.__name__: model for model in (*(route.model for route in BUS), *BESIDE_THE_BUS)}
    return tuple(found[name] for name in sorted(found))


def generated() -> dict[Path, str]:
    """Every file with its content, by its path relative to the project."""
    files = {SCHEMAS_FOLDER / file_name(model): _schema(model) for model in models()}
    files[MAP_FILE] = message_map()
    return files


def export(root: Path) -> list[Path]:
    """Write what differs, remove schemas of models that are gone, and say which files changed. Raises OSError."""
    changed = stale(root)
    wanted = generated()
    for path in changed:
        target = root / path
        if path not in wanted:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(wanted[path])
    return changed


def stale(root: Path) -> list[Path]:
    """Files that are missing, differ or should not be there."""
    wanted = generated()
    differing = [path for path, text in wanted.items() if _read(root / path) != text]
    present = (root / SCHEMAS_FOLDER).glob("*.schema.json")
    return differing + sorted(path.relative_to(root) for path in present if path.relative_to(root) not in wanted)


def file_name(model: type[BaseModel]) -> str:
    """``TaskSubmitted`` lies in ``task_submitted.schema.json``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", model.__name__).lower() + ".schema.json"


def message_map() -> str:
    """The map of the bus as a page."""
    rows = [
        f"| `{route.subject}` | [{route.model.__name__}](../{SCHEMAS_FOLDER}/{file_name(route.model)}) "
        f"| {route.kind} | {route.producer} | {route.consumers} |"
        for route in BUS
    ]
    return "\n".join((_HEAD, *rows, "", _TAIL))


def _schema(model: type[BaseModel]) -> str:
    schema = {"$schema": DIALECT, "$id": f"urn:aos:schema:{file_name(model)}", **model.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


_HEAD = """\
# The map of the bus

<!-- Generated from schemas/subjects.py by `aos schema export`. Edit that file, not this one. -->

`<t>` is the tenant: one token of letters, digits, `_` and `-`. It is in every subject, so that NATS permissions keep
tenants apart.

| subject | message | kind | from | to |
|---|---|---|---|---|"""

_TAIL = f"""\
## Headers

- `{HEADER_MESSAGE_ID}`: the id under which the bus recognises a second copy. For a task it is the task id.
- `{HEADER_CONTENT_TYPE}`: `{CONTENT_JSON}` when absent. {", ".join(f"`{m.__name__}`" for m in protobuf_models())} may
  also travel as `{CONTENT_PROTOBUF}`, described in [aos.proto](../schemas/proto/aos.proto).
- `{HEADER_SERVICE_ERROR_CODE}`, `{HEADER_SERVICE_ERROR}`: a worker that cannot answer `{EXPLAIN}` or `{SEARCH}` says so
  in these; its reply is a [Problem](../{SCHEMAS_FOLDER}/{file_name(Problem)}) with a code, words and a next step.

## Sizes

A task is at most {TASK_MESSAGE_BYTES // 1024} KiB, or it is rejected. Content past 256 KiB travels by reference:
`POST /v1/blobs` answers the reference. The bus takes messages of 4 MB, and no more than 2 MiB on the subjects of tasks.

## Publish a task from any NATS client

```sh
nats request aos.default.task.submit.normal -H {HEADER_MESSAGE_ID}:my-task-1 \\
  '{{"task_id": "my-task-1", "parts": [{{"text": "What is 12% of 85?"}}]}}'
```

The reply is the acknowledgement of the stream: from it on the task is never lost. `task_id` is the idempotency key:
publish the same one again when no acknowledgement came, and it is still one task.
"""
