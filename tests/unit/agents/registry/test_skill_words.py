"""The lexical side: what words weigh, stored and asked, and what a share of them means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.registry.skill_index.words import USUAL_WORDS, lexical_share, sparse_query, sparse_text


def test_a_text_and_a_question_of_the_same_words_share_their_dimensions():
    dimensions, _ = sparse_text("Translates contracts")
    assert sparse_query("translating a CONTRACT")[0][:3] != dimensions
    assert set(dimensions) <= set(sparse_query("translating a CONTRACT")[0])


def test_a_word_said_twice_weighs_more_but_not_twice_as_much():
    once = sparse_text("drug " + " ".join(f"x{n}" for n in range(USUAL_WORDS)))
    twice = sparse_text("drug drug " + " ".join(f"x{n}" for n in range(USUAL_WORDS - 1)))
    [dimension] = sparse_query("drug")[0]
    before, after = (dict(zip(*text, strict=True))[dimension] for text in (once, twice))
    assert before < after < 2 * before


def test_a_word_in_a_long_text_weighs_less():
    [dimension] = sparse_query("drug")[0]
    short, long = (
        dict(zip(*sparse_text(text), strict=True))[dimension]
        for text in ("drug dosage", "drug " + " ".join(f"x{n}" for n in range(200)))
    )
    assert short > 2 * long


@pytest.mark.parametrize("text", ["", "   ", "?!", "…"])
def test_a_text_without_words_has_no_dimensions(text: str):
    assert sparse_text(text) == ([], [])
    assert sparse_query(text) == ([], [])


@given(st.text(max_size=200))
def test_any_text_gives_ascending_dimensions_and_positive_values(text: str):
    dimensions, values = sparse_text(text)
    assert dimensions == sorted(set(dimensions))
    assert all(0 <= dimension < 2**32 for dimension in dimensions)
    assert all(value > 0 for value in values)


@given(st.floats(0, 1e4), st.integers(0, 2_000), st.integers(0, 10**7))
def test_a_share_is_between_nothing_and_all(score: float, words: int, points: int):
    assert 0.0 <= lexical_share(score, words, points) <= 1.0


def test_one_plain_word_of_a_long_question_is_a_small_share():
    assert lexical_share(1.0, 20, 10_000) < 0.01 < 0.4 < lexical_share(8.0, 2, 10_000)
