"""The shipped towers do on new pictures and recordings what docs/towers.md says, and refuse weights that do not fit."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from schemas.parts import Modality
from tensor_layer.encoding.minilm import MiniLm
from tensor_layer.encoding.versions import space_of, space_of_card
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.fusion.mean import MeanFusion
from tensor_layer.ports import Vector
from tensor_layer.towers.fusion_practice import Practice
from tensor_layer.towers.fusion_training import measured
from tensor_layer.towers.pictures import SIMPLE_KINDS, composed_scene, simple
from tensor_layer.towers.scenes import split as composition_split
from tensor_layer.towers.sentences import split as sentence_split
from tensor_layer.towers.serving import TowerAudioEncoder, TowerImageEncoder, audio_model, fusion, image_model
from tensor_layer.towers.sounds import SOUNDS, made
from tensor_layer.towers.voices import can_speak, spoken_by, unseen_voice
from tensor_layer.towers.weights import SHIPPED, read_weights, save_weights

SPEECH = Path(__file__).parent / "speech"
RECORDED = {
    "summarise-the-meeting-in-one-sentence": "summarise the meeting in one sentence",
    "draw-a-bar-chart-of-the-test-results": "draw a bar chart of the test results",
    "find-the-bug-in-the-web-server": "find the bug in the web server",
    "turn-off-the-lights-in-the-kitchen": "turn off the lights in the kitchen",
    "is-there-a-dog-in-this-picture": "is there a dog in this picture",
    "read-the-receipt-aloud-slowly": "read the receipt aloud slowly",
}


@pytest.fixture(scope="module")
def images() -> TowerImageEncoder:
    return TowerImageEncoder()


@pytest.fixture(scope="module")
def sounds() -> TowerAudioEncoder:
    return TowerAudioEncoder()


@pytest.fixture(scope="module")
def sentence_vectors(minilm: MiniLm) -> Vector:
    return minilm.encode(sentence_split()[0])


def found(vectors: Vector, texts: Sequence[str], minilm: MiniLm) -> list[str]:
    """The nearest text of each vector."""
    nearest = (vectors @ minilm.encode(texts).T).argmax(axis=1)
    return [texts[row] for row in nearest]


def test_compositions_never_trained_on_find_their_captions(images: TowerImageEncoder, minilm: MiniLm):
    held_out = composition_split()[1]
    shown = [composed_scene(held_out[row], np.random.default_rng((11, row))) for row in range(0, 320, 5)]
    vectors = images.encode([each.picture for each in shown])
    names = found(vectors, [one.caption for one in held_out], minilm)
    right = sum(name == each.caption for name, each in zip(names, shown, strict=True))
    assert right >= 0.9 * len(shown)


def test_kinds_of_pictures_are_told_apart(images: TowerImageEncoder, minilm: MiniLm):
    shown = [
        simple(kind, np.random.default_rng((12, turn)), held_out=True) for kind in SIMPLE_KINDS for turn in range(4)
    ]
    names = found(images.encode([each.picture for each in shown]), SIMPLE_KINDS, minilm)
    right = sum(name == each.caption for name, each in zip(names, shown, strict=True))
    assert right >= 0.8 * len(shown)


def test_a_picture_is_described_by_its_concepts(images: TowerImageEncoder):
    described = images.described(simple("a pie chart", np.random.default_rng(13)).picture)
    name, chance = described["kind"]
    assert name == "a pie chart"
    assert 0.5 < chance <= 1.0


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (4000, 5), (64, 64)])
def test_pictures_of_any_size_become_unit_vectors(images: TowerImageEncoder, size: tuple[int, int]):
    vectors = images.encode([Image.new("RGB", size, (9, 90, 200))])
    assert vectors.shape == (1, 384)
    assert np.linalg.norm(vectors[0]) == pytest.approx(1.0, abs=1e-5)


def test_a_pictures_vector_does_not_depend_on_its_batch(images: TowerImageEncoder):
    shown = [simple(kind, np.random.default_rng(14)).picture for kind in SIMPLE_KINDS]
    together, alone = images.encode(shown), images.encode(shown[2:3])[0]
    assert together[2] == pytest.approx(alone, abs=1e-4)
    assert images.encode([]).shape == (0, 384)


def test_voices_never_heard_find_their_sentences(sounds: TowerAudioEncoder, sentence_vectors: Vector):
    heard = sentence_split()[0]
    recordings = [soundfile.read(SPEECH / f"{name}.flac", dtype="float32")[0] for name in RECORDED]
    nearest = (sounds.encode(recordings) @ sentence_vectors.T).argmax(axis=1)
    assert sum(heard[row] == text for row, text in zip(nearest, RECORDED.values(), strict=True)) >= 4


@pytest.mark.skipif(not can_speak(), reason="espeak-ng is not installed")
def test_more_voices_never_heard_find_their_sentences(sounds: TowerAudioEncoder, sentence_vectors: Vector):
    heard = sentence_split()[0]
    texts = heard[:: len(heard) // 16][:16]
    speakers = [unseen_voice(np.random.default_rng((15, row))) for row in range(len(texts))]
    spoken = [spoken_by(speaker, text) for speaker, text in zip(speakers, texts, strict=True)]
    nearest = (sounds.encode(spoken) @ sentence_vectors.T).argmax(axis=1)
    assert sum(heard[row] == text for row, text in zip(nearest, texts, strict=True)) >= 12


def test_sounds_are_told_apart(sounds: TowerAudioEncoder, minilm: MiniLm):
    captions = [caption for caption in SOUNDS for _ in range(3)]
    played = [made(caption, np.random.default_rng((16, row))) for row, caption in enumerate(captions)]
    names = found(sounds.encode(played), list(SOUNDS), minilm)
    assert sum(name == caption for name, caption in zip(names, captions, strict=True)) >= 0.8 * len(captions)


def test_words_that_are_said_are_heard(sounds: TowerAudioEncoder):
    recording = soundfile.read(SPEECH / "find-the-bug-in-the-web-server.flac", dtype="float32")[0]
    assert {"find", "bug"} & {word for word, _ in sounds.words(recording)}


@pytest.mark.parametrize("samples", [1, 200, 16_000, 16_000 * 200])
def test_sounds_of_any_length_become_unit_vectors(sounds: TowerAudioEncoder, samples: int):
    silence = np.zeros(samples, dtype=np.float32)
    vectors = sounds.encode([silence, silence])
    assert vectors.shape == (2, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_the_cards_say_what_the_vectors_may_be_compared_with(minilm: MiniLm):
    for model, modality in ((image_model(), Modality.IMAGE), (audio_model(), Modality.AUDIO)):
        assert model.card.modality is modality
        assert model.card.version.dimension == 384
        assert space_of_card(model.card) == space_of(minilm.version)
        assert model.card.licence == "Apache-2.0"


def test_all_shipped_weights_together_are_small():
    assert 0 < sum(file.stat().st_size for file in SHIPPED.glob("*.safetensors")) <= 20_000_000


def test_the_learned_fusion_is_nearer_to_what_is_meant_than_the_mean(minilm: MiniLm):
    class Vectors(dict[str, Vector]):
        def __missing__(self, text: str) -> Vector:
            self[text] = minilm.encode([text])[0]
            return self[text]

    vectors = Vectors()
    practice = Practice(vectors, held_out=True)
    tasks = [practice.task(np.random.default_rng((17, row))) for row in range(40)]
    gallery = np.zeros((max(task.meant for task in tasks) + 1, 384), dtype=np.float32)
    for task in tasks:
        gallery[task.meant] = practice.meaning(task.meant)
    learned, mean = (measured(each, tasks, gallery)["cosine_meant"] for each in (fusion(), MeanFusion()))
    assert fusion().version.startswith("attention-")
    assert learned > mean + 0.1


def test_missing_weights_say_what_to_do(tmp_path: Path):
    with pytest.raises(EncoderUnavailable, match="aos train towers"):
        TowerImageEncoder(tmp_path / "none.safetensors")


def test_weights_of_another_architecture_are_refused(tmp_path: Path):
    arrays = read_weights(SHIPPED / "fusion.safetensors")
    card = {"name": "image-tower", "space": "x", "dimension": 384, "made_by": "a test"}
    save_weights(tmp_path / "wrong.safetensors", arrays, card)
    with pytest.raises(EncoderUnavailable, match="another architecture"):
        TowerImageEncoder(tmp_path / "wrong.safetensors").encode([Image.new("RGB", (8, 8))])


def test_damaged_weights_are_refused(tmp_path: Path):
    whole = (SHIPPED / "image-tower.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EncoderUnavailable):
        TowerImageEncoder(tmp_path / "cut.safetensors").encode([Image.new("RGB", (8, 8))])


def test_cards_and_fusion_need_no_torch():
    code = (
        "import sys; from tensor_layer.towers import serving; serving.image_model(); serving.audio_model(); "
        "serving.fusion(); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
