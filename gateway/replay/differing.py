"""How two tasks differ: who could do them, who did, what it took. Called by `aos replay diff`. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.candidate import Candidate
from schemas.experience import ExperienceRecord


@dataclass(frozen=True, slots=True)
class Row:
    """One thing of both tasks, in words."""

    what: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Whether the two are not the same."""
        return self.first != self.second


def rows(first: ExperienceRecord, second: ExperienceRecord) -> tuple[Row, ...]:
    """Everything worth comparing, equal things included."""
    pairs = zip(_said(first), _said(second), strict=True)
    common = [Row(what, one, other) for (what, one), (_, other) in pairs]
    return (*common, *_candidate_rows(first, second), *_step_rows(first, second))


def _said(record: ExperienceRecord) -> Iterator[tuple[str, str]]:
    yield "instruction", " ".join(record.instruction.split())[:80]
    yield "modalities", ", ".join(modality.value for modality in record.modalities)
    yield "state", record.state.value
    yield "failure", record.failure_code or ""
    yield "policy", record.policy
    yield "team", " → ".join(record.chosen)
    yield "propensity", f"{record.propensity:.3g}"
    yield "latency", f"{record.latency_ms:.0f} ms"
    for name, value in record.times:
        yield name.removesuffix("_ms"), f"{value:.0f} ms"
    yield "cost", f"{record.cost:.4g}"


def _candidate_rows(first: ExperienceRecord, second: ExperienceRecord) -> Iterator[Row]:
    mine, theirs = (
        {c.agent_id: f"{place}. {_scores(c)}" for place, c in enumerate(record.candidates, 1)}
        for record in (first, second)
    )
    for agent in sorted(mine.keys() | theirs.keys()):
        yield Row(f"candidate {agent}", mine.get(agent, "no candidate"), theirs.get(agent, "no candidate"))


def _scores(candidate: Candidate) -> str:
    parts = " ".join(f"{name} {value:.2f}" for name, value in sorted(candidate.scores.items()))
    return f"{candidate.score:.2f}" + (f" ({parts})" if parts else "")


def _step_rows(first: ExperienceRecord, second: ExperienceRecord) -> Iterator[Row]:
    mine, theirs = (
        {
            step.node: f"{step.agent_id} {'ok' if step.ok else 'failed'} {step.latency_ms:.0f} ms"
            for step in record.steps
        }
        for record in (first, second)
    )
    for node in dict.fromkeys([*mine, *theirs]):
        yield Row(f"step {node}", mine.get(node, "not done"), theirs.get(node, "not done"))
