"""How `aos replay` shows tasks to people: one line each, or one task whole. Called by ``replay``."""

from collections.abc import Sequence

from gateway.cli.terminal import session
from gateway.replay.story import Moment, Story
from schemas.experience import ExperienceRecord, Feedback

BAR = 40


def print_tasks(records: Sequence[ExperienceRecord], empty: str) -> None:
    """A line each; where one failed, with its code."""
    failed = any(record.failure_code for record in records)
    rows = [
        (
            record.task_id,
            f"{record.at:%m-%d %H:%M:%S}",
            record.state.value,
            *([record.failure_code] if failed else []),
            record.policy,
            " → ".join(record.chosen) or "nobody",
            f"{record.latency_ms:.0f}",
            " ".join(record.instruction.split())[:50],
        )
        for record in records
    ]
    why = ["why"] if failed else []
    session.print_table(("task", "ended at (UTC)", "state", *why, "policy", "team", "took ms", "words"), rows, empty)


def print_story(story: Story) -> None:
    """What was asked, who could do it, who did, what it took, what people said; of a task without a record its way."""
    record = story.record
    if record is None:
        state = story.events[-1].kind.value.replace("_", " ")
        session.print_line(f"task {story.task_id}: {state}")
        for title in (str(event.data["title"]) for event in story.events if event.data.get("title")):
            session.print_line(f"  asked    {title}")
        session.print_line("")
        print_timeline(story)
        return
    code = record.failure_code if record.failure_code != record.state.value else ""
    session.print_line(f"task {record.task_id}: {record.state.value} {code or ''}".rstrip())
    if story.why:
        session.print_line(f"  why      {story.why}")
    session.print_line(f"  asked    {' '.join(record.instruction.split())[:200]}")
    session.print_line(f"  ended    {record.at:%Y-%m-%d %H:%M:%S} UTC, {_length(record)}, cost {record.cost:.4g}")
    explored = ", explored" if record.exploratory else ""
    chance = f", chosen with probability {record.propensity:.3g}{explored}" if record.chosen else ""
    session.print_line(f"  policy   {record.policy}{chance}")
    session.print_line(f"  team     {' → '.join(record.chosen) or 'nobody'}\n")
    _print_choice(record)
    for said in story.feedback:
        session.print_line(f"\n{_words(said)}")
    _print_missing(story)


def print_timeline(story: Story) -> None:
    """Moment by moment, with a bar for what took time."""
    moments = story.timeline
    total = max([moment.offset_ms + (moment.took_ms or 0.0) for moment in moments] or [1.0])
    rows = [
        (f"{moment.offset_ms:.0f}", _bar(moment, total), moment.what, moment.who, _took(moment), moment.detail)
        for moment in moments
    ]
    session.print_table(("at ms", "", "what", "who", "took ms", ""), rows, "nothing was told")
    _print_missing(story)


def _print_choice(record: ExperienceRecord) -> None:
    rows: list[tuple[object, ...]] = [
        (c.agent_id, c.skill_id, f"{c.score:.3f}", f"{c.probability:.3f}", "; ".join(c.reasons))
        for c in record.candidates
    ]
    session.print_table(("candidate", "skill", "score", "probability", "why"), rows, "no candidates")
    session.print_line("")
    steps = [
        (s.node, s.agent_id, "ok" if s.ok else "failed", s.attempts, f"{s.latency_ms:.0f}", f"{s.cost:.4g}", s.error)
        for s in record.steps
    ]
    session.print_table(("step", "agent", "", "attempts", "ms", "cost", "error"), steps, "no steps")


def _length(record: ExperienceRecord) -> str:
    """How long it took from door to result, and how much of that it lay or waited for people."""
    waited = f" ({record.times.queued_ms:.0f} of them before it was run)" if record.times.queued_ms >= 1 else ""
    return f"{record.latency_ms:.0f} ms{waited}"


def _words(said: Feedback) -> str:
    thumb = {True: "thumbs up", False: "thumbs down", None: ""}[said.thumbs_up]
    score = "" if said.score is None else f"score {said.score:.2f}"
    return f"{said.actor or 'somebody'}: {' '.join(filter(None, (thumb, score, said.comment)))}"


def _print_missing(story: Story) -> None:
    for missing in story.missing:
        session.print_line(f"\n({missing})")


def _bar(moment: Moment, total_ms: float) -> str:
    start = min(int(BAR * moment.offset_ms / max(total_ms, 1e-9)), BAR - 1)
    length = max(1, round(BAR * (moment.took_ms or 0.0) / max(total_ms, 1e-9)))
    if moment.took_ms is not None and moment.what == "step finished":
        start = max(0, start - length)
    return " " * max(start, 0) + "█" * min(length, BAR - max(start, 0))


def _took(moment: Moment) -> str:
    return "" if moment.took_ms is None else f"{moment.took_ms:.0f}"
