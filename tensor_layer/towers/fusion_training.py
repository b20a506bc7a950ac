"""Learns and measures the weights of ``fusion.attention``. Called by ``aos train towers``."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tensor_layer.fusion.attention import MODALITIES
from tensor_layer.fusion.mean import MeanFusion
from tensor_layer.ports import Fusion, Vector
from tensor_layer.towers.corpus import Tell
from tensor_layer.towers.fusion_practice import LINE_KEPT, Practice, PracticeTask, meanings, padded, texts
from tensor_layer.towers.recall import recall_at_1
from tensor_layer.towers.serving import attention_fusion
from tensor_layer.towers.text_space import TextSpace
from tensor_layer.towers.training import Schedule, StepLosses, Training

NAME = "fusion"
WIDTH = 48
SCALE = 20.0
STEPS = 600
HELD_OUT_TASKS, HELD_OUT_SEED = 2_000, 9
CONTRAST_WEIGHT = 0.2
NO_TOKEN = -1e4


def schedule(seed: int, steps: int) -> Schedule:
    """What the shipped weights were trained with, for another seed or length."""
    return Schedule(steps=steps, batch=192, rate=5e-3, seed=seed, decay=0.05)


class Attention(nn.Module):
    """``AttentionFusion`` in torch, to learn its parameters. Starts as the weighted mean."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.key = nn.Parameter(torch.randn(dimension, WIDTH) / dimension**0.5)
        self.query = nn.Parameter(torch.zeros(dimension, WIDTH))
        self.modality = nn.Parameter(torch.zeros(len(MODALITIES), WIDTH))
        self.always = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, rows: Tensor, kinds: Tensor) -> Tensor:
        """``practice.padded``'s two arrays to (tasks, dimension) unit rows."""
        vectors, shares = rows[..., :-1], rows[..., -1]
        keys = vectors @ self.key + self.modality[kinds]
        query = self.always + (shares[..., None] * vectors).sum(1) @ self.query
        scores = (keys * query[:, None]).sum(-1) / WIDTH**0.5
        odds = torch.where(shares > 0, shares.clamp(min=1e-6).log() + scores, torch.tensor(NO_TOKEN))
        fused = (odds.softmax(-1)[..., None] * vectors).sum(1)
        return nn.functional.normalize(fused, dim=-1)


def train(
    folder: Path, plan: Schedule, space: TextSpace, tell: Tell, *, resume: bool
) -> tuple[Attention, list[dict[str, float]]]:
    """Learned attention and its loss curve. Raises OSError, ValueError when the checkpoint is of another schedule."""
    vectors = text_vectors(space)
    practice = Practice(vectors, held_out=False)
    gallery = torch.from_numpy(np.stack([vectors[text] for text in meanings()]))
    torch.manual_seed(plan.seed)
    attention = Attention(space.version.dimension)

    def losses(step: int) -> StepLosses:
        rng = np.random.default_rng((plan.seed, step))
        tasks = [practice.task(rng) for _ in range(plan.batch)]
        rows, kinds = map(torch.from_numpy, padded(tasks, MODALITIES))
        meant = torch.tensor([task.meant for task in tasks])
        lines = torch.from_numpy(np.stack([task.line for task in tasks]))
        fused = attention(rows, kinds)
        wanted = nn.functional.normalize(gallery[meant] + LINE_KEPT * lines, dim=-1)
        contrast = nn.functional.cross_entropy(SCALE * fused @ gallery.T, meant)
        return {"contrast": CONTRAST_WEIGHT * contrast, "cosine": 5.0 * (1.0 - (fused * wanted).sum(-1).mean())}

    return attention, Training(NAME, attention, plan, losses, folder, tell).run(resume=resume)


def evaluate(file: Path, space: TextSpace) -> dict[str, Any]:
    """On tasks with instructions and sentences never trained on: learned weights against the parameter-free mean."""
    vectors = text_vectors(space)
    practice = Practice(vectors, held_out=True)
    rng = np.random.default_rng(HELD_OUT_SEED)
    tasks = [practice.task(rng) for _ in range(HELD_OUT_TASKS)]
    gallery = np.stack([vectors[text] for text in meanings()])
    return {
        "tasks": len(tasks),
        "meanings": len(gallery),
        "learned": measured(attention_fusion(file), tasks, gallery),
        "mean": measured(MeanFusion(), tasks, gallery),
    }


def measured(fusion: Fusion, tasks: list[PracticeTask], gallery: Vector) -> dict[str, float]:
    """Recall@1 of what is meant, in per cent, and the mean cosine to it and to the line that says what is attached."""
    fused = np.stack([fusion.fuse(task.tokens).vector for task in tasks])
    meant = np.array([task.meant for task in tasks])
    lines = np.stack([task.line for task in tasks])
    return {
        "recall_at_1": recall_at_1(fused, gallery, meant),
        "cosine_meant": round(float((fused * gallery[meant]).sum(1).mean()), 4),
        "cosine_attached_line": round(float((fused * lines).sum(1).mean()), 4),
    }


def text_vectors(space: TextSpace) -> dict[str, Vector]:
    """The vector of every text that practice needs."""
    return dict(zip(texts(), space.vectors(texts()), strict=True))
