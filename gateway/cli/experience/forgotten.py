"""What was forgotten, told. Plain functions; called by ``aos experience forget``."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evolution.tiers.forgetting import Forgotten
    from gateway.keeping.forgetting import Forgot


def as_json_of(gone: "Forgotten", forgot: "Forgot | None") -> dict[str, Any]:
    """For scripts. What the bus was not asked about is null."""
    names = ("patterns", "auditions", "plans", "letters", "contents", "kept", "under_way", "problem")
    return {
        "tasks": list(gone.tasks),
        "records": gone.records,
        "feedback": gone.feedback,
        **{name: getattr(forgot, name) if forgot is not None else None for name in names},
        "unread": list(gone.unread),
        "left": list(gone.left),
    }


def lines_of(gone: "Forgotten", forgot: "Forgot | None", policy_days: float) -> Iterator[str]:
    """For people. Policies that were in force stay for so many days."""
    on_the_bus = "the bus or the object store does not answer; repeat when it does"
    if forgot is not None:
        on_the_bus = (
            f"{forgot.patterns} patterns, {forgot.auditions} auditioned answers, {forgot.plans} plans, "
            f"{forgot.letters} dead letters, {forgot.contents} attachments and results"
        )
    yield f"forgotten: {gone.records} records, {gone.feedback} feedback, {on_the_bus}"
    if forgot is not None and forgot.kept:
        why = f", for it cannot be told who needs them: {forgot.problem}" if forgot.problem else ": others need them"
        yield f"{forgot.kept} attachments or results stay{why}"
    for task in forgot.under_way if forgot is not None else ():
        yield f"task {task} has not ended: cancel it, then repeat"
    if gone.tasks:
        yield (
            f"policies learned until now hold vectors and ids of these tasks, no words, for {policy_days:g} days after "
            "they were last in force; restart the evolution role, so that the next ones are learned without them"
        )
    for key in gone.unread:
        yield f"could not be looked into, being damaged: {key}"
