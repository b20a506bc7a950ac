"""One plan from start to outcome, resumed where a crash or a person left it. Called by the task's journey.

A plan with one step needs no checkpoints: its result is stored by the settlement at once, so a checkpoint between the
two would only write the same bytes twice, and a crash before either leads to the same request with the same step id.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import interrupt
from nats.aio.client import Client

from agents.errors import AgentsError, ApprovalDenied
from agents.ports.connectors import Connector
from agents.ports.running import RunOutcome, RunRequest, Tell
from agents.running.checkpoint_stream import PATIENCE_S
from agents.running.checkpoints import JetStreamSaver
from agents.running.compiler import TASK_CHANNEL, Graphs, Shape, records_of, shape_of
from agents.running.gates import Sleep
from agents.running.run import Run, StepDone, in_order
from agents.running.step_saver import StepSaver
from agents.running.steps import Steps
from agents.stopping import Stopping
from schemas.network import TASK, Plan
from schemas.subjects import record_key
from schemas.task import StepOutcome

_SUPERSTEPS_BESIDE_GROUPS = 3
_INTERRUPTS = "__interrupt__"


class GraphRunner:
    """The Runner port on LangGraph. Safe for many tasks at once; holds nothing of a task between runs.

    What people approved comes with each request, and nothing else decides: an interrupted step that is asked for again
    without its approval waits again. Steps side by side finish before the run stops to wait.
    """

    def __init__(
        self,
        graphs: Graphs,
        steps: Steps,
        saver: BaseCheckpointSaver[Any],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._graphs = graphs
        self._steps = steps
        self._saver = saver
        self._clock = clock

    async def run(self, request: RunRequest, tell: Tell) -> RunOutcome:
        """Do what is left of the plan. Raises StepFailed, DeadlineExceeded, BudgetExceeded, BusUnavailable.

        Errors carry the steps done and their cost. A failing or cancelled run cancels its requests in flight.
        """
        _refuse_denied(request)
        network = request.plan.network
        if len(network.nodes) == 1:
            run = Run(request, (network.nodes[0].id,), tell, self._clock)
            return await self._guarded(run, self._run_single(run))
        shape, order = shape_of(network)
        run = Run(request, order, tell, self._clock)
        return await self._guarded(run, self._run_graph(run, shape))

    async def done(self, tenant: str, task_id: str, plan: Plan) -> tuple[StepOutcome, ...]:
        """The steps that the task's checkpoints hold. Raises BusUnavailable."""
        if len(plan.network.nodes) == 1:
            return ()
        kept = await self._saver.aget_tuple(_config(tenant, task_id, plan))
        if kept is None:
            return ()
        # Of steps side by side, those that ended have written where the checkpoint after all of them is yet to come.
        written = {channel: value for _, channel, value in kept.pending_writes or ()}
        _, order = shape_of(plan.network)
        records = records_of(kept.checkpoint["channel_values"] | written, order)
        return in_order({node_id: StepDone.from_peer(record) for node_id, record in records.items()}, order)

    async def forget(self, tenant: str, task_id: str) -> None:
        """Drop the task's checkpoints. None there is no error. Raises BusUnavailable."""
        await self._saver.adelete_thread(_thread_id(tenant, task_id))

    async def _guarded(self, run: Run, work: Coroutine[Any, Any, RunOutcome]) -> RunOutcome:
        try:
            return await work
        except AgentsError as error:
            error.steps, error.cost = run.steps, run.cost
            raise
        except asyncio.CancelledError:
            run.request.did(run.steps, run.under_way())
            raise

    async def _run_single(self, run: Run) -> RunOutcome:
        (node_id,) = run.order
        if pending := _waiting((TASK, node_id), run.request):
            return run.outcome(waiting_for=pending)
        await self._steps.perform(run, node_id)
        return run.outcome()

    async def _run_graph(self, run: Run, shape: Shape) -> RunOutcome:
        if pending := _waiting((TASK,), run.request):
            return run.outcome(waiting_for=pending)
        task = run.request.task
        graph = self._graphs.of(shape)
        state = await graph.ainvoke(
            {TASK_CHANNEL: task.task_id},
            _config(task.tenant, task.task_id, run.request.plan),
            context=_Performance(run, self._steps),
            durability="sync" if graph.checkpointer is not None else None,
        )
        run.restore(records_of(state, run.order))
        return run.outcome(waiting_for=tuple(sorted({pause.value for pause in state.get(_INTERRUPTS, ())})))


class _Performance:
    """A run as its graph sees it: numbers become nodes of the plan, states become steps done."""

    def __init__(self, run: Run, steps: Steps) -> None:
        self._run = run
        self._steps = steps

    async def perform(self, number: int, state: Mapping[str, Any]) -> bytes:
        node_id = self._run.order[number]
        if _waiting((node_id,), self._run.request):
            interrupt(node_id)
        self._run.restore(records_of(state, self._run.order))
        done = await self._steps.perform(self._run, node_id)
        return done.model_dump_json(exclude_none=True).encode()


def jetstream_runner(
    nc: Client,
    connector: Connector,
    *,
    dice: random.Random | None = None,
    patience_s: float = PATIENCE_S,
    stopping: Stopping | None = None,
) -> GraphRunner:
    """The runner of a worker: checkpoints in JetStream, agents through ``connector``; heeds the wish to stop.

    A bus that stays away for more than ``patience_s`` ends runs with BusUnavailable; they resume when redelivered.
    """
    return GraphRunner(
        Graphs(lambda shape: StepSaver(nc, shape, patience_s=patience_s)),
        Steps(connector, dice=dice, stopping=stopping),
        JetStreamSaver(nc, patience_s=patience_s),
    )


def apart_runner(connector: Connector, *, sleep: Sleep = asyncio.sleep) -> GraphRunner:
    """The runner of tasks that are done again apart from everything: the same graphs and steps, no bus, no checkpoints.

    A crash ends its runs, and nothing of them is left. ``sleep`` is how it pauses between the attempts of a step.
    """
    return GraphRunner(Graphs(lambda _: None), Steps(connector, sleep=sleep), InMemorySaver())


def _waiting(names: tuple[str, ...], request: RunRequest) -> tuple[str, ...]:
    """The first of these nodes (or the task) that a person has yet to approve, if any."""
    waiting = (name for name in names if name in request.plan.approvals and name not in request.approved)
    return tuple(itertools.islice(waiting, 1))


def _refuse_denied(request: RunRequest) -> None:
    denied = [node_id for node_id in request.plan.approvals if node_id in request.denied]
    if not denied:
        return
    if TASK in denied:
        raise ApprovalDenied("a person denied the task")
    node = request.plan.network.node(denied[0])
    step_id = f"{request.task.task_id}.{node.id}"
    raise ApprovalDenied(f"a person denied step {node.id}", step_id=step_id, agent_id=node.agent_id)


def _thread_id(tenant: str, task_id: str) -> str:
    return record_key(tenant, task_id)


def _config(tenant: str, task_id: str, plan: Plan) -> RunnableConfig:
    """The same run id makes LangGraph go on where the thread stands, and start afresh where there is none."""
    thread_id = _thread_id(tenant, task_id)
    return {
        "configurable": {"thread_id": thread_id},
        "metadata": {"run_id": thread_id},
        "recursion_limit": len(plan.network.nodes) + _SUPERSTEPS_BESIDE_GROUPS,
    }
