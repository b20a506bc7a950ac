"""What becomes a tensor, what is refused, and that views are views."""

import pickle

import numpy as np
import pytest
import torch

from schemas.base import is_token
from tensor_layer.errors import TensorRefused
from tensor_layer.stream.tensor import from_numpy, from_torch, size_of, to_torch


@pytest.mark.parametrize(
    "array",
    [
        np.array([{"a": 1}], dtype=object),
        np.zeros(3, dtype=[("x", "f4")]),
        np.array(["text"]),
        np.array([pickle.dumps(1)]),
        np.zeros(3, np.complex64),
        np.zeros(3, "datetime64[s]"),
        np.zeros(3, np.longdouble),
    ],
    ids=["objects", "structures", "strings", "bytes", "complex", "dates", "long double"],
)
def test_other_than_plain_numbers_is_refused(array: np.ndarray):
    with pytest.raises(TensorRefused, match="accepted"):
        from_numpy(array)


def test_the_same_values_have_the_same_id_whatever_their_byte_order_and_layout():
    array = np.arange(12, dtype="<f4").reshape(3, 4)

    ids = {from_numpy(a).tensor_id for a in (array, array.astype(">f4"), np.asfortranarray(array), array[::-1][::-1])}

    assert len(ids) == 1


def test_an_id_says_its_algorithm_and_is_the_same_on_every_machine():
    tensor = from_numpy(np.zeros(3))

    assert tensor.tensor_id == "blake3-frxr6dahzjoa26rs7xu5jmsrl7gokzcibl45lqbjty2mpmn4va4a"
    assert is_token(tensor.tensor_id)


def test_another_shape_or_dtype_is_another_tensor():
    array = np.zeros(12, "<f4")

    ids = {from_numpy(a).tensor_id for a in (array, array.reshape(3, 4), array.view("<i4"), array[:0])}

    assert len(ids) == 4


def test_a_canonical_array_is_not_copied():
    array = np.zeros((3, 4), np.float32)

    assert np.shares_memory(from_numpy(array).array, array)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_torch_goes_in_and_out_without_a_copy(dtype: torch.dtype, shape: tuple[int, ...]):
    original = torch.ones(shape).to(dtype)

    tensor = from_torch(original)
    back = to_torch(tensor)

    assert back.dtype is dtype
    assert torch.equal(back, original)
    assert back.data_ptr() == original.data_ptr() or original.numel() == 0


def test_sparse_and_quantised_torch_tensors_are_refused():
    with pytest.raises(TensorRefused, match="dense"):
        from_torch(torch.eye(3).to_sparse())
    with pytest.raises(TensorRefused, match="complex64"):
        from_torch(torch.zeros(3, dtype=torch.complex64))


def test_a_read_only_array_becomes_a_torch_view_without_a_warning():
    array = np.ones(3, np.float32)
    array.flags.writeable = False

    assert to_torch(from_numpy(array)).data_ptr() == array.ctypes.data


def test_impossible_shapes_are_refused():
    with pytest.raises(TensorRefused):
        size_of("float32", (1 << 62, 4))
    with pytest.raises(TensorRefused):
        size_of("float32", (1 << 62, 4, 0))
    with pytest.raises(TensorRefused):
        size_of("float32", (1,) * 33)
