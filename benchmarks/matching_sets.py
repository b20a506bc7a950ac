"""Cuts the open sets into what docs/matching.md measures: some past queries, half of the strange ones, held-out parts.

python -m benchmarks.matching_sets DATA OUT     DATA holds metatool/, clinc150/, llmrouter9/ and workbench/
"""

import argparse
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SEED = 0
EXPERIENCES = (200, 1_000, 5_000, 15_544)
COLD_SHARE = 0.2
HELD_OUT_SHARE = 0.2
TEMPLATES_HELD_OUT = 1 / 3


def lines(path: Path) -> list[str]:
    """A file's lines with their ends."""
    with path.open(encoding="utf-8") as rows:
        return rows.readlines()


def write(path: Path, rows: Iterable[str]) -> None:
    """One file of the lines."""
    path.write_text("".join(rows), encoding="utf-8")
    print(path)


def metatool(data: Path, out: Path) -> None:
    """The first so many of the training queries in an order by seed, and a fifth of the agents to be cold."""
    rows = lines(data / "train.jsonl")
    random.Random(SEED).shuffle(rows)
    for count in EXPERIENCES:
        write(out / f"metatool_{count}.jsonl", rows[:count])
    ids = [json.loads(row)["id"] for row in lines(data / "catalogue.jsonl")]
    random.Random(SEED).shuffle(ids)
    write(out / "metatool_cold.json", [json.dumps(ids[: round(COLD_SHARE * len(ids))])])


def clinc150(data: Path, out: Path) -> None:
    """Half of the out-of-scope queries to learn from and half to be caught; and all of them to be caught."""
    train, real, strange = (lines(data / f"{name}.jsonl") for name in ("train", "val", "oos_train"))
    random.Random(SEED).shuffle(strange)
    half = len(strange) // 2
    write(out / "clinc150_experience.jsonl", train + strange[:half])
    write(out / "clinc150_queries.jsonl", real + strange[half:])
    write(out / "clinc150_queries_unaware.jsonl", real + strange)


def routing(data: Path, out: Path) -> None:
    """A fifth of llmrouter9's prompts, and a third of workbench's templates, held out."""
    rng = random.Random(SEED)
    tasks = [json.loads(row) for row in lines(data / "workbench" / "open_templates.jsonl")]
    templates = sorted({row["template"] for row in tasks})
    rng.shuffle(templates)
    held = set(templates[: int(len(templates) * TEMPLATES_HELD_OUT)])
    write(out / "workbench_train.jsonl", map(_outcome, (row for row in tasks if row["template"] not in held)))
    write(out / "workbench_test.jsonl", map(_outcome, (row for row in tasks if row["template"] in held)))
    prompts = [json.loads(row) for row in lines(data / "llmrouter9" / "train.jsonl")]
    rng.shuffle(prompts)
    learned = int(len(prompts) * (1 - HELD_OUT_SHARE))
    write(out / "llmrouter9_train.jsonl", map(_outcome, prompts[:learned]))
    write(out / "llmrouter9_test.jsonl", map(_outcome, prompts[learned:]))


def _outcome(row: dict[str, Any]) -> str:
    return json.dumps({"prompt": row["prompt"], "outcomes": row["outcomes"]}) + "\n"


def main() -> None:
    """Cut all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    metatool(chosen.data / "metatool", chosen.out)
    clinc150(chosen.data / "clinc150", chosen.out)
    routing(chosen.data, chosen.out)


if __name__ == "__main__":
    main()
