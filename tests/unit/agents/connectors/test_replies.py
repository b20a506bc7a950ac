"""What agents answer is believed only as far as it can be stored and counted."""

import pytest
from pydantic import ValidationError
from test_claim_check import ask

from agents.connectors.replies import read_reply
from agents.errors import BadReply
from schemas.card import Cost
from schemas.task import TaskRecord, TaskResult, TaskState


@pytest.mark.parametrize("cost", [b"1e999", b"Infinity", b"1e308", b"-1", b"NaN"])
def test_a_cost_that_is_no_amount_is_a_bad_reply(cost: bytes) -> None:
    """JSON has no infinity: a record with one is written with a null, and nobody can read it ever again."""
    with pytest.raises(BadReply, match="cost"):
        read_reply(b'{"step_id": "t.n", "outputs": [{"text": "x"}], "cost": %s}' % cost, ask())


def test_the_highest_costs_add_up_to_one_that_can_be_read_again() -> None:
    reply = read_reply(b'{"step_id": "t.n", "outputs": [{"text": "x"}], "cost": 1e12}', ask())
    assert reply.cost is not None
    result = TaskResult(cost=reply.cost * 1e6)
    record = TaskRecord(task_id="t", tenant="default", state=TaskState.SUCCEEDED, result=result)
    assert TaskRecord.from_peer(record.model_dump_json(exclude_defaults=True)).result == result


@pytest.mark.parametrize("price", [{"per_call": float("inf")}, {"per_second": 1e300}])
def test_a_price_that_is_no_amount_is_refused_with_its_card(price: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="less than or equal"):
        Cost(**price)


def test_what_is_told_of_a_bad_reply_fits_a_record_whatever_the_agent_wrote() -> None:
    """The name of an unknown field is the agent's to choose, and stands in the error."""
    with pytest.raises(BadReply, match="not a reply") as caught:
        read_reply(b'{"step_id": "t.n", "outputs": [{"text": "x"}], "%s": 1}' % (b"k" * 2_000_000), ask())
    assert len(str(caught.value)) < 10_000
