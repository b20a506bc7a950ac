from tensor_layer.encoding.minilm import MiniLm
from tensor_layer.encoding.versions import space_of


def test_the_number_format_makes_another_version_of_the_same_space():
    exact, rounded = MiniLm.packaged(), MiniLm.packaged(dtype="bfloat16")

    assert exact.version != rounded.version
    assert space_of(exact.version) == space_of(rounded.version)
    assert rounded.card.dtype == "bfloat16"
