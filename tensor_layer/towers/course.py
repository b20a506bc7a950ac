"""One call that trains a tower, measures it and leaves everything in a folder. Called by ``aos train towers``.

For each tower: ``<name>.safetensors``, ``<name>.csv`` and ``.svg`` (loss curve), ``<name>.json`` (held-out figures),
``<name>.checkpoint`` (to resume from).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tensor_layer.towers import acquaintance, audio_training, fusion_training, image_training
from tensor_layer.towers.audio_corpus import RecordingCounts
from tensor_layer.towers.corpus import Tell
from tensor_layer.towers.curves import write_curve
from tensor_layer.towers.familiarity import Familiarity, beside
from tensor_layer.towers.image_corpus import PictureCounts
from tensor_layer.towers.loading import COUNTER, load_arrays
from tensor_layer.towers.text_space import TextSpace
from tensor_layer.towers.training import Schedule
from tensor_layer.towers.weights import SHIPPED, described_training, read_card, save_weights

Fit = Callable[[Path, Path, int, acquaintance.Effort, Tell], tuple[Familiarity, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Course:
    """Where a training reads and leaves things, and how it runs."""

    out: Path
    cache: Path
    seed: int = 1
    threads: int = 1
    resume: bool = False
    quick: bool = False
    """A few minutes instead of an hour, to see that everything works; the weights are poor."""


def train_image(course: Course, tell: Tell) -> dict[str, Any]:
    """Train and measure the image tower; returns the held-out figures."""
    torch.set_num_threads(course.threads)
    space = TextSpace(course.threads, course.cache)
    plan = image_training.schedule(course.seed, 60 if course.quick else image_training.STEPS)
    counts = PictureCounts(each_composition=2, digits=200, each_kind=30) if course.quick else PictureCounts()
    tower, rows = image_training.train(course.out, course.cache, plan, space, tell, resume=course.resume, counts=counts)
    file = _saved(course, image_training.NAME, tower, space, plan, rows)
    load_arrays(tower, file)
    figures = image_training.evaluate(tower, course.cache, space, tell)
    return _reported(course, image_training.NAME, figures, plan)


def train_audio(course: Course, tell: Tell) -> dict[str, Any]:
    """Train and measure the audio tower; returns the held-out figures. Raises EncoderUnavailable without espeak-ng."""
    torch.set_num_threads(course.threads)
    space = TextSpace(course.threads, course.cache)
    plan = audio_training.schedule(course.seed, 60 if course.quick else audio_training.STEPS)
    counts = RecordingCounts(each_sentence=2, each_sound=8) if course.quick else RecordingCounts()
    tower, rows = audio_training.train(course.out, course.cache, plan, space, tell, resume=course.resume, counts=counts)
    file = _saved(course, audio_training.NAME, tower, space, plan, rows)
    load_arrays(tower, file)
    figures = audio_training.evaluate(tower, course.cache, space, tell)
    return _reported(course, audio_training.NAME, figures, plan)


def train_fusion(course: Course, tell: Tell) -> dict[str, Any]:
    """Learn and measure the fusion weights; returns the held-out figures."""
    torch.set_num_threads(course.threads)
    space = TextSpace(course.threads, course.cache)
    plan = fusion_training.schedule(course.seed, 20 if course.quick else fusion_training.STEPS)
    attention, rows = fusion_training.train(course.out, plan, space, tell, resume=course.resume)
    file = _saved(course, fusion_training.NAME, attention, space, plan, rows)
    return _reported(course, fusion_training.NAME, fusion_training.evaluate(file, space), plan)


def train_familiarity(course: Course, tell: Tell) -> dict[str, Any]:
    """Fit and measure how well the towers know their limits, those in the folder or else those that ship."""
    torch.set_num_threads(course.threads)
    return {
        image_training.NAME: _familiar(course, image_training.NAME, acquaintance.of_pictures, tell),
        audio_training.NAME: _familiar(course, audio_training.NAME, acquaintance.of_recordings, tell),
    }


def _familiar(course: Course, tower: str, fit: Fit, tell: Tell) -> dict[str, Any]:
    own = course.out / f"{tower}.safetensors"
    of = own if own.exists() else SHIPPED / own.name
    effort = acquaintance.QUICK if course.quick else acquaintance.FULL
    known, figures = fit(of, course.cache, course.seed, effort, tell)
    file = beside(own)
    card: dict[str, str | int] = {
        "name": file.stem,
        "space": read_card(of).version,
        "dimension": len(known.scale),
        "made_by": described_training(command="aos train towers --only familiarity", seed=course.seed),
    }
    save_weights(file, known.arrays(), card)
    report = {"version": read_card(file).version, "weights_bytes": file.stat().st_size, "held_out": figures}
    file.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def _saved(
    course: Course, name: str, module: nn.Module, space: TextSpace, plan: Schedule, rows: list[dict[str, float]]
) -> Path:
    arrays = {
        key: np.asarray(value.detach().float().numpy())
        for key, value in module.state_dict().items()
        if not key.endswith(COUNTER)
    }
    version = space.version
    card: dict[str, str | int] = {
        "name": name,
        "space": f"{version.name}@{version.version}",
        "dimension": version.dimension,
        "made_by": described_training(command="aos train towers", **_facts(plan)),
    }
    file = course.out / f"{name}.safetensors"
    save_weights(file, arrays, card)
    write_curve(rows, course.out / f"{name}.csv", f"{name}, seed {plan.seed}")
    return file


def _facts(plan: Schedule) -> dict[str, object]:
    return {"seed": plan.seed, "steps": plan.steps, "batch": plan.batch, "rate": plan.rate}


def _reported(course: Course, name: str, figures: dict[str, Any], plan: Schedule) -> dict[str, Any]:
    """Figures are measured on the weights as they were saved, in half precision."""
    file = course.out / f"{name}.safetensors"
    report = {
        "version": read_card(file).version,
        "weights_bytes": file.stat().st_size,
        **_facts(plan),
        "held_out": figures,
    }
    (course.out / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")
    return report
