"""Words of past tasks are given to the agents they speak for, though nobody wrote down what each was asked."""

import numpy as np
from scipy import sparse

from agents.evolving.prediction.alignment import BOUNDS, Aligned
from agents.evolving.prediction.dual import Regressed
from agents.evolving.prediction.readers import MIDDLE, NOTHING, PLACE, Asked, Reader, Texts, spoken

TOGETHER, ALONE = "scan paper", "scan"
SCANNER, PRINTER = 0, 1


def learned(texts, targets):
    terms = Texts(texts)
    of_terms = Aligned(terms, terms.counts, sparse.csr_matrix(targets, dtype=float)).learned(np.arange(len(texts)))
    return {word: of_terms(np.array([terms.found(word)[0][0][0]]))[0] for word in ("scan", "paper")}


BOTH = np.arange(2)


def made(texts, targets, folds, method, asked=None):
    """A reader; ``asked`` is a text and its fold."""
    text, fold = asked or ("", 0)
    past = Asked([text], np.array([fold]), [BOTH])
    return Reader(texts, sparse.csr_matrix(targets, dtype=float), np.asarray(folds), method, past)


def test_a_word_goes_to_the_agent_that_no_other_explains():
    """The printer never works alone, yet "scan" is the scanner's word: it does without the printer too."""
    said = learned([TOGETHER] * 8 + [ALONE] * 8, [[1, 1]] * 8 + [[1, 0]] * 8)
    assert said["paper"][PRINTER] > said["paper"][SCANNER]
    assert said["scan"][SCANNER] > said["scan"][PRINTER]


def test_no_word_says_more_than_its_bounds():
    said = learned([TOGETHER] * 4 + [ALONE], [[0, 1]] * 4 + [[1, 0]])
    assert all(BOUNDS[0] <= value <= BOUNDS[1] for word in said.values() for value in word)


def test_texts_of_tasks_without_any_agent_teach_nothing_about_agents():
    said = learned([TOGETHER] * 3 + [ALONE], [[0, 0]] * 4)
    assert max(np.ptp(word) for word in said.values()) == 0.0


def test_tasks_without_a_known_word_are_passed_over():
    texts, folds = ["scan paper", "?!", "scan", "?!", "scan"], np.array([0, 1, 0, 1, 2])
    reader = made(texts, np.eye(5)[:, :2], folds, Aligned)
    assert reader.read(["!?"], [BOTH])[0].tolist() == [list(NOTHING)] * 2
    assert reader.read(["scan paper"], [BOTH])[0].shape == (2, len(NOTHING))


def test_a_past_text_is_read_without_its_fold():
    texts = ["print it"] * 4 + ["scan it"] * 4
    folds = np.array([0] * 4 + [1] * 4)
    targets = np.repeat(np.eye(2), 4, axis=0)
    alone, told = (made(texts, targets, folds, Aligned, ("scan", fold)).past[0] for fold in (1, 0))
    assert alone[1, 0] < told[1, 0]


def test_the_middle_of_all_passages_lies_between_two_that_are_as_clear():
    around = np.zeros((9, 2))
    around[[1, 7], 0] = 5.0
    around[4, 1] = 5.0
    read = spoken(around, around.sum(axis=0))
    assert read[0, PLACE] == 1 / 9
    assert read[:, MIDDLE].tolist() == [4.0, 4.0]
    assert read[:, MIDDLE + 1].tolist() == [4 / 9, 4 / 9]


def test_both_ways_to_learn_read_the_same_form():
    texts, targets, folds = ["scan it", "print it"] * 4, np.array([[1, 0], [0, 1]] * 4), np.arange(8) % 2
    for method in (Aligned, Regressed):
        read = made(texts, targets, folds, method).read(["now print and then scan"], [BOTH])[0]
        assert read[1, PLACE] < read[0, PLACE]


def test_every_word_and_every_pair_of_words_is_found_once():
    terms = Texts(["scan old paper"])
    found, words = terms.found("scan old paper")
    assert sorted(found[n][1:] for n in range(len(found))) == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1)]
    assert (len({term for term, _, _ in found}), words) == (5, 3)
