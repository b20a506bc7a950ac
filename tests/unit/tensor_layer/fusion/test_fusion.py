"""Fusion: one unit vector out of any tokens, shares that add up to one, learned weights that know what is meant."""

import numpy as np
import pytest
import torch

from schemas.parts import Modality
from tensor_layer.fusion.attention import MODALITIES, AttentionFusion
from tensor_layer.fusion.mean import MeanFusion
from tensor_layer.ports import Fusion, ModalityToken
from tensor_layer.towers.fusion_practice import Practice, meanings, padded, texts
from tensor_layer.towers.fusion_training import Attention, measured

DIMENSION = 16


def unit(*, seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def token(modality: Modality = Modality.TEXT, *, weight: float = 1.0, seed: int = 0) -> ModalityToken:
    return ModalityToken(modality, unit(seed=seed), weight)


def an_attention(seed: int) -> Attention:
    torch.manual_seed(seed)
    module = Attention(DIMENSION)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return module


def as_fusion(module: Attention) -> AttentionFusion:
    return AttentionFusion({name: value.detach().numpy() for name, value in module.named_parameters()}, "test")


FUSIONS = [MeanFusion(), as_fusion(an_attention(1))]


@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.version)
@pytest.mark.parametrize("modalities", [["text"], ["image"], ["audio", "text"], ["text", "image", "audio", "table"]])
def test_any_modality_may_be_missing(fusion: Fusion, modalities: list[str]):
    tokens = [token(Modality(name), weight=0.3 + at, seed=at) for at, name in enumerate(modalities)]
    fused = fusion.fuse(tokens)
    assert fused.vector.dtype == np.float32
    assert np.linalg.norm(fused.vector) == pytest.approx(1.0, abs=1e-5)
    assert not fused.vector.flags.writeable
    assert len(fused.weights) == len(tokens)
    assert sum(fused.weights) == pytest.approx(1.0)
    assert min(fused.weights) >= 0


@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.version)
def test_one_token_is_its_own_task_vector(fusion: Fusion):
    assert fusion.fuse([token(seed=3)]).vector == pytest.approx(unit(seed=3), abs=1e-6)


@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.version)
def test_the_order_of_tokens_does_not_matter(fusion: Fusion):
    tokens = [token(seed=1, weight=0.2), token(Modality.IMAGE, seed=2), token(Modality.AUDIO, seed=3)]
    forwards, backwards = fusion.fuse(tokens), fusion.fuse(tokens[::-1])
    assert forwards.vector == pytest.approx(backwards.vector, abs=1e-6)
    assert forwards.weights == pytest.approx(backwards.weights[::-1])


@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.version)
def test_tokens_that_cancel_out_leave_the_one_that_counts_most(fusion: Fusion):
    tokens = [ModalityToken(Modality.TEXT, sign * unit(seed=1), 1.0) for sign in (1, -1)]
    assert np.linalg.norm(fusion.fuse(tokens).vector) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.version)
def test_nothing_to_fuse_is_an_error(fusion: Fusion):
    with pytest.raises(ValueError, match="nothing to fuse"):
        fusion.fuse([])


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_that_are_no_shares_are_refused(weight: float):
    with pytest.raises(ValueError, match="finite and not negative"):
        MeanFusion().fuse([token(), token(weight=weight)])


def test_without_any_weight_all_tokens_count_the_same():
    assert MeanFusion().fuse([token(weight=0.0), token(weight=0.0, seed=1)]).weights == (0.5, 0.5)


def test_untrained_attention_is_the_weighted_mean():
    tokens = [token(seed=1, weight=1.0), token(Modality.IMAGE, seed=2, weight=0.25)]
    untrained, mean = as_fusion(Attention(DIMENSION)).fuse(tokens), MeanFusion().fuse(tokens)
    assert untrained.weights == pytest.approx(mean.weights)
    assert untrained.vector == pytest.approx(mean.vector, abs=1e-6)


def test_what_is_trained_in_torch_is_what_is_served_in_numpy():
    module = an_attention(2)
    vectors = {text: unit(seed=number) for number, text in enumerate(texts())}
    practice = Practice(vectors, held_out=False)
    tasks = [practice.task(np.random.default_rng(seed)) for seed in range(20)]
    rows, kinds = map(torch.from_numpy, padded(tasks, MODALITIES))
    trained = module(rows, kinds).detach().numpy()
    served = np.stack([as_fusion(module).fuse(task.tokens).vector for task in tasks])
    assert served == pytest.approx(trained, abs=1e-4)


def test_practice_means_the_instruction_or_the_attachment():
    vectors = {text: unit(seed=number) for number, text in enumerate(texts())}
    for held_out in (False, True):
        practice = Practice(vectors, held_out=held_out)
        for seed in range(30):
            task = practice.task(np.random.default_rng(seed))
            wanted = vectors[meanings()[task.meant]]
            assert max(float(each.vector @ wanted) for each in task.tokens) > 0.7


def test_a_fusion_is_measured_by_what_it_finds():
    vectors = {text: unit(seed=number) for number, text in enumerate(texts())}
    practice = Practice(vectors, held_out=True)
    tasks = [practice.task(np.random.default_rng(seed)) for seed in range(10)]
    gallery = np.stack([vectors[text] for text in meanings()])

    class Knows:
        version = "knows"

        def fuse(self, tokens):
            wanted = next(task for task in tasks if task.tokens is tokens)
            return MeanFusion().fuse([ModalityToken(Modality.TEXT, gallery[wanted.meant], 1.0)])

    assert measured(Knows(), tasks, gallery)["recall_at_1"] == 100.0
