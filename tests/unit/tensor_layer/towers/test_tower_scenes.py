"""Scenes of shapes: every composition once, a split that leaves nothing unseen, pictures that show what they say."""

import numpy as np
import pytest
from scipy import ndimage

from tensor_layer.towers.drawing import scene
from tensor_layer.towers.pictures import CONCEPTS, SIMPLE_KINDS, UNKNOWN, handwritten_digit, simple, training_captions
from tensor_layer.towers.scenes import POSITIONS, compositions, split


def test_every_composition_has_a_caption_of_its_own():
    captions = [one.caption for one in compositions()]
    assert len(set(captions)) == len(captions) == 8 * 8 * 5 * 5
    assert captions[0] == "one red circle in the top left"
    assert "three blue crosses in the centre" in captions


def test_no_held_out_composition_is_trained_on():
    training, held_out = split()
    assert len(held_out) == 320
    assert not set(training) & set(held_out)
    assert not {one.caption for one in held_out} & set(training_captions())


def test_every_concept_of_a_held_out_composition_is_seen_in_others():
    training, held_out = split()
    for concept in ("colour", "shape", "count", "position"):
        assert {getattr(one, concept) for one in held_out} <= {getattr(one, concept) for one in training}


@pytest.mark.parametrize("number", range(0, 1600, 133))
def test_a_scene_shows_as_many_shapes_as_it_says_where_it_says(number: int):
    composition = compositions()[number]
    pixels = np.asarray(scene(composition, np.random.default_rng(number))).astype(int)
    wanted = np.array([(214, 32, 36), (247, 135, 20), (246, 222, 32), (36, 150, 60), (32, 76, 206), (134, 44, 168),
                       (16, 16, 18), (250, 250, 250)][composition.colour])  # fmt: skip
    found, count = ndimage.label(np.linalg.norm(pixels - wanted, axis=-1) < 45)
    sizes = ndimage.sum_labels(np.ones_like(found), found, range(1, count + 1))
    big = [label for label, size in enumerate(sizes, start=1) if size > 60]
    assert len(big) == composition.count + 1
    rows, columns = np.nonzero(np.isin(found, big))
    middle = np.array([(columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2]) / 256
    assert np.abs(middle - list(POSITIONS.values())[composition.position]).max() < 0.12


def test_the_same_seed_draws_the_same_picture():
    first, second = (scene(compositions()[7], np.random.default_rng(3)).tobytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("kind", SIMPLE_KINDS)
def test_a_simple_picture_has_its_kind_for_caption_and_no_other_concept(kind: str):
    described = simple(kind, np.random.default_rng(5))
    assert described.picture.size == (256, 256)
    assert described.caption == kind == CONCEPTS["kind"][described.labels[0]]
    assert set(described.labels[1:]) == {UNKNOWN}


def test_a_handwritten_digit_says_which_it_is():
    described = handwritten_digit(5, np.random.default_rng(1))
    assert described.caption == "the handwritten digit five"
    assert dict(zip(CONCEPTS, described.labels, strict=True))["digit"] == 5
