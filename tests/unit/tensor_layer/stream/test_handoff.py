"""What one process says of a tensor, and what another one makes of it."""

from pathlib import Path

import numpy as np
import pytest

from schemas.percept import EncoderVersion
from schemas.tensor import TensorMessage
from tensor_layer.errors import TensorDamaged, TensorNotFound
from tensor_layer.stream.handoff import MAPPED, PACKED, accept, offer, offer_once
from tensor_layer.stream.mapped_files import MappedFiles
from tensor_layer.stream.tensor import from_numpy

ENCODER = EncoderVersion(name="words", version="1", dimension=8)
SMALL = from_numpy(np.arange(8, dtype=np.float32))
LARGE = from_numpy(np.random.default_rng(1).standard_normal(100_000))


@pytest.mark.parametrize("way", [offer, offer_once])
@pytest.mark.parametrize(("tensor", "codec"), [(SMALL, PACKED), (LARGE, MAPPED)])
def test_a_tensor_arrives_with_who_made_it_whichever_way_it_goes(tmp_path: Path, way, tensor, codec):
    files = MappedFiles(tmp_path, 1 << 21)
    message = TensorMessage.model_validate_json(way(tensor, files, encoder=ENCODER).model_dump_json())
    assert (message.codec, message.encoder) == (codec, ENCODER)
    assert np.array_equal(accept(message, files).array, tensor.array)


def test_a_message_that_means_another_tensor_is_found_out(tmp_path: Path):
    files = MappedFiles(tmp_path, 1 << 21)
    for message in (offer(SMALL, files), offer(LARGE, files)):
        for change in ({"dtype": "uint8"}, {"shape": (2, 2)}):
            with pytest.raises(TensorDamaged, match="differ"):
                accept(message.model_copy(update=change), files)
    with pytest.raises(TensorDamaged, match="no frame"):
        accept(offer(SMALL, files).model_copy(update={"frame": None}), files)
    with pytest.raises(TensorNotFound):
        accept(offer(LARGE, files), MappedFiles(tmp_path / "another", 1 << 21))
