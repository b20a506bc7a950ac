"""A network's shape as a compiled LangGraph graph. Called by the runner; compiling costs 1-3 ms, so shapes are kept.

A graph knows nothing of agents or tasks: its nodes are numbers, and what a number means is looked up in the context
of the run. Two plans of the same shape therefore share one graph, across tasks and tenants.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from schemas.network import TASK, Network

GRAPHS_LIMIT = 256
TASK_CHANNEL = "task"

State = dict[str, Any]
Graph = CompiledStateGraph[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """Who waits for whom: for each node, in order of execution, the numbers of the nodes it reads from.

    ``alone`` are the nodes that nobody runs beside.
    """

    sources: tuple[tuple[int, ...], ...]
    alone: frozenset[int]

    @property
    def sink(self) -> int:
        """The number of the node that nobody reads from."""
        read = {source for sources in self.sources for source in sources}
        (sink,) = set(range(len(self.sources))) - read
        return sink


class Performer(Protocol):
    """Does a run's steps. The context of a graph's invocation."""

    async def perform(self, number: int, state: Mapping[str, Any]) -> bytes:
        """The record of the finished step of that number."""
        ...


def shape_of(network: Network) -> tuple[Shape, tuple[str, ...]]:
    """The network's shape, and the node ids that its numbers stand for."""
    groups = network.groups()
    order = tuple(node_id for group in groups for node_id in group)
    number = {node_id: n for n, node_id in enumerate(order)}
    sources = {node_id: {e.source for e in network.edges if e.target == node_id} - {TASK} for node_id in order}
    alone = frozenset(number[group[0]] for group in groups if len(group) == 1)
    return Shape(tuple(tuple(sorted(number[s] for s in sources[node_id])) for node_id in order), alone), order


def node_name(number: int) -> str:
    """What the graph calls a node."""
    return f"n{number}"


def channel_name(number: int) -> str:
    """The state's key for the record of that node's step.

    A key for each node instead of one dictionary with a reducer: a checkpoint then stores each record once.
    """
    return f"done{number}"


def records_of(state: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, bytes]:
    """The records in a state, by node id."""
    return {node_id: state[key] for n, node_id in enumerate(order) if (key := channel_name(n)) in state}


def compile_shape(shape: Shape, saver: BaseCheckpointSaver[Any] | None) -> Graph:
    """The graph: nodes run as soon as all that they read from are done, those ready together in parallel."""
    keys = {TASK_CHANNEL: str} | {channel_name(n): bytes for n in range(len(shape.sources))}
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(TypedDict("State", keys))  # type: ignore[operator]
    for number, sources in enumerate(shape.sources):
        name = node_name(number)
        builder.add_node(name, _node(number))  # type: ignore[call-overload] # the state's keys are made at run time
        if not sources:
            builder.add_edge(START, name)
        elif len(sources) == 1:
            builder.add_edge(node_name(sources[0]), name)
        else:
            builder.add_edge([node_name(source) for source in sources], name)
    builder.add_edge(node_name(shape.sink), END)
    return builder.compile(checkpointer=saver)


def _node(number: int) -> Callable[[State, Runtime[Any]], Awaitable[State]]:
    async def perform(state: State, runtime: Runtime[Any]) -> State:
        performer: Performer = runtime.context
        return {channel_name(number): await performer.perform(number, state)}

    return perform


class Graphs:
    """Compiled graphs by shape, the least recently used dropped past ``limit``."""

    def __init__(
        self, saver_for: Callable[[Shape], BaseCheckpointSaver[Any] | None], *, limit: int = GRAPHS_LIMIT
    ) -> None:
        self._saver_for = saver_for
        self._limit = limit
        self._graphs: OrderedDict[Shape, Graph] = OrderedDict()

    def of(self, shape: Shape) -> Graph:
        """The graph of that shape."""
        graph = self._graphs.get(shape)
        if graph is None:
            graph = self._graphs[shape] = compile_shape(shape, self._saver_for(shape))
            if len(self._graphs) > self._limit:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(shape)
        return graph
