"""Words in common count, rare ones more, and nothing breaks without words."""

import numpy as np

from agents.matching.learning.lexical import LexicalIndex
from agents.words import stems


def test_names_are_cut_at_their_humps_and_endings_taken_off():
    assert stems("getDrugDosages for HTTPServers") == ["get", "drug", "dosag", "for", "http", "server"]


def test_a_rare_word_counts_more_than_a_common_one():
    index = LexicalIndex(["find a recipe", "find a flight", "find a song", "find a song about love"])
    scores = index.scores(["find recipe"])[0]
    assert scores.argmax() == 0
    assert scores[0] > 2 * scores[1]


def test_the_score_is_a_share_of_what_the_query_asked():
    index = LexicalIndex(["drug dosage", "weather report"])
    short, long = index.scores(["drug dosage", "drug dosage weather report"])[:, 0]
    assert short > long > 0


def test_texts_without_words_score_nothing():
    assert not LexicalIndex(["", "..."]).scores(["anything"]).any()
    assert not LexicalIndex(["weather"]).scores(["", "天気"]).any()


def test_words_of_any_script_meet():
    assert LexicalIndex(["天気 予報", "wetter"]).scores(["天気"])[0].argmax() == 0
    assert LexicalIndex(["Übersetzung", "weather"]).scores(["übersetzung bitte"])[0, 0] > 0


def test_shapes():
    assert LexicalIndex(["a b", "c", "d"]).scores([]).shape == (0, 3)
    assert LexicalIndex(["ab", "cd"]).scores(["ab", "xy"]).dtype == np.float32
