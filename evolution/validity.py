"""Which records and feedback may be kept at all. Asked by the recorder, and by every store as it writes."""

import binascii
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from evolution.errors import ExperienceRefused
from schemas.experience import ExperienceRecord, Feedback
from schemas.network import Interval, PlanEstimate

MAX_AHEAD_S = 600.0
"""A record from further in the future than this comes from a wrong clock: it would sit in every window for ever."""

OLDEST = datetime(2020, 1, 1, tzinfo=UTC)
"""Nothing was recorded before: an earlier moment comes from a clock that was never set, and would expire unseen."""


def task_vector(record: ExperienceRecord) -> NDArray[np.float32] | None:
    """The record's task vector, (dimension,) float32, or None. Raises ExperienceRefused when it is no vector."""
    if record.vector is None:
        return None
    try:
        raw = binascii.a2b_base64(record.vector, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise ExperienceRefused(f"vector of record {record.record_id} is not base64: {error}") from error
    if not raw or len(raw) % 4:
        raise ExperienceRefused(f"vector of record {record.record_id} has {len(raw)} bytes, not a multiple of 4")
    vector = np.frombuffer(raw, dtype="<f4").astype(np.float32, copy=False)
    if not np.isfinite(vector).all():
        raise ExperienceRefused(f"vector of record {record.record_id} holds NaN or infinity")
    return vector


def check_record(record: ExperienceRecord) -> NDArray[np.float32] | None:
    """The record's vector, once everything in the record can be stored and read back. Raises ExperienceRefused."""
    # The sum is finite if every number is: one test in the common case, names only when something is wrong.
    if not math.isfinite(sum(_values(record))):
        for name, value in _named(record):
            if not math.isfinite(value):
                raise ExperienceRefused(f"{name} of record {record.record_id} is {value}: only finite numbers are kept")
    return task_vector(record)


def check_feedback(feedback: Feedback) -> None:
    """Raises ExperienceRefused when the feedback cannot be stored and read back."""
    if feedback.score is not None and not math.isfinite(feedback.score):
        raise ExperienceRefused(f"score of feedback {feedback.feedback_id} is {feedback.score}")


def check_clock(at: datetime, now: datetime, max_ahead_s: float = MAX_AHEAD_S) -> None:
    """Raises ExperienceRefused for a moment that lies too far in the future, or before there was anything to record."""
    if at < OLDEST:
        raise ExperienceRefused(f"clock skew: stamped {at.isoformat()}, before anything was ever recorded")
    if at - now > timedelta(seconds=max_ahead_s):
        ahead_s = (at - now).total_seconds()
        raise ExperienceRefused(
            f"clock skew: stamped {at.isoformat()}, {ahead_s:.0f} s ahead of the recorder's clock "
            f"(at most {max_ahead_s:.0f} s). Set the sender's clock, then redrive"
        )


def _values(record: ExperienceRecord) -> Iterator[float]:
    yield record.latency_ms
    yield record.cost
    times = record.times
    yield times.queued_ms + times.perceive_ms + times.match_ms + times.plan_ms + times.run_ms + times.approval_ms
    for candidate in record.candidates:
        yield candidate.score
        yield from candidate.scores.values()
        yield from candidate.features.values()
        yield from candidate.contributions.values()
        for past in candidate.counted:
            yield past.weight
    for step in record.steps:
        yield step.latency_ms + step.cost
    if record.estimate is not None:
        for _, forecast in _forecasts(record.estimate):
            yield forecast.low + forecast.middle + forecast.high


def _named(record: ExperienceRecord) -> Iterator[tuple[str, float]]:
    yield "latency_ms", record.latency_ms
    yield "cost", record.cost
    for name, value in record.times:
        yield f"times.{name}", value
    for candidate in record.candidates:
        yield f"score of {candidate.agent_id}", candidate.score
        for told in (candidate.scores, candidate.features, candidate.contributions):
            for kind, value in told.items():
                yield f"{kind} of {candidate.agent_id}", value
        for past in candidate.counted:
            yield f"weight of {past.task_id} for {candidate.agent_id}", past.weight
    for step in record.steps:
        yield f"latency_ms of {step.step_id}", step.latency_ms
        yield f"cost of {step.step_id}", step.cost
    if record.estimate is not None:
        for what, forecast in _forecasts(record.estimate):
            for bound, value in forecast:
                yield f"estimate.{what}.{bound}", value


def _forecasts(estimate: PlanEstimate) -> tuple[tuple[str, Interval], ...]:
    return (("duration_ms", estimate.duration_ms), ("cost", estimate.cost), ("quality", estimate.quality))
