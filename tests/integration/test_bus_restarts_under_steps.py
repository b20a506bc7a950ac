"""The bus restarts while agents are at work: that is nobody's failure, and the step is asked for again."""

import asyncio
from datetime import timedelta

import pytest
from resuming_worker import request_for

from agents.connectors import nats_agent
from agents.connectors.nats_agent import NatsConnector
from agents.errors import AgentUnreachable, BusUnavailable, StepTimedOut
from gateway.bus.connection import connect
from schemas import subjects
from schemas.base import now
from schemas.invocation import Invocation, InvocationReply
from schemas.parts import text_part
from tensor_layer.storage.blobs import ObstoreBlobs

pytestmark = pytest.mark.timeout(120)
CARD = request_for("t", ["task>a"]).cards["a"]


def asked() -> Invocation:
    deadline = now() + timedelta(seconds=60)
    return Invocation(
        step_id="t.a",
        task_id="t",
        tenant="default",
        agent_id="a",
        skill_id="work",
        goal="go",
        inputs=(text_part("go"),),
        deadline=deadline,
    )


@pytest.fixture
def connector(nc, tmp_path):
    return NatsConnector(nc, ObstoreBlobs.from_url(tmp_path.as_uri()))


@pytest.fixture
async def agent(nats_server):
    client = await connect(nats_server.url, "agent")
    yield client
    await client.close()


async def restart(server, nc) -> None:
    server.kill()
    await server.start()
    async with asyncio.timeout(60):
        while nc.stats["reconnects"] == 0:
            await asyncio.sleep(0.01)


async def listen(agent, answer) -> None:
    await agent.subscribe(subjects.invoke("default", "a"), queue=subjects.QUEUE_AGENTS, cb=answer)
    await agent.flush()


async def test_an_answer_that_an_outage_swallowed_is_not_held_against_the_agent(nats_server, nc, agent, connector):
    heard = asyncio.Event()

    async def answers_into_the_outage(message):
        heard.set()

    await listen(agent, answers_into_the_outage)
    asking = asyncio.create_task(connector.invoke(CARD, asked(), 5))
    await asyncio.wait_for(heard.wait(), 30)
    await restart(nats_server, nc)
    with pytest.raises(BusUnavailable, match="lost in an outage"):
        await asking
    with pytest.raises(StepTimedOut):  # the next silence is the agent's own
        await connector.invoke(CARD, asked(), 0.05)


async def test_an_agent_that_comes_back_later_than_its_worker_is_waited_for(nats_server, nc, agent, connector):
    await restart(nats_server, nc)
    with pytest.raises(BusUnavailable, match="not back"):
        await connector.invoke(CARD, asked(), 30)

    async def answers(message):
        reply = InvocationReply(step_id="t.a", outputs=(text_part("done"),))
        await agent.publish(message.reply, reply.model_dump_json().encode())

    await listen(agent, answers)
    assert (await connector.invoke(CARD, asked(), 30)).outputs[0].text == "done"


async def test_who_was_never_there_is_told_as_such_once_the_bus_has_settled(nats_server, nc, connector, monkeypatch):
    with pytest.raises(AgentUnreachable, match="nobody listens"):
        await connector.invoke(CARD, asked(), 30)
    await restart(nats_server, nc)
    monkeypatch.setattr(nats_agent, "SETTLING_S", 0.0)
    with pytest.raises(AgentUnreachable, match="nobody listens"):
        await connector.invoke(CARD, asked(), 30)
