from pathlib import Path

import pytest

from schemas.parts import Modality, Part
from tensor_layer.wiring import EncoderChoice, local_encoders, local_text_encoder, open_blobs, perceiver


async def test_the_whole_layer_is_built_from_plain_arguments(tmp_path: Path):
    blobs = open_blobs(tmp_path.as_uri())
    layer = perceiver(blobs, local_text_encoder())
    ref = await blobs.put_bytes(b"city,people\nParis,2102650\nLyon,522250\n")

    seen = await layer.perceive([Part(text="Which city is largest?"), Part(ref=ref, name="cities.csv")])

    question, weather = await layer.encode_texts(["Find the biggest town in a table", "weather forecast"])
    assert seen.percept.modalities == (Modality.TEXT, Modality.TABLE)
    assert seen.percept.encoder == layer.text_version
    assert seen.vector @ question > seen.vector @ weather


@pytest.mark.parametrize(("device", "warned"), [("auto", False), ("cpu", False), ("cuda:0", True)])
async def test_who_asks_for_a_device_that_no_encoder_uses_is_told(device: str, warned: bool, caplog):
    local_encoders(open_blobs("memory://"), EncoderChoice(device=device))

    assert ("no encoder chosen here computes there" in caplog.text) == warned
