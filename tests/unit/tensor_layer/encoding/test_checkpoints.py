"""Real architectures, tiny random weights: models read what the reference loaders make, and what fails says why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from schemas.parts import Modality
from tensor_layer.encoding.models.loading import Compute
from tensor_layer.encoding.models.open_clip_image import OpenClipImages
from tensor_layer.encoding.models.sentence_text import SentenceTexts
from tensor_layer.encoding.models.wav2vec2_audio import Wav2Vec2Sounds, normalised
from tensor_layer.encoding.models.whisper_audio import WhisperSounds, positions_of
from tensor_layer.encoding.pixels import pixels_of
from tensor_layer.errors import EncoderUnavailable
from tests.unit.tensor_layer.encoding.tiny_checkpoints import (
    hub_whisper,
    tiny_bert,
    tiny_open_clip,
    tiny_transformers_whisper,
    tiny_wav2vec2,
    tiny_whisper,
)

CPU = Compute("cpu", "float32")


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * 16_000)) / 16_000
    return (0.4 * np.sin(2 * np.pi * 440 * time_s) + 0.05 * rng.standard_normal(len(time_s))).astype(np.float32)


def assert_unit(rows: np.ndarray, count: int, dimension: int) -> None:
    assert rows.shape == (count, dimension)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_open_clip(tmp_path_factory.mktemp("clip") / "tiny-clip")


@pytest.mark.parametrize(("width", "height"), [(32, 32), (100, 60), (37, 91), (20, 500), (7, 5)])
def test_pixels_are_what_open_clip_makes(clip: Path, width: int, height: int):
    import open_clip

    encoder = OpenClipImages(str(clip), CPU)
    recipe = encoder.recipe()
    model = open_clip.create_model(f"local-dir:{clip}")
    reference = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(**open_clip.get_model_preprocess_cfg(model)), is_train=False
    )

    ours, theirs = pixels_of(picture(width, height), recipe), reference(picture(width, height)).numpy()

    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_image_vectors_are_what_open_clip_makes(clip: Path):
    import open_clip
    import torch

    encoder = OpenClipImages(str(clip), CPU)
    pictures = [picture(50, 40), picture(40, 50, seed=1)]
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{clip}")

    rows = encoder.encode(pictures)

    with torch.inference_mode():
        expected = model.eval().encode_image(torch.stack([transform(each) for each in pictures]), normalize=True)
    assert_unit(rows, 2, 24)
    np.testing.assert_allclose(rows, expected.numpy(), atol=1e-5)
    assert encoder.card.modality is Modality.IMAGE
    assert (encoder.card.licence, encoder.card.device, encoder.card.dtype) == ("mit", "cpu", "float32")
    assert encoder.tokens_of(pictures[0]) == 17


def test_a_library_architecture_with_weights_of_another_one_says_so(clip: Path):
    encoder = OpenClipImages(f"ViT-S-32-alt:{clip / 'open_clip_model.safetensors'}", CPU)

    with pytest.raises(EncoderUnavailable, match="does not load"):
        encoder.encode([picture(32, 32)])


@pytest.mark.parametrize("bands", [80, 128])
def test_spectrograms_are_what_whisper_makes(bands: int):
    import torch
    import whisper

    from tensor_layer.encoding.mel import log_mel

    for seconds in (0.05, 1.0, 3.3):
        ours = log_mel(torch.from_numpy(sound(seconds))[None], bands)[0]
        theirs = whisper.log_mel_spectrogram(sound(seconds), bands)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)


def test_a_full_window_is_encoded_as_whisper_does(tmp_path: Path):
    import torch
    import whisper

    file = tiny_whisper(tmp_path / "tiny.pt")
    reference = whisper.load_model(str(file), device="cpu").encoder.eval()
    one_second = sound(1.0)
    with torch.inference_mode():
        mels = whisper.log_mel_spectrogram(one_second)[None]
        states = reference(mels)
        np.testing.assert_allclose(positions_of(reference, mels).numpy(), states.numpy(), atol=1e-5)
    mean = states[0].mean(0).numpy()

    rows = WhisperSounds(str(file), CPU).encode([one_second])

    np.testing.assert_allclose(rows[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_whisper_in_transformers_form_gives_the_same_states(tmp_path: Path):
    import torch
    from transformers import WhisperModel

    folder = tiny_transformers_whisper(tmp_path / "whisper-tiny")
    encoder = WhisperSounds(str(folder), CPU)
    model = WhisperModel.from_pretrained(folder).eval()

    from tensor_layer.encoding.mel import log_mel

    with torch.inference_mode():
        states = model.encoder(log_mel(torch.from_numpy(sound(1.0))[None], 80)).last_hidden_state[0]
    mean = states.mean(0).numpy()

    np.testing.assert_allclose(encoder.encode([sound(1.0)])[0], mean / np.linalg.norm(mean), atol=1e-5)
    assert encoder.card.version.name == "whisper/whisper-tiny"


def test_whisper_as_hubs_carry_it_gives_the_vectors_of_openais_file(tmp_path: Path):
    """128 bands, half precision, decoder and all: in openai's file, in transformers' folder, as safetensors or not."""
    file = tiny_whisper(tmp_path / "large.pt", bands=128, half=True)
    folder = hub_whisper(tmp_path / "hub", file)
    pickled = hub_whisper(tmp_path / "pickled", file, pickled=True)

    rows = [WhisperSounds(str(place), CPU).encode([sound(0.6), sound(1.0)]) for place in (file, folder, pickled)]

    assert_unit(rows[0], 2, 16)
    np.testing.assert_array_equal(rows[1], rows[0])
    np.testing.assert_array_equal(rows[2], rows[0])


def test_wav2vec2_reads_what_its_feature_extractor_makes(tmp_path: Path):
    import torch
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

    folder = tiny_wav2vec2(tmp_path / "w2v")
    extractor, model = Wav2Vec2FeatureExtractor.from_pretrained(folder), Wav2Vec2Model.from_pretrained(folder).eval()
    clip = sound(0.7)
    values = extractor(clip, sampling_rate=16_000, return_tensors="pt").input_values

    np.testing.assert_allclose(normalised(clip), values[0].numpy(), atol=1e-5)
    with torch.inference_mode():
        mean = model(values).last_hidden_state[0].mean(0).numpy()
    rows = Wav2Vec2Sounds(str(folder), CPU).encode([clip])
    np.testing.assert_allclose(rows[0], mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.parametrize("kind", ["whisper", "wav2vec2"])
def test_sounds_of_any_length_do_not_depend_on_their_batch(tmp_path: Path, kind: str):
    if kind == "whisper":
        encoder: Any = WhisperSounds(str(tiny_whisper(tmp_path / "tiny.pt")), CPU)
    else:
        encoder = Wav2Vec2Sounds(str(tiny_wav2vec2(tmp_path / "w2v")), CPU)
    sounds = [sound(1 / 16_000), sound(0.3), sound(2.7, seed=1), sound(0.3, seed=2), np.zeros(16_000, np.float32)]

    together = encoder.encode(sounds)

    assert_unit(together, 5, 16)
    for row, each in zip(together, sounds, strict=True):
        np.testing.assert_allclose(encoder.encode([each])[0], row, atol=1e-5)
    assert encoder.tokens_of(sounds[2]) > encoder.tokens_of(sounds[1])


def test_the_version_is_the_weights_own_fingerprint(clip: Path, tmp_path: Path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in clip.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())

    assert OpenClipImages(str(clip), CPU).card.version.version == OpenClipImages(str(moved), CPU).card.version.version


def test_a_missing_checkpoint_is_named(tmp_path: Path):
    for make in (OpenClipImages, WhisperSounds, Wav2Vec2Sounds, SentenceTexts):
        with pytest.raises(EncoderUnavailable, match="no checkpoint at"):
            make(str(tmp_path / "nowhere"), CPU)
    with pytest.raises(EncoderUnavailable, match="not installed"):
        SentenceTexts("package:no_such_package/model", CPU)
    with pytest.raises(EncoderUnavailable, match="no architecture"):
        OpenClipImages("ViT-X-99:/tmp", CPU)


def test_a_checkpoint_of_another_architecture_is_named(tmp_path: Path, clip: Path):
    wav2vec2 = tiny_wav2vec2(tmp_path / "w2v")
    with pytest.raises(EncoderUnavailable, match="architecture 'wav2vec2'"):
        WhisperSounds(str(wav2vec2), CPU)
    with pytest.raises(EncoderUnavailable, match=r"open_clip_config\.json"):
        OpenClipImages(str(wav2vec2), CPU)
    with pytest.raises(EncoderUnavailable, match=r"config\.json"):
        SentenceTexts(str(clip), CPU)
    with pytest.raises(EncoderUnavailable, match=r"no text encoder: none of tokenizer\.json"):
        SentenceTexts(str(wav2vec2), CPU)
    with pytest.raises(EncoderUnavailable, match="no Whisper checkpoint"):
        WhisperSounds(str(clip / "open_clip_model.safetensors"), CPU)


def test_weights_that_are_cut_off_or_gone_are_said_to_be(tmp_path: Path):
    folder = tiny_wav2vec2(tmp_path / "w2v")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(EncoderUnavailable, match="does not load"):
        Wav2Vec2Sounds(str(folder), CPU).encode([sound(0.2)])
    weights.unlink()
    with pytest.raises(EncoderUnavailable, match="weights are missing"):
        Wav2Vec2Sounds(str(folder), CPU)


def test_an_executable_pickle_is_never_executed(tmp_path: Path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "boom"), "w"))

    import torch

    torch.save({"dims": Bomb(), "model_state_dict": {}}, tmp_path / "bomb.pt")

    with pytest.raises(EncoderUnavailable, match=r"no Whisper checkpoint: .* convert it to safetensors") as refused:
        WhisperSounds(str(tmp_path / "bomb.pt"), CPU)
    assert "weights_only" not in str(refused.value)
    with pytest.raises(EncoderUnavailable, match=r"does not load: .* convert it to safetensors"):
        OpenClipImages(f"ViT-B-32:{tmp_path / 'bomb.pt'}", CPU).encode([Image.new("RGB", (8, 8))])
    assert not (tmp_path / "boom").exists()


def test_a_config_that_lies_about_its_weights_is_found_out(tmp_path: Path):
    folder = tiny_wav2vec2(tmp_path / "w2v")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))

    with pytest.raises(EncoderUnavailable, match="does not load"):
        Wav2Vec2Sounds(str(folder), CPU).encode([sound(0.2)])


def test_loading_writes_nothing_to_the_terminal(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    from transformers.utils import logging

    encoders: list[tuple[Any, Any]] = [
        (SentenceTexts(str(tiny_bert(tmp_path / "bert")), CPU), "a red circle"),
        (OpenClipImages(str(clip), CPU), picture(40, 30)),
        (WhisperSounds(str(tiny_whisper(tmp_path / "tiny.pt")), CPU), sound(0.2)),
        (Wav2Vec2Sounds(str(tiny_wav2vec2(tmp_path / "w2v")), CPU), sound(0.2)),
    ]
    capfd.readouterr()
    before = logging.is_progress_bar_enabled(), logging.get_verbosity()

    for encoder, content in encoders:
        encoder.encode([content])

    assert capfd.readouterr() == ("", "")
    # Whoever uses transformers beside us sees what they saw.
    assert (logging.is_progress_bar_enabled(), logging.get_verbosity()) == before


def test_bfloat16_points_the_same_way(clip: Path, tmp_path: Path):
    whisper, wav2vec2 = tiny_whisper(tmp_path / "tiny.pt"), tiny_wav2vec2(tmp_path / "w2v")
    half = Compute("cpu", "bfloat16")
    makes: list[tuple[Callable[[str, Compute], Any], Path, Any]] = [
        (OpenClipImages, clip, picture(50, 60)),
        (WhisperSounds, whisper, sound(0.6)),
        (Wav2Vec2Sounds, wav2vec2, sound(0.6)),
    ]
    for make, place, content in makes:
        exact, rounded = make(str(place), CPU).encode([content]), make(str(place), half).encode([content])
        assert float((exact * rounded).sum()) > 0.999
        assert make(str(place), half).card.dtype == "bfloat16"


def test_on_another_device_weights_windows_and_filters_go_there_too(clip: Path, tmp_path: Path):
    """torch's meta device refuses most operations that mix devices, as a GPU does, and has no numbers to hand back: so
    a pass that fails only when its rows are fetched kept everything on the device."""
    elsewhere = Compute("meta", "auto")
    encoders: list[tuple[Any, Any]] = [
        (OpenClipImages(str(clip), elsewhere), picture(40, 30)),
        (WhisperSounds(str(tiny_whisper(tmp_path / "tiny.pt")), elsewhere), sound(1.0)),
        (Wav2Vec2Sounds(str(tiny_wav2vec2(tmp_path / "w2v")), elsewhere), sound(1.0)),
    ]

    for encoder, content in encoders:
        assert (encoder.card.device, encoder.card.dtype) == ("meta", "bfloat16")
        with pytest.raises(EncoderUnavailable, match="Cannot copy out of meta tensor"):
            encoder.encode([content, content])
