"""The least that a resume needs: one stored message for each finished step. Made by the runner for each shape.

LangGraph stores twice what a lone step wrote (its writes, then the checkpoint that follows at once) and two
checkpoints before the first step, which the plan says again anyway. With an fsync for each message that doubles the
price of a chain: 7 messages for 3 steps instead of 3.
"""

from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from nats.aio.client import Client

from agents.running.checkpoint_stream import PATIENCE_S
from agents.running.checkpoints import JetStreamSaver
from agents.running.compiler import Shape, node_name

_FIRST_STEP = 1
"""LangGraph counts -1 for the input, 0 for its own start node, then one for each group of nodes."""


class StepSaver(JetStreamSaver):
    """A saver for graphs of one shape. Writes are stored for steps that run side by side, checkpoints after each group.

    The checkpoint before the first group is stored only when writes of that group will refer to it.
    """

    def __init__(self, nc: Client, shape: Shape, *, patience_s: float = PATIENCE_S) -> None:
        super().__init__(nc, patience_s=patience_s)
        side_by_side = set(range(len(shape.sources))) - shape.alone
        self._side_by_side = frozenset(map(node_name, side_by_side))
        self._first_stored = _FIRST_STEP if 0 in shape.alone else _FIRST_STEP - 1

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store the checkpoint, if a resume would need it."""
        if metadata["step"] >= self._first_stored:
            return await super().aput(config, checkpoint, metadata, new_versions)
        return {"configurable": {**config["configurable"], "checkpoint_id": checkpoint["id"]}}

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store the writes of a step whose neighbours may still be at work."""
        if task_path.rpartition(" ")[2] in self._side_by_side:
            await super().aput_writes(config, writes, task_id, task_path)
