"""What each task of the demo went through, for people. Called by `show` when all have ended."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agents.planning.drawing import draw
from gateway.cli.demo.crash import Crash
from gateway.cli.demo.script import DemoTask
from schemas.network import Plan
from schemas.task import TaskEvent, TaskEventKind, TaskRecord, TaskState

_TEXT_LINES = 6
_CANDIDATES = 3


@dataclass(slots=True)
class Story:
    """One task of the demo: what was asked, what was told, how it ended."""

    task: DemoTask
    task_id: str
    events: list[TaskEvent] = field(default_factory=list)
    record: TaskRecord | None = None
    files: list[Path] = field(default_factory=list)

    @property
    def agents(self) -> tuple[str, ...]:
        """Who did it, in order."""
        return tuple(step.agent_id for step in self.record.result.steps) if self.record and self.record.result else ()

    def problems(self) -> tuple[str, ...]:
        """Why the task cannot be called done; empty when all is well."""
        record = self.record
        if record is None or record.state is not TaskState.SUCCEEDED:
            reason = record.failure.message if record and record.failure else "no result"
            return (f"{record.state.value if record else 'lost'}: {reason}",)
        expected = self.task.expect
        missing = [f"agent {agent} did not take part" for agent in expected.agents if agent not in self.agents]
        text = "\n".join(path.read_text(errors="replace") for path in self.files if path.suffix in _TEXTS).lower()
        missing += [f"the result does not say {word!r}" for word in expected.words if word.lower() not in text]
        return tuple(missing)

    def finished_steps(self) -> Counter[str]:
        """How often each step was told to be finished, by step id."""
        finished = (e for e in self.events if e.kind is TaskEventKind.STEP_FINISHED)
        return Counter(str(event.data.get("step_id")) for event in finished)


_TEXTS = {".txt", ".md", ".csv", ".html", ".json"}


def tell(story: Story, examples: Path) -> Iterator[str]:
    """One task, from what was asked to what came out."""
    task, record = story.task, story.record
    yield f"━━ {task.title}  [{story.task_id}, by {task.door}]"
    attached = "".join(f"  + {path.relative_to(examples)}" for path in task.files(examples))
    yield f"   asked      {task.instruction.strip()[:200]}{attached}"
    if record is None:
        yield "   LOST: no record was found"
        return
    yield from _perceived(record)
    yield from _candidates(record)
    if record.plan is not None:
        yield from _network(record.plan)
    yield from _ending(story, record)


def _perceived(record: TaskRecord) -> Iterator[str]:
    for part in record.percept.parts if record.percept else ():
        facts = ", ".join(f"{name} {_short(value)}" for name, value in list(part.facts.items())[:6])
        lacks = f"; no encoder yet for {', '.join(part.lacks)}" if part.lacks else ""
        yield f"   perceived  {part.modality.value} ({part.media_type}, {part.size_bytes} bytes): {facts}{lacks}"


def _candidates(record: TaskRecord) -> Iterator[str]:
    for candidate in record.candidates[:_CANDIDATES]:
        why = f"  {candidate.reasons[0]}" if candidate.reasons else ""
        yield f"   candidate  {candidate.score:.2f} {candidate.agent_id}.{candidate.skill_id}{why}"


def _network(plan: Plan) -> Iterator[str]:
    for number, line in enumerate(draw(plan.network).splitlines()):
        yield f"   {'network' if number == 0 else '':10} {line}"


def _ending(story: Story, record: TaskRecord) -> Iterator[str]:
    for path in story.files:
        yield f"   result     {path}"
        if path.suffix in _TEXTS:
            lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
            yield from (f"              │ {line[:110]}" for line in lines[:_TEXT_LINES])
            if len(lines) > _TEXT_LINES:
                yield f"              │ … {len(lines) - _TEXT_LINES} more lines"
    if record.result is not None:
        times = record.result.times.model_dump()
        stages = ", ".join(f"{stage.removesuffix('_ms')} {ms:.0f}" for stage, ms in times.items() if ms >= 0.5)
        steps = ", ".join(f"{step.agent_id} {step.latency_ms:.0f}" for step in record.result.steps)
        yield f"   times ms   {stages}   steps: {steps}   cost {record.result.cost:g}"
    for problem in story.problems():
        yield f"   ✗ {problem}"


def tell_crash(crash: Crash, story: Story) -> Iterator[str]:
    """The killed worker: who died where, who went on, and that each step counted once."""
    yield f"━━ Killed on purpose: worker process {crash.killed_pid} (SIGKILL) after step {crash.after_step!r}"
    yield f"   resumed by {crash.resumed_by or 'nobody'} from the checkpoint"
    for step, count in story.finished_steps().items():
        yield f"   step {step.rsplit('.', 1)[-1]}: counted {count}×"


def crash_problems(crash: Crash, story: Story) -> tuple[str, ...]:
    """Why the crash was not survived as promised; empty when it was."""
    problems = []
    if crash.killed_pid is None:
        problems.append("no worker was killed")
    if not crash.resumed_by:
        problems.append("no other worker resumed the task")
    problems += [f"step {step} counted {n} times" for step, n in story.finished_steps().items() if n != 1]
    return tuple(problems)


def summary(stories: Sequence[Story], seconds: float, folder: Path) -> Iterator[str]:
    """One table of everything, and the verdict."""
    yield ""
    yield f"   {'task':34} {'state':10} {'ms':>7} {'cost':>6}  team"
    yield from map(_summary_line, stories)
    good = sum(not story.problems() for story in stories)
    yield ""
    yield f"   {good} of {len(stories)} tasks done as expected in {seconds:.0f} s. Results: {folder}"


def _summary_line(story: Story) -> str:
    record = story.record
    state = record.state.value if record else "lost"
    took_ms = (record.updated_at - record.submitted_at).total_seconds() * 1e3 if record else 0.0
    cost = record.result.cost if record and record.result else 0.0
    mark, team = "✗" if story.problems() else "✓", " → ".join(story.agents)
    return f" {mark} {story.task.title[:34]:34} {state:10} {took_ms:7.0f} {cost:6.3f}  {team}"


def _short(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
