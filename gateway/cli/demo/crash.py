"""Kills a worker (SIGKILL) between two steps of one task. Part of the demo: another worker must finish it."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass

from schemas.task import TaskEvent, TaskEventKind


@dataclass(slots=True)
class Crash:
    """Watches one task's events; once its first step is stored, its worker dies."""

    task_id: str
    killed_pid: int | None = None
    killed_worker: str = ""
    after_step: str = ""
    resumed_by: str = ""

    def hear(self, event: TaskEvent) -> None:
        """The next step begins only after the finished one is stored: that is the moment between two steps."""
        if event.task_id != self.task_id or event.worker_id is None:
            return
        if event.kind is TaskEventKind.STEP_FINISHED and not self.after_step:
            self.after_step = str(event.data.get("node", ""))
        elif event.kind is TaskEventKind.STEP_STARTED and self.after_step and self.killed_pid is None:
            self._kill(event.worker_id)
        elif event.kind is TaskEventKind.RESUMED and event.worker_id != self.killed_worker:
            self.resumed_by = event.worker_id

    def _kill(self, worker_id: str) -> None:
        """A worker's id ends in its process id and a little chance (agents.wiring.new_worker_id)."""
        self.killed_pid, self.killed_worker = int(worker_id.rsplit("-", 2)[1]), worker_id
        with suppress(ProcessLookupError):
            os.kill(self.killed_pid, signal.SIGKILL)
