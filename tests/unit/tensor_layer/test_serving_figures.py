from pathlib import Path

import pytest

from tensor_layer.evaluation import serving
from tensor_layer.evaluation.contents import sentence
from tensor_layer.wiring import EncoderChoice
from tests.unit.tensor_layer.encoding.tiny_checkpoints import tiny_open_clip


@pytest.mark.timeout(600)  # it waits for a process with sentence-transformers, whose import alone is long under load
async def test_figures_of_a_text_and_an_image_encoder_are_measured_and_the_missing_one_is_none(tmp_path: Path):
    choice = EncoderChoice(image=f"open_clip:{tiny_open_clip(tmp_path / 'clip')}", audio="none", device="cpu")

    figures = await serving.measure(choice, samples=1, seed=0)

    assert figures["text"]["encoder"]["name"] == "all-MiniLM-L6-v2"
    assert (figures["text"]["device"], figures["text"]["dtype"]) == ("cpu", "float32")
    assert figures["image"]["encoder"]["dimension"] == 24
    assert figures["audio"] is None
    assert figures["text"]["batching_times_sentence_transformers"] > 0
    assert figures["text"]["sentence_transformers_one_at_a_time_per_s"] > 0
    for modality in ("text", "image"):
        assert figures[modality]["one_cpu_ms_p50"] > 0
        assert figures[modality]["batching_times_less_cpu"] > 0
    assert figures["cached_percept"]["wall_ms_p50"] > 0
    assert figures["memory_peak_mb"] > 0


def test_every_sentence_is_another_one():
    assert len({sentence(number) for number in range(2000)}) == 2000
