import numpy as np
import pytest

from schemas.percept import EncoderVersion
from tensor_layer.encoding.minilm import MiniLm
from tensor_layer.encoding.versions import Encoded, space_of
from tensor_layer.errors import VersionMismatch

TEXT = EncoderVersion(name="text", version="1", dimension=2)
IMAGE = EncoderVersion(name="image", version="7", dimension=2)
ROWS = np.eye(2, dtype=np.float32)


def test_vectors_of_one_space_are_compared_whoever_made_them():
    words, pictures = Encoded(ROWS, TEXT, space_of(TEXT)), Encoded(ROWS[:1], IMAGE, space_of(TEXT))

    assert words.similarities(pictures).tolist() == [[1.0], [0.0]]


def test_vectors_of_different_versions_are_never_compared():
    newer = TEXT.model_copy(update={"version": "2"})

    with pytest.raises(VersionMismatch, match=r"text@1 .* cannot be compared with those of text@2"):
        Encoded(ROWS, TEXT, space_of(TEXT)).similarities(Encoded(ROWS, newer, space_of(newer)))


def test_the_number_format_makes_another_version_of_the_same_space():
    exact, rounded = MiniLm.packaged(), MiniLm.packaged(dtype="bfloat16")

    assert exact.version != rounded.version
    assert space_of(exact.version) == space_of(rounded.version)
    assert rounded.card.dtype == "bfloat16"
