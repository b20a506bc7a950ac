"""The door's JSON as lines and rows for people. Plain functions; called by the commands."""

import mimetypes
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.cli.terminal.failure import ExitCode
from schemas.task import ApprovalState, TaskState

Json = dict[str, Any]

TASK_COLUMNS = ("task", "state", "submitted", "title")
AGENT_COLUMNS = ("agent", "version", "alive", "kind", "skills", "description")
DEAD_COLUMNS = ("seq", "given up", "task", "code", "reason")
CANDIDATE_COLUMNS = ("agent", "skill", "score", "why")

UNHAPPY = frozenset({TaskState.FAILED.value, TaskState.CANCELLED.value, TaskState.REJECTED.value})
SHOWN_CHARACTERS = 4000
STRONGEST = 5
"""Of a candidate's features, of its past tasks, and of who is not eligible so many are told; --json tells all."""


def exit_code_of(record: Json) -> ExitCode:
    """Failed tasks fail the command, so that scripts can tell."""
    return ExitCode.FAILED if record["state"] in UNHAPPY else ExitCode.DONE


def waits_for_a_person(record: Json) -> bool:
    """Whether nothing goes on before somebody decides; no longer once all is decided and no worker has it back yet."""
    decisions = record.get("approvals", {}).values()
    if record["state"] != TaskState.AWAITING_APPROVAL.value or record.get("cancel_requested"):
        return False
    return ApprovalState.DENIED.value not in decisions and (ApprovalState.PENDING.value in decisions or not decisions)


def task_row(task: Json) -> tuple[object, ...]:
    """One line of ``aos task list``."""
    return task["task_id"], task["state"], str(task.get("submitted_at", ""))[:19], task.get("title", "")


def record_lines(record: Json, *, saved: bool = False) -> Iterator[str]:
    """One task for people: state, failure, outputs, times and cost. ``saved``: the outputs go to files as well."""
    yield f"task {record['task_id']}: {record['state'].replace('_', ' ')}"
    if failure := record.get("failure"):
        yield f"  {failure['code']}: {failure['message']}"
    if waits_for_a_person(record):
        yield f"  → aos task approve {record['task_id']}   (or --deny)"
    result = record.get("result")
    if result:
        yield from _result_lines(result, saved=saved)


def _result_lines(result: Json, *, saved: bool) -> Iterator[str]:
    for part in result.get("outputs", ()):
        yield from _part_lines(part, saved=saved)
    steps = ", ".join(f"{step['agent_id']} {step['latency_ms']:.0f} ms" for step in result.get("steps", ()))
    times = ", ".join(f"{name.removesuffix('_ms')} {ms:.0f} ms" for name, ms in result.get("times", {}).items() if ms)
    yield ""
    if steps:
        yield f"steps: {steps}"
    yield f"times: {times or '-'} · cost {result.get('cost', 0):g}"


def _part_lines(part: Json, *, saved: bool) -> Iterator[str]:
    name = part.get("name") or part.get("media_type") or part.get("modality") or "output"
    text = part.get("text")
    yield ""
    if text is not None and len(text) <= SHOWN_CHARACTERS:
        yield text
    elif text is not None:
        keep = "" if saved else "; --save FOLDER keeps them all"
        yield f"{text[:SHOWN_CHARACTERS]}\n… ({len(text) - SHOWN_CHARACTERS} more characters{keep})"
    else:
        size = (part.get("ref") or {}).get("size_bytes") or len(part.get("data") or "") * 3 // 4
        yield f"[{name}, {size} bytes{'' if saved else '; --save FOLDER keeps it'}]"


def agent_row(entry: Json) -> tuple[object, ...]:
    """One line of ``aos agents list``."""
    card = entry.get("card", entry)
    skills = ", ".join(skill["id"] for skill in card["skills"])
    liveness = entry.get("liveness") or entry.get("health") or "unknown"
    return card["id"], card["version"], liveness, card["endpoint"]["kind"], skills, _first_line(card["description"])


def agent_lines(entry: Json) -> Iterator[str]:
    """One agent for people."""
    card = entry.get("card", entry)
    yield f"{card['id']} {card['version']}  ({card['endpoint']['kind']}, {entry.get('liveness', 'unknown')})"
    yield f"  {card['description'].strip()}"
    for skill in card["skills"]:
        yield f"  {skill['id']}: {', '.join(skill['inputs'])} → {', '.join(skill['outputs'])}"
        yield f"    {_first_line(skill['description'])}"
    if card.get("tags"):
        yield f"  tags: {', '.join(card['tags'])}"


def candidate_row(candidate: Json) -> tuple[object, ...]:
    """One candidate with its score and reasons."""
    return (
        candidate["agent_id"],
        candidate["skill_id"],
        f"{candidate['score']:.3f}",
        "; ".join(candidate.get("reasons", ())),
    )


def excluded_lines(excluded: Sequence[Json]) -> Iterator[str]:
    """Who may not be chosen, and why; of many the first."""
    for one in excluded[:STRONGEST]:
        yield f"  not eligible: {one['agent_id']}: {one['reason']}"
    if len(excluded) > STRONGEST:
        yield f"  not eligible: {len(excluded) - STRONGEST} more, with --json"


def learned_lines(candidate: Json) -> Iterator[str]:
    """What the learned policy made of a candidate: the features that moved it most, and the past tasks that counted."""
    features, parts = candidate.get("features") or {}, candidate.get("contributions") or {}
    strongest = sorted((name for name in parts if parts[name]), key=lambda name: -abs(parts[name]))[:STRONGEST]
    if strongest:
        told = (f"{name} {parts[name]:+.2f} ({_product(features.get(name), parts[name])})" for name in strongest)
        yield f"  {candidate['agent_id']}, log odds: {', '.join(told)}"
    if counted := candidate.get("counted", ())[:STRONGEST]:
        tasks = (
            f"{one['task_id']} {'for' if one['outcome'] >= 0.5 else 'against'} {one['weight']:.2f}" for one in counted
        )
        yield f"  {candidate['agent_id']}, past tasks: {', '.join(tasks)}"


def _product(feature: float | None, part: float) -> str:
    """Feature times weight, as the policy multiplied them."""
    return f"{feature:.2f} × {part / feature:.2f}" if feature else "see --json"


def revision_row(revision: Json) -> tuple[object, ...]:
    """One line of ``aos agents history``."""
    return revision["revision"], revision["card"]["version"], "removed" if revision["removed"] else "registered"


def suffix_of(media_type: str | None) -> str:
    """The file name suffix of a media type."""
    return mimetypes.guess_extension((media_type or "").partition(";")[0]) or ".bin"


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]


def percept_lines(percept: Json) -> Iterator[str]:
    """What was seen in each part."""
    for part in percept.get("parts", ()):
        facts = ", ".join(f"{name} {value}" for name, value in part.get("facts", {}).items())
        lacks = f"; no vector for {', '.join(part['lacks'])}" if part.get("lacks") else ""
        what = f"{part['modality']} ({part['media_type']}, {part['size_bytes']} bytes)"
        yield f"part {part['index']}: {what} {facts}{lacks}"
    weights = percept.get("weights", {})
    if len(weights) > 1:
        counted = ", ".join(f"{source} {share:.0%}" for source, share in weights.items())
        yield f"the task vector ({percept.get('fusion', 'mean')}): {counted}"


def registered_line(view: Json) -> str:
    """What became of one card."""
    return f"{view['card']['id']} {view['card']['version']}: registered as revision {view['revision']}"
