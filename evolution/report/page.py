"""A window of experience as one HTML page that needs nothing else: no script, no network. For `aos replay report`.

CPU-bound (drawing and mining take seconds): run it in a thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape

import numpy as np

from evolution.mining.kinds import Kinds
from evolution.mining.mine import Mined, mine
from evolution.policies.telling import told
from evolution.replay.off_policy import Evaluation
from evolution.report import figures, summaries
from evolution.report.markup import document, drawn, table
from evolution.report.summaries import GroupRow
from evolution.validity import task_vector
from schemas.base import now
from schemas.experience import ExperienceRecord
from schemas.pattern import PatternKind, SynthesizedPattern
from schemas.policy_state import PolicyState

MOST_PATTERNS = 40
WORDS = 60


@dataclass(frozen=True, slots=True)
class Window:
    """What the page speaks of. ``records`` oldest first, of one tenant; ``cut`` when the window may hold older ones.

    ``kinds`` are those that mining knows: what is still there keeps its name on the page.
    """

    tenant: str
    records: Sequence[ExperienceRecord]
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    changes: Sequence[PolicyState] = ()
    cut: bool = False
    kinds: Kinds | None = None
    made_at: datetime = field(default_factory=now)


def page(window: Window) -> str:
    """The whole page."""
    records = window.records
    mined = mine(records, previous=window.kinds) if records else None
    kinds = kind_names(records, mined) if mined else {}
    body = [
        f"<h1>What happened: {escape(window.tenant)}</h1>",
        f'<p class="note">{_span(window)}</p>',
        _key_figures(records),
        *(_sections(window, mined, kinds) if records else ["<p>No task ended in this window.</p>"]),
    ]
    title = f"AOS: {window.tenant}, {window.made_at:%Y-%m-%d %H:%M} UTC"
    return document(title, body)


def kind_names(records: Sequence[ExperienceRecord], mined: Mined) -> dict[str, str]:
    """Each task's kind by name: its number and the words of a typical task."""
    words = {
        pattern.antecedent[0].removeprefix("kind="): _quoted(pattern.statement)
        for pattern in mined.patterns
        if pattern.kind is PatternKind.KIND
    }
    dimension = mined.kinds.centres.shape[1] if mined.kinds.centres.ndim == 2 else 0
    named = {}
    for record in records:
        vector = task_vector(record)
        if vector is None or len(vector) != dimension or not len(mined.kinds.centres):
            continue
        [label] = mined.kinds.assign((vector / max(float(np.linalg.norm(vector)), 1e-12))[None, :].astype(np.float32))
        if int(label) in mined.kinds.names:
            named[record.task_id] = f"{label}: {words.get(str(label), '')}"[:38]
    return named


def _sections(window: Window, mined: Mined | None, kinds: Mapping[str, str]) -> list[str]:
    records, by_kind = window.records, summaries.kind_label(kinds)
    return [
        "<h2>Success</h2>",
        drawn("by agent", _lines(records, "success-by-agent", summaries.agents_of, _success, "success", share=True)),
        drawn("by kind of task", _lines(records, "success-by-kind", by_kind, _success, "success", share=True)),
        _failures(records),
        "<h2>Latency</h2>",
        drawn("by agent", _lines(records, "latency-by-agent", summaries.agents_of, _latency, "mean ms", log=True)),
        drawn("by kind of task", _lines(records, "latency-by-kind", by_kind, _latency, "mean ms", log=True)),
        "<h2>Cost</h2>",
        drawn("by agent", _lines(records, "cost-by-agent", summaries.agents_of, _cost, "mean cost")),
        drawn("by kind of task", _lines(records, "cost-by-kind", by_kind, _cost, "mean cost")),
        "<h2>Agents and kinds in numbers</h2>",
        '<p class="note">by a stand-in: of the tasks, those that succeeded because another agent stood in.</p>',
        _groups("agent", summaries.grouped(records, summaries.agents_of)),
        _unlisted(records, summaries.agents_of, "agents"),
        _groups("kind", summaries.grouped(records, by_kind)),
        _unlisted(records, by_kind, "kinds"),
        "<h2>Learning curve</h2>",
        drawn("success over the tasks that a policy routed", figures.curve("curve", summaries.learning_curve(records))),
        _groups("policy", summaries.grouped(records, summaries.policy_of)),
        _changes(window.changes),
        "<h2>Policies compared</h2>",
        _comparison(window),
        "<h2>Patterns</h2>",
        _patterns(mined.patterns if mined else ()),
    ]


def _success(record: ExperienceRecord) -> float:
    return float(record.success)


def _latency(record: ExperienceRecord) -> float:
    return record.latency_ms


def _cost(record: ExperienceRecord) -> float:
    return record.cost


def _lines(
    records: Sequence[ExperienceRecord],
    name: str,
    label: summaries.Label,
    value: summaries.Value,
    axis: str,
    *,
    share: bool = False,
    log: bool = False,
) -> str:
    return figures.lines(name, summaries.over_time(records, label, value), label=axis, share=share, log=log)


def _span(window: Window) -> str:
    made = f"made {window.made_at:%Y-%m-%d %H:%M} UTC"
    if not window.records:
        return made
    first, last = window.records[0].at, window.records[-1].at
    of_more = ", the newest of the window (--limit takes more)" if window.cut else ""
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, {len(window.records)} tasks{of_more}; {made}"


def _key_figures(records: Sequence[ExperienceRecord]) -> str:
    if not records:
        return ""
    latencies = np.array([record.latency_ms for record in records])
    explored = sum(record.exploratory for record in records) / len(records)
    figures_shown = {
        "tasks": f"{len(records)}",
        "success": f"{np.mean([record.success for record in records]):.1%}",
        "latency p50": f"{np.percentile(latencies, 50):.0f} ms",
        "latency p95": f"{np.percentile(latencies, 95):.0f} ms",
        "cost": f"{sum(record.cost for record in records):.4g}",
        "explored": f"{explored:.1%}",
    }
    return f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{value}</dd></div>' for name, value in figures_shown.items())}</dl>"


def _failures(records: Sequence[ExperienceRecord]) -> str:
    found = summaries.failures(records)
    if not found:
        return '<p class="note">Nothing failed.</p>'
    return table((("why tasks failed", ""), ("tasks", "n")), [(code, f"{count}") for code, count in found[:12]])


def _groups(what: str, rows: Sequence[GroupRow]) -> str:
    columns = (
        *((what, ""), ("tasks", "n"), ("success", "n"), ("95 % interval", "n"), ("by a stand-in", "n")),
        *(("p50 ms", "n"), ("p95 ms", "n")),
    )
    cells = [
        (
            row.name,
            f"{row.tasks}",
            f"{row.success:.1%}",
            f"{row.low:.1%} – {row.high:.1%}",
            f"{row.saved:.1%}",
            f"{row.latency_p50_ms:.0f}",
            f"{row.latency_p95_ms:.0f}",
            f"{row.cost_mean:.4g}",
        )
        for row in rows
    ]
    return table((*columns, ("mean cost", "n")), cells)


def _unlisted(records: Sequence[ExperienceRecord], label: summaries.Label, what: str) -> str:
    """That a table does not hold all of them; nothing where it does."""
    more = len({name for record in records for name in label(record)}) - summaries.MOST_ROWS
    return f'<p class="note">and {more} more {what} with fewer tasks</p>' if more > 0 else ""


def _changes(changes: Sequence[PolicyState]) -> str:
    if not changes:
        return '<p class="note">No change of policy is known.</p>'
    rows = [
        (f"{one.changed_at:%Y-%m-%d %H:%M}", what, one.actor, one.reason or "")
        for one, what in list(zip(changes, told(changes), strict=True))[-15:]
    ]
    return table((("changed", ""), ("what", ""), ("by", ""), ("why", "")), rows)


def _comparison(window: Window) -> str:
    if not window.evaluations:
        return '<p class="note">No decision of this window can be evaluated: agents were pinned or worked in teams.</p>'
    drawing = drawn(
        "doubly robust estimates on the same logged decisions; hollow points carry a warning",
        figures.comparison("policies", window.evaluations),
    )
    columns = (("policy", ""), ("IPS", "n"), ("self-normalised", "n"), ("doubly robust", "n"), ("effective size", "n"))
    rows, warnings = [], []
    for name, found in window.evaluations.items():
        estimates = (found.ips, found.self_normalised, found.doubly_robust)
        said = (f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in estimates)
        rows.append((name, *said, f"{found.effective_size:.0f} of {found.decisions}"))
        warnings += [f'<p class="note warn">{escape(name)}: {escape(text)}</p>' for text in found.warnings]
    left = ", ".join(f"{count} because {reason}" for reason, count in window.left_out.items())
    note = f'<p class="note">Left out: {escape(left)}.</p>' if left else ""
    return drawing + table(columns, rows) + "".join(warnings) + note


def _patterns(patterns: Sequence[SynthesizedPattern]) -> str:
    if not patterns:
        return '<p class="note">Nothing keeps happening, or there are too few tasks to tell.</p>'
    columns = (("kind", ""), ("pattern", ""), ("tasks", "n"), ("lift", "n"), ("95 % interval", "n"))
    rows = [
        (
            one.kind.value,
            one.statement,
            f"{one.support}",
            "" if one.lift is None else f"{one.lift:.2f}",
            "" if one.low is None or one.high is None else f"{one.low:.2f} – {one.high:.2f}",
        )
        for one in patterns[:MOST_PATTERNS]
    ]
    more = len(patterns) - len(rows)
    return table(columns, rows) + (f'<p class="note">and {more} more: aos mine</p>' if more > 0 else "")


def _quoted(statement: str) -> str:
    """The typical task's words in the statement of a kind."""
    start, _, rest = statement.partition("“")
    return rest.partition("”")[0] if rest else start
