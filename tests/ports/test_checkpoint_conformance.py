"""LangGraph's own suite for checkpoint savers, run against JetStream on a real server."""

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability

from agents.running.checkpoints import JetStreamSaver


@pytest.mark.parametrize("capability", list(Capability), ids=lambda c: c.value)
async def test_the_saver_conforms(capability, nc, js):
    @checkpointer_test(name=f"JetStreamSaver-{capability.value}")
    async def saver():
        yield JetStreamSaver(nc)

    report = await validate(saver, capabilities={capability.value})
    result = report.results[capability.value]
    assert result.detected, f"{capability.value} is not implemented"
    assert result.failures is None or result.failures == [], result.failures
    assert result.passed
    assert result.tests_passed >= 5
