"""The real model, loaded once for the tests of this folder."""

import pytest

from tensor_layer.encoding.minilm import MiniLm


@pytest.fixture(scope="session")
def minilm() -> MiniLm:
    model = MiniLm.packaged()
    model.encode(["load"])
    return model
