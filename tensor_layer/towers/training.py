"""The training loop of all towers: seeded batches, one-cycle learning rate, checkpoints, resume. Called by each tower.

Batch n depends on the seed and n alone, so a training that was stopped goes on exactly where it would have been.
"""

import math
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tensor_layer.towers.corpus import Tell

WARM_UP_SHARE = 0.05
LOG_EVERY_STEPS = 20
CHECKPOINT_EVERY_S = 60.0
GRADIENT_NORM_MAX = 1.0

StepLosses = dict[str, Tensor]
Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn. The same schedule and seed give the same weights on the same machine."""

    steps: int
    batch: int
    rate: float
    seed: int
    decay: float = 0.02


@dataclass(slots=True)
class Training:
    """One tower's training: ``losses(step)`` gives the named losses of one batch, their sum is minimised."""

    name: str
    module: nn.Module
    schedule: Schedule
    losses: Callable[[int], StepLosses]
    folder: Path
    tell: Tell
    rows: list[Row] = field(default_factory=list)

    def run(self, *, resume: bool) -> list[Row]:
        """Train to the end; return the loss curve. Raises OSError, ValueError for an alien or damaged checkpoint."""
        optimiser = torch.optim.AdamW(
            self.module.parameters(), self.schedule.rate, betas=(0.9, 0.98), weight_decay=self.schedule.decay
        )
        begin = self._restored(optimiser) if resume and self._checkpoint.exists() else 0
        self.module.train()
        saved_s, sums = time.monotonic(), dict[str, float]()
        for step in range(begin, self.schedule.steps):
            for group in optimiser.param_groups:
                group["lr"] = self.schedule.rate * rate_factor(step, self.schedule.steps)
            self._learn(optimiser, step, sums)
            if (step + 1) % LOG_EVERY_STEPS == 0:
                self.rows.append({"step": step + 1, **{name: sums[name] / LOG_EVERY_STEPS for name in sums}})
                sums.clear()
                self.tell(f"training {self.name}", step + 1, self.schedule.steps)
                # Only between two rows, so that a resumed curve has no half-filled one.
                if time.monotonic() - saved_s > CHECKPOINT_EVERY_S:
                    self._save(optimiser, step + 1)
                    saved_s = time.monotonic()
        self._save(optimiser, self.schedule.steps)
        self.module.eval()
        return self.rows

    def _learn(self, optimiser: torch.optim.Optimizer, step: int, sums: dict[str, float]) -> None:
        torch.manual_seed(self.schedule.seed * 1_000_003 + step)
        losses = self.losses(step)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call] # torch's, untyped
        nn.utils.clip_grad_norm_(self.module.parameters(), GRADIENT_NORM_MAX)
        optimiser.step()
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + float(loss.detach())

    @property
    def _checkpoint(self) -> Path:
        return self.folder / f"{self.name}.checkpoint"

    def _save(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        state: dict[str, Any] = {
            "schedule": repr(self.schedule),
            "step": step,
            "rows": self.rows,
            "module": self.module.state_dict(),
            "optimiser": optimiser.state_dict(),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._checkpoint.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.replace(self._checkpoint)

    def _restored(self, optimiser: torch.optim.Optimizer) -> int:
        try:
            state = torch.load(self._checkpoint, weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise ValueError(f"{self._checkpoint} is cut off or no checkpoint: train without --resume") from error
        if state["schedule"] != repr(self.schedule):
            raise ValueError(
                f"{self._checkpoint} was made with {state['schedule']}, not {self.schedule!r}: train without --resume"
            )
        self.module.load_state_dict(state["module"])
        optimiser.load_state_dict(state["optimiser"])
        self.rows = list(state["rows"])
        return int(state["step"])


def rate_factor(step: int, steps: int) -> float:
    """A linear warm-up to 1, then half a cosine down to 0.01."""
    warm_up = max(round(WARM_UP_SHARE * steps), 1)
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(steps - warm_up, 1)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def agreement(vectors: Tensor, targets: Tensor, gallery: Tensor, scale: float, smoothing: float = 0.0) -> StepLosses:
    """Pull (batch, dimension) ``vectors`` towards their rows of ``gallery`` and away from its other rows.

    ``targets`` are (batch,) row numbers. The softmax runs over the whole locked gallery, so no batch lacks the hard
    negatives ("three red stars" beside "four red stars"); the cosine term keeps the vectors where texts are.
    """
    wanted = gallery[targets]
    cosine = 1.0 - (vectors * wanted).sum(-1).mean()
    contrast = nn.functional.cross_entropy(scale * vectors @ gallery.T, targets, label_smoothing=smoothing)
    return {"contrast": contrast, "cosine": 5.0 * cosine}
