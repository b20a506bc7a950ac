"""Devices: chosen or refused, and their ways to say that memory is gone are told from other failures."""

import numpy as np
import pytest
import torch

from schemas.parts import Modality
from schemas.percept import EncoderVersion
from tensor_layer.encoding.batching import encode_in_parts
from tensor_layer.encoding.devices import choose_device, choose_dtype, memory_watched
from tensor_layer.errors import DeviceFull, EncoderUnavailable
from tensor_layer.ports import EncoderCard, Vector

GONE = 1 << 50
"""More numbers than any machine here can address."""


class Hungry:
    """Takes as much memory of the CPU's real allocator as its contents ask for."""

    card = EncoderCard(EncoderVersion(name="hungry", version="1", dimension=1), Modality.TEXT, "float32", "cpu", "MIT")

    def tokens_of(self, content: int) -> int:
        return 1

    def encode(self, contents: list[int]) -> Vector:
        with memory_watched("cpu"):
            torch.empty(sum(contents), dtype=torch.uint8)
        return np.ones((len(contents), 1), np.float32)


def test_the_content_that_does_not_fit_alone_is_the_only_one_that_fails():
    rows = encode_in_parts(Hungry(), [10, 10, GONE, 10])

    assert [isinstance(row, DeviceFull) for row in rows] == [False, False, True, False]
    assert "cpu has no memory for this" in str(rows[2])


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
def test_every_word_for_gone_memory_is_device_full(error: Exception):
    with pytest.raises(DeviceFull, match="cuda:0 has no memory"), memory_watched("cuda:0"):
        raise error


def test_any_other_failure_of_a_model_is_not_taken_for_gone_memory():
    with pytest.raises(EncoderUnavailable, match="failed on cpu"), memory_watched("cpu"):
        torch.ones(2, 3) @ torch.ones(2, 3)


@pytest.mark.parametrize("wanted", ["tpu", "cuda:99", "gpu"])
def test_a_device_that_is_not_there_is_refused_with_what_to_set(wanted: str):
    with pytest.raises(EncoderUnavailable, match=f"{wanted} cannot be used.*Set perception.device to auto"):
        choose_device(wanted)


def test_numbers_are_exact_on_a_cpu_and_short_on_a_gpu_unless_somebody_chose():
    assert choose_dtype("auto", "cpu") == "float32"
    assert choose_dtype("auto", "cuda:0") == "bfloat16"
    assert choose_dtype("float32", "cuda:0") == "float32"
