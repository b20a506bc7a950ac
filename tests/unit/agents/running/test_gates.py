"""Each agent has one gate in a worker, and the worker's memory of agents is bounded."""

import asyncio

import pytest
from running_story import Time, card

from agents.errors import AgentUnreachable
from agents.running.breaker import FAILURES_TO_OPEN, CircuitState
from agents.running.gates import Gates
from schemas.card import NatsEndpoint


def gates_at(time: Time, limit: int = 4) -> Gates:
    return Gates(clock=time, sleep=time.sleep, limit=limit)


def test_an_agent_keeps_its_gate_and_tenants_do_not_share_one():
    gates = gates_at(Time())
    assert gates.of(card("a")) is gates.of(card("a"))
    assert gates.of(card("a")) is not gates.of(card("a", tenant="other"))


def test_new_places_keep_the_circuit():
    gates = gates_at(Time())
    narrow, wide = gates.of(card("a", concurrency=1)), gates.of(card("a", concurrency=9))
    assert wide.card.concurrency == 9
    assert wide.breaker is narrow.breaker


@pytest.mark.parametrize("corrected", [{"version": "1.0.1"}, {"endpoint": NatsEndpoint(command=("mended",))}])
async def test_a_corrected_card_begins_with_a_closed_circuit(corrected):
    gates, wrong = gates_at(Time()), card("a")
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(AgentUnreachable), gates.of(wrong).judged(await gates.of(wrong).permit(0)):
            raise AgentUnreachable("gone")
    assert gates.of(wrong).breaker.state is CircuitState.OPEN
    mended = wrong.model_copy(update=corrected)
    with gates.of(mended).judged(await gates.of(mended).permit(0)):
        pass
    assert gates.of(mended).breaker.state is CircuitState.CLOSED


async def test_idle_gates_are_dropped_first():
    gates = gates_at(Time(), limit=2)
    busy = gates.of(card("busy"))
    async with busy.place():
        idle = gates.of(card("idle"))
        gates.of(card("new"))
        assert gates.of(card("busy")) is busy
        assert gates.of(card("idle")) is not idle


async def test_a_cancelled_trial_says_nothing_of_the_agent():
    time = Time()
    gate = gates_at(time).of(card("a"))
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(AgentUnreachable), gate.judged(await gate.permit(0)):
            raise AgentUnreachable("gone")
    assert gate.breaker.state is CircuitState.OPEN
    trial = await gate.permit(60)
    with pytest.raises(asyncio.CancelledError), gate.judged(trial):
        raise asyncio.CancelledError
    assert gate.breaker.state is CircuitState.HALF_OPEN
    with gate.judged(await gate.permit(0)):
        pass
    assert gate.breaker.state is CircuitState.CLOSED
