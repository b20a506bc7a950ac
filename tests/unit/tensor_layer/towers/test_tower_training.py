"""The training loop: it learns, it resumes exactly, it refuses another training's checkpoint; corpora appear whole."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tensor_layer.towers.corpus import Corpus, Example, Recipe, rendered
from tensor_layer.towers.curves import drawn, write_curve
from tensor_layer.towers.training import Schedule, StepLosses, Training, agreement, rate_factor

PLAN = Schedule(steps=60, batch=16, rate=1e-2, seed=4)


def silent(stage: str, done: int, total: int) -> None:
    """Nobody watches."""


def a_training(folder: Path, plan: Schedule = PLAN, stop_after: int | None = None) -> Training:
    torch.manual_seed(plan.seed)
    module = nn.Linear(6, 4)
    gallery = nn.functional.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(1)), dim=-1)
    inputs = torch.randn(9, 6, generator=torch.Generator().manual_seed(2))

    def losses(step: int) -> StepLosses:
        if step == stop_after:
            raise KeyboardInterrupt
        rows = torch.from_numpy(np.random.default_rng((plan.seed, step)).integers(0, 9, plan.batch))
        return agreement(nn.functional.normalize(module(inputs[rows]), dim=-1), rows, gallery, 10.0)

    return Training("tiny", module, plan, losses, folder, silent)


def test_it_learns(tmp_path: Path):
    rows = a_training(tmp_path).run(resume=False)
    assert [row["step"] for row in rows] == [20, 40, 60]
    assert rows[-1]["contrast"] < rows[0]["contrast"]


def test_a_stopped_training_goes_on_exactly_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tensor_layer.towers.training.CHECKPOINT_EVERY_S", 0.0)
    whole = a_training(tmp_path / "whole")
    whole_rows = whole.run(resume=False)
    with pytest.raises(KeyboardInterrupt):
        a_training(tmp_path / "stopped", stop_after=47).run(resume=False)
    resumed = a_training(tmp_path / "stopped")
    assert resumed.run(resume=True) == whole_rows
    assert torch.equal(resumed.module.weight, whole.module.weight)


@pytest.mark.parametrize("kept_bytes", [0, 1, 700])
def test_a_checkpoint_that_is_cut_off_is_refused(tmp_path: Path, kept_bytes: int):
    a_training(tmp_path).run(resume=False)
    (checkpoint,) = tmp_path.glob("*.checkpoint")
    checkpoint.write_bytes(checkpoint.read_bytes()[:kept_bytes])
    with pytest.raises(ValueError, match="cut off or no checkpoint: train without --resume"):
        a_training(tmp_path).run(resume=True)


def test_a_checkpoint_of_another_schedule_is_refused(tmp_path: Path):
    a_training(tmp_path).run(resume=False)
    with pytest.raises(ValueError, match="without --resume"):
        a_training(tmp_path, Schedule(steps=80, batch=16, rate=1e-2, seed=4)).run(resume=True)


def test_the_rate_warms_up_and_fades():
    factors = [rate_factor(step, 100) for step in range(100)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert factors[-1] == pytest.approx(0.01, abs=0.01)


def test_agreement_is_best_where_the_texts_are():
    gallery = torch.eye(4)
    right = agreement(gallery, torch.arange(4), gallery, 10.0)
    wrong = agreement(gallery, torch.tensor([1, 2, 3, 0]), gallery, 10.0)
    assert float(right["cosine"]) == pytest.approx(0.0)
    assert all(right[name] < wrong[name] for name in right)


A_RECIPE = Recipe("numbers", 3, (2,), "uint8", 1, ("a",), {"seed": 1})


def numbers() -> Iterator[Example]:
    for row in range(3):
        yield np.full(2, row, dtype=np.uint8), (row,)


def opened(folder: Path, examples=numbers) -> Corpus:
    return rendered(A_RECIPE, folder, examples, silent)


def test_a_corpus_is_rendered_once_and_read_back(tmp_path: Path):
    opened(tmp_path)
    again = opened(tmp_path, examples=lambda: pytest.fail("it is there already"))
    assert again.values.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert again.labels.tolist() == [[0], [1], [2]]


def test_a_corpus_that_is_not_finished_leaves_nothing(tmp_path: Path):
    def broken() -> Iterator[Example]:
        yield np.zeros(2, dtype=np.uint8), (0,)
        raise RuntimeError("the voice was lost")

    with pytest.raises(RuntimeError, match="the voice was lost"):
        opened(tmp_path, examples=broken)
    assert list(tmp_path.iterdir()) == []


def test_another_recipe_is_another_corpus():
    other = Recipe("numbers", 3, (2,), "uint8", 1, ("a",), {"seed": 2})
    assert other.digest != A_RECIPE.digest


def test_loss_curves_are_written_as_csv_and_drawn(tmp_path: Path):
    rows = [{"step": 20.0, "contrast": 4.0}, {"step": 40.0, "contrast": 0.5}]
    write_curve(rows, tmp_path / "curve.csv", "tiny")
    assert (tmp_path / "curve.csv").read_text().splitlines() == ["step,contrast", "20.0,4.0", "40.0,0.5"]
    assert (tmp_path / "curve.svg").read_text() == drawn(rows, "tiny")
    assert drawn(rows, "tiny").count("<polyline") == 1
