"""What agents' solved queries are like on the whole: learned from few, and expected of newcomers by their cards."""

import numpy as np

from agents.matching.learning import habits
from agents.matching.learning.solved import Solved
from tests.unit.agents.matching.learning.fleet_of_words import TOPICS, WIDTH, FleetOfWords


def fitted(fleet: FleetOfWords, past: Solved) -> habits.Habits:
    return habits.fit(fleet.cards.both, fleet.cards.texts, past.vectors, past.texts, past.pairs)


def right(fleet_habits: habits.Habits, asked: Solved) -> float:
    first = fleet_habits.meaning(asked.vectors).argmax(axis=1)
    return float(np.mean([agent in gold for agent, gold in zip(first, asked.solved_by, strict=True)]))


def test_solved_queries_correct_cards_that_do_not_say_what_agents_do():
    fleet = FleetOfWords()
    asked = fleet.solved(300)
    cards_alone = float(np.mean((asked.vectors @ fleet.cards.both.T).argmax(axis=1) == np.ravel(asked.solved_by)))
    assert right(fitted(fleet, fleet.solved(300)), asked) > cards_alone + 0.1


def test_newcomers_have_a_centre_where_their_card_says():
    fleet = FleetOfWords(honest=True)
    asked = fleet.solved(200, agents=(9, 10, 11), noise=0.5)
    assert right(fitted(fleet, fleet.solved(400, agents=tuple(range(9)))), asked) > 0.4


def test_words_of_solved_queries_speak_for_an_agent():
    fleet = FleetOfWords()
    texts = ("will it rain tomorrow", "play a song", "umbrella needed for rain")
    past = Solved(fleet.solved(3).vectors, texts, ((0,), (1,), (0,)))
    cosines = fitted(fleet, past).in_words(["rain again", "a song again", "chess", ""])
    assert cosines.argmax(axis=1)[:3].tolist() == [0, 1, TOPICS.index("chess")]
    assert not cosines[3].any()
    assert cosines.max() <= 1.0001


def test_without_any_evidence_or_word_it_stays_finite():
    fleet = FleetOfWords()
    nothing = Solved(np.zeros((0, WIDTH), dtype=np.float32), (), ())
    asked = fleet.solved(5)
    assert np.isfinite(fitted(fleet, nothing).meaning(asked.vectors)).all()
    wordless = habits.fit(fleet.cards.both, ("",) * len(TOPICS), asked.vectors, ("?!",) * 5, asked.pairs)
    assert not wordless.in_words(["?!", "word"]).any()
