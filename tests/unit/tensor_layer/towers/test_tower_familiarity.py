"""The towers know what they do not know: strangers are found out, what was taught is kept, alien files are refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tensor_layer.encoding.batching import BatchingEncoder, encode_in_parts
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import Discerning, Vector
from tensor_layer.senses import FAMILIAR_MIN
from tensor_layer.towers.familiarity import Familiarity, beside
from tensor_layer.towers.pictures import composed_scene, simple
from tensor_layer.towers.scenes import split as composition_split
from tensor_layer.towers.serving import AUDIO_WEIGHTS, IMAGE_WEIGHTS, TowerAudioEncoder, TowerImageEncoder
from tensor_layer.towers.sounds import SOUNDS, made
from tensor_layer.towers.strange_pictures import STRANGE_PICTURES
from tensor_layer.towers.strange_sounds import strange_sound
from tensor_layer.towers.weights import SHIPPED, save_weights

FOUND_OUT = ("stripes", "chequers", "rings", "mosaic", "confetti", "village", "portrait")


def two_kinds(rng: np.random.Generator, count: int) -> tuple[Vector, np.ndarray]:
    kinds = rng.integers(0, 2, count)
    spread = np.where(kinds, 3.0, 0.5)[:, None]
    return (rng.standard_normal((count, 8)) * spread + 10 * kinds[:, None]).astype(np.float32), kinds


def test_familiarity_is_the_share_of_held_out_examples_that_lie_as_far_out():
    rng = np.random.default_rng(1)
    known = Familiarity.fit(*two_kinds(rng, 4_000), 2).calibrated(*two_kinds(rng, 4_000))

    familiar = known.of(*two_kinds(rng, 4_000))
    assert (familiar < 0.05).mean() == pytest.approx(0.05, abs=0.02)
    assert familiar.mean() == pytest.approx(0.5, abs=0.05)
    # As far out as this lies nothing of the narrow kind, but much of the wide one.
    away = np.full((2, 8), 2.5, dtype=np.float32) + np.array([[0.0], [10.0]], dtype=np.float32)
    narrow, wide = known.of(away, np.array([0, 1]))
    assert narrow == 0.0
    assert wide > 0.1


def test_a_file_gives_back_what_was_fitted_and_is_refused_for_another_tower(tmp_path: Path):
    rng = np.random.default_rng(2)
    known = Familiarity.fit(*two_kinds(rng, 900), 2).calibrated(*two_kinds(rng, 900))
    tower = tmp_path / IMAGE_WEIGHTS
    shutil.copy(SHIPPED / IMAGE_WEIGHTS, tower)
    card = {"name": "image-familiarity", "dimension": 8, "made_by": "a test"}
    save_weights(beside(tower), known.arrays(), card | {"space": TowerImageEncoder(tower).card.version.version})
    back = Familiarity.read(beside(tower), tower)
    asked = two_kinds(rng, 50)
    assert back.of(*asked) == pytest.approx(known.of(*asked), abs=1e-5)

    save_weights(beside(tower), known.arrays(), card | {"space": "another"})
    with pytest.raises(EncoderUnavailable, match="--only familiarity"):
        Familiarity.read(beside(tower), tower)


def test_pictures_that_the_tower_was_taught_are_familiar():
    compositions = composition_split()[1]
    shown = [composed_scene(compositions[row], np.random.default_rng((21, row))).picture for row in range(0, 320, 8)]
    shown += [simple("a bar chart", np.random.default_rng((22, row))).picture for row in range(20)]
    familiar = TowerImageEncoder().encode_discerning(shown)[:, -1]
    assert (familiar >= FAMILIAR_MIN).mean() >= 0.85


@pytest.mark.parametrize("kind", FOUND_OUT)
def test_pictures_of_strange_kinds_are_found_out(kind: str):
    shown = [STRANGE_PICTURES[kind](np.random.default_rng((23, row))) for row in range(20)]
    familiar = TowerImageEncoder().encode_discerning(shown)[:, -1]
    assert (familiar < FAMILIAR_MIN).mean() >= 0.7


def test_music_and_noises_never_taught_are_found_out_and_sounds_taught_are_familiar():
    strange = ("music", "plucked_string", "pink_noise", "blue_noise", "surf", "dialling", "birdsong")
    unknown = [strange_sound(kind, np.random.default_rng((24, row))) for kind in strange for row in range(4)]
    known = [made(caption, np.random.default_rng((25, row))) for caption in SOUNDS for row in range(4)]
    familiar = TowerAudioEncoder().encode_discerning([*unknown, *known])[:, -1]
    assert (familiar[: len(unknown)] < FAMILIAR_MIN).mean() >= 0.9
    assert (familiar[len(unknown) :] >= FAMILIAR_MIN).mean() >= 0.85


def test_a_tower_without_the_file_says_nothing_about_its_limits(tmp_path: Path):
    shutil.copy(SHIPPED / AUDIO_WEIGHTS, tmp_path)
    rows = TowerAudioEncoder(tmp_path / AUDIO_WEIGHTS).encode_discerning([made("silence", np.random.default_rng(26))])
    assert rows.shape == (1, 385)
    assert np.isnan(rows[0, -1])


async def test_the_batcher_passes_on_what_a_model_knows_and_nan_for_one_that_does_not():
    picture = STRANGE_PICTURES["mosaic"](np.random.default_rng(27))
    tower = TowerImageEncoder()
    assert isinstance(tower, Discerning)
    encoder = BatchingEncoder(tower)
    try:
        assert (await encoder.encode([picture])).shape == (1, 384)
        assert (await encoder.encode_discerning([picture]))[0, -1] < FAMILIAR_MIN
    finally:
        encoder.close()
    assert len(encode_in_parts(tower, [picture])[0]) == 385
