"""What can be stored can be read back: JSON has no infinity, so a record that holds one anywhere is refused by name."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from evolution.recording import Arrival, Fate, Recorder
from evolution.store.memory_store import MemoryExperienceStore
from schemas.candidate import Candidate, Counted
from schemas.network import Interval, PlanEstimate
from tests.unit.evolution.experience_records import MOMENT, a_record

_FORECAST = Interval(low=1.0, middle=2.0, high=3.0)
_WHOLE = a_record(
    "whole",
    candidates=(
        Candidate(
            agent_id="ocr",
            skill_id="do",
            score=0.5,
            scores={"dense": 0.5},
            features={"load": 0.5},
            contributions={"load": 0.5},
            counted=(Counted(task_id="earlier", outcome=1.0, weight=0.5),),
        ),
    ),
    estimate=PlanEstimate(duration_ms=_FORECAST, cost=_FORECAST, quality=_FORECAST),
)
"""A record in which nothing is left out that holds a number."""

_Place = tuple[str | int, ...]


def _numbers(value: object, place: _Place = ()) -> Iterator[_Place]:
    """Where in some JSON the numbers with a fraction are."""
    if isinstance(value, float):
        yield place
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers(inner, (*place, key))


@pytest.mark.parametrize(
    "place", list(_numbers(_WHOLE.model_dump(mode="json"))), ids=lambda place: ".".join(map(str, place))
)
async def test_a_number_that_could_not_be_read_back_is_refused_by_its_name(place: _Place):
    body = json.loads(_WHOLE.model_dump_json())
    inner = body
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = float("inf")
    store = MemoryExperienceStore()
    recorder = Recorder(store, clock=lambda: MOMENT + timedelta(hours=1))
    [verdict] = await recorder.record([Arrival("aos.default.experience", json.dumps(body).encode())])
    assert verdict.fate is Fate.REFUSED
    assert str(place[-1]) in verdict.reason
    assert await store.count() == 0
