"""Answers are quoted from the text, or it is said that there is none."""

import passages
import pytest
from conftest import Ask


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What does the report say about batteries?", "rose by 22 percent"),
        ("When did Harbour Bikes open?", "opened in March"),
        ("How many bicycles were stolen?", "Only seven bicycles were stolen"),
        ("How many riders were charged twice?", "charged 640 riders twice"),
        ("Why were riders angry?", "five weeks to return the money"),
        ("What is the capital of France?", passages.NO_ANSWER),
        ("", "There is no text"),
    ],
)
def test_the_passage_that_answers_is_quoted(ask: Ask, question: str, words: str):
    text = ask("document_text", "Read it", "harbour_bikes.pdf").text
    assert words in passages.answer_from([question, text] if question else ["Question?"])


@pytest.mark.parametrize(
    ("pieces", "question"),
    [
        (["When does it leave?", "It leaves at nine."], "When does it leave?"),
        (["It leaves at nine.", "When does it leave?"], "When does it leave?"),
        (["Answer from the text", "It leaves at nine."], "Answer from the text"),
        (["When does it leave? It leaves at nine."], "When does it leave?"),
        (["Departure time: It leaves at nine."], "Departure time"),
        (["When does it leave?\n\nIt leaves at nine."], "When does it leave?"),
        (["It leaves at nine.\n\nWhen does it leave?"], "When does it leave?"),
        (["Departure time\nIt leaves at nine."], "Departure time"),
    ],
)
def test_question_and_text_are_told_apart(pieces: list[str], question: str):
    asked, text = passages.question_and_text(pieces)
    assert asked == question
    assert text.strip() == "It leaves at nine."


def test_a_question_inside_the_text_is_not_taken_for_the_one_that_is_asked():
    said = "When does it leave?\n\nletter.txt:\nWho asked? It leaves at nine. Nobody knows."
    assert passages.answer_from([said]) == "It leaves at nine."
