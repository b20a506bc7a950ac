import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensor_layer.encoding.minilm import WINDOWS_MAX, MiniLm
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.spoken import ENCODED_CHARACTERS_MAX

WEIGHTS = MiniLm.packaged()._folder


def test_vectors_are_those_of_the_reference_implementation(minilm: MiniLm):
    """First numbers of sentence-transformers 6.2.0 with the same weights, one text of each length in one batch."""
    vectors = minilm.encode(["hello world", "Summarise the attached PDF and judge its sentiment, please."])

    assert vectors.shape == (2, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[:, :4], REFERENCE, atol=2e-6)


def test_rows_are_unit_vectors_whatever_the_text(minilm: MiniLm):
    texts = ["", " ", "a", "\x00\x01", "🎉" * 50, "\ud800 lone", "word " * 5000, "漢字" * 5000]

    np.testing.assert_allclose(np.linalg.norm(minilm.encode(texts), axis=1), 1.0, atol=1e-5)


def test_a_text_has_the_same_vector_alone_and_in_a_batch(minilm: MiniLm):
    texts = ["short", "a rather longer text about the weather in spring", "word " * 700]

    together = minilm.encode(texts)

    np.testing.assert_allclose(together, np.vstack([minilm.encode([text]) for text in texts]), atol=1e-5)


def test_meaning_decides_the_angle(minilm: MiniLm):
    question, near, far = minilm.encode(["How warm will it be?", "weather forecast", "extract the table from a PDF"])

    assert question @ near > question @ far + 0.2


def test_a_long_text_is_more_than_its_first_window(minilm: MiniLm):
    cats = "cats purr and sleep on the warm sofa all day. " * 30
    stocks = "the stock exchange closed higher on strong earnings. " * 30

    both, first, second = minilm.encode([cats + stocks, cats, stocks])

    assert both @ second > first @ second + 0.1


def test_past_the_cap_a_text_changes_nothing_and_costs_nothing(minilm: MiniLm):
    start = "all work and no play " * (ENCODED_CHARACTERS_MAX // 20)

    first, second = minilm.encode([start, start + "z" * 1_000_000])

    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("multiplies", ["as this processor does", "not"])
def test_bfloat16_points_the_same_way_whatever_the_processor_multiplies(
    minilm: MiniLm, monkeypatch: pytest.MonkeyPatch, multiplies: str
):
    if multiplies == "not":
        monkeypatch.setattr("torch.ops.mkldnn._is_mkldnn_bf16_supported", lambda: False)
    texts = ["hello world", "Summarise the attached PDF and judge its sentiment, please."]

    rounded = MiniLm.packaged(dtype="bfloat16").encode(texts)

    assert ((rounded * minilm.encode(texts)).sum(axis=1) > 0.999).all()


def test_the_version_names_weights_and_windows(minilm: MiniLm):
    assert minilm.version.version == f"0.1.0-w{WINDOWS_MAX}x256"
    assert minilm.version.dimension == 384


def test_a_damaged_folder_says_what_does_not_load(tmp_path: Path):
    with pytest.raises(EncoderUnavailable, match="does not load"):
        MiniLm(tmp_path, "x").encode(["a"])

    for name in ("config.json", "tokenizer.json"):
        shutil.copy(WEIGHTS / name, tmp_path)
    (tmp_path / "model.safetensors").write_bytes((WEIGHTS / "model.safetensors").read_bytes()[:100_000])
    with pytest.raises(EncoderUnavailable, match="does not load"):
        MiniLm(tmp_path, "x").encode(["a"])

    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(EncoderUnavailable, match="does not load"):
        MiniLm(tmp_path, "x").encode(["a"])


def test_a_process_that_only_stores_blobs_never_imports_torch():
    script = (
        "import sys, tensor_layer.ports, tensor_layer.storage.blobs, tensor_layer.wiring, tensor_layer.bus;"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "[]"


REFERENCE = [[-0.034477, 0.031023, 0.006735, 0.026109], [0.011525, 0.06257, -0.052667, -0.02814]]


def test_texts_of_all_lengths_meet_few_numbers_of_rows(monkeypatch):
    from tensor_layer.encoding import bert

    met = set()
    packed_linear = bert._packed_linear

    def noted(values, packed, bias, end):
        met.add(len(values))
        return packed_linear(values, packed, bias, end)

    monkeypatch.setattr(bert, "_packed_linear", noted)
    encoder = MiniLm.packaged()
    texts = [" ".join(["word"] * count) for count in range(1, 65)]
    alone = [encoder.encode([text])[0] for text in texts]
    assert met <= {bert.rows_for(tokens) for tokens in range(3, 67)}
    assert len(met) == 9  # kernels are kept for each: 8, 16, … 64, and 72
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-5)


@given(st.integers(1, 20_000))
def test_rows_are_filled_up_by_little_to_one_of_few_numbers(tokens):
    from tensor_layer.encoding.bert import LEAST_ROWS, ROWS_PER_DOUBLING, rows_for

    rows = rows_for(tokens)
    assert tokens <= rows < tokens + max(LEAST_ROWS, tokens // ROWS_PER_DOUBLING + 1)
    assert rows_for(rows) == rows
