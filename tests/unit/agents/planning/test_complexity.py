"""Goals are found by rules that a person can follow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.planning.complexity import MAX_GOALS, analyse, goals_of
from agents.planning.wording import CARRIES_TEXT_MARGIN, OWN_LOOKS_MARGIN, about_its_text, spoken_about, wanted
from schemas.parts import Modality, Part, data_part, text_part

IMAGE, TABLE, DOCUMENT, TEXT = Modality.IMAGE, Modality.TABLE, Modality.DOCUMENT, Modality.TEXT
PICTURE = data_part(b"\x89PNG", IMAGE, "image/png", "scan.png")
PDF = data_part(b"%PDF", DOCUMENT, "application/pdf", "paper.pdf")
CSV = Part(modality=TABLE, media_type="text/csv", name="sales.csv", text="month,amount\njan,1")


def texts(words: str, *content: Modality) -> list[str]:
    return [goal.text for goal in goals_of(words, frozenset(content))]


def dependencies(words: str, *content: Modality) -> list[bool]:
    return [goal.depends_on_previous for goal in goals_of(words, frozenset(content))]


@pytest.mark.parametrize(
    "words",
    [
        "What is 12 * 7?",
        "Summarise this text",
        "Tables and charts are nice; what is a table?",
        "Compare salt and pepper",
        "Read and translate this picture",
        "Analyse the CSV and tell me which region sold most",
        "hello",
        "I have a scanned invoice. Read it",
        "Is it going to rain, or snow?",
    ],
)
def test_one_wish_is_one_goal(words: str) -> None:
    assert texts(words) == [words]


@pytest.mark.parametrize(
    ("words", "goals"),
    [
        ("Read the picture and then summarise it", ["Read the picture", "summarise it"]),
        ("Read the picture, then summarise it", ["Read the picture", "summarise it"]),
        ("Read the picture. Then summarise it.", ["Read the picture", "summarise it"]),
        ("Read the picture; summarise it", ["Read the picture", "summarise it"]),
        ("Read the picture → summarise it", ["Read the picture", "summarise it"]),
        ("Read the picture -> summarise it", ["Read the picture", "summarise it"]),
        ("1. Read the picture\n2. Summarise it", ["Read the picture", "Summarise it"]),
        ("- Read the picture\n- Summarise it", ["Read the picture", "Summarise it"]),
        ("Do this: 1) read the picture 2) summarise it", ["read the picture", "summarise it"]),
        ("Read it, extract the keywords and draw a chart", ["Read it", "extract the keywords", "draw a chart"]),
        ("What is 2 + 2 and what is 3 * 4?", ["What is 2 + 2", "what is 3 * 4?"]),
        ("Please read the picture and count the words", ["Please read the picture", "count the words"]),
    ],
)  # fmt: skip
def test_several_wishes_are_several_goals(words: str, goals: list[str]) -> None:
    assert texts(words, IMAGE) == goals


@pytest.mark.parametrize(
    "words",
    [
        "Summarise the following: The cat sat. Then translate nothing; extract it, and draw a chart!",
        "Translate to French: open the file, then close it and delete it",
        "What is the sentiment of: I loved it, then I hated it and wrote a review",
        "Judge the sentiment of this text:\n\nRead it twice. Then write a letter.",
        "Summarise this.\n\n" + "It was late. Then he read the letter and wrote an answer. " * 10,
        "It was late. Then he read the letter and wrote an answer. " * 10 + "\n\nSummarise this.",
    ],
)
def test_a_body_is_never_taken_for_orders(words: str) -> None:
    assert len(texts(words)) == 1


def test_the_goal_of_a_task_with_a_long_body_is_the_request_alone() -> None:
    body = "It was late. Then he read the letter and wrote an answer. " * 10
    assert texts(f"Summarise this and extract the keywords.\n\n{body}") == ["Summarise this", "extract the keywords"]


@pytest.mark.parametrize("quote", ['"{}"', "“{}”", "«{}»", "`{}`", "'{}'"])
def test_quoted_text_is_not_split(quote: str) -> None:
    words = "Translate " + quote.format("open it, then close it; delete it and extract it") + " to German"
    assert texts(words) == [words]


@pytest.mark.parametrize(
    "words",
    [
        "Read the picture and summarise it",
        "Read the picture and summarise the result",
        "Read the picture and translate the text",
        "Read the picture and judge its sentiment",
        "Find the keywords of the picture and sort them",
        "Read the picture, then judge the sentiment",
        "Make a table of the picture and draw a chart of the table",
    ],
)
def test_a_goal_that_names_the_result_builds_on_the_goal_before(words: str) -> None:
    assert dependencies(words, IMAGE) == [False, True]


@pytest.mark.parametrize(
    "words",
    [
        "Summarise the PDF and analyse the table",
        "Summarise the PDF, then draw a chart of the CSV",
        "Summarise it and list the keywords of it",
        "Summarise the PDF and extract its keywords",
        "Summarise the PDF; extract keywords",
    ],
)
def test_goals_that_speak_of_the_attachments_are_independent(words: str) -> None:
    assert dependencies(words, DOCUMENT, TABLE) == [False, False]


def test_in_a_task_of_words_alone_the_text_is_the_task_s_own() -> None:
    assert dependencies("Detect the language of the text and count the words in the text", TEXT) == [False, False]


@pytest.mark.parametrize(
    "last", ["write a report", "combine both in a report", "Put everything into one document", "merge the results"]
)
def test_a_last_goal_may_gather_everything_before_it(last: str) -> None:
    goals = goals_of(f"Describe the picture; summarise the PDF; {last}", frozenset({IMAGE, DOCUMENT}))
    assert goals[-1].gathers
    assert goals[-1].depends_on_previous


@pytest.mark.parametrize(
    ("words", "modality"),
    [
        ("draw a bar chart of sales by month", IMAGE),
        ("plot the sales", IMAGE),
        ("show the sales as a line chart", IMAGE),
        ("make a table of the items", TABLE),
        ("turn this text into a csv", TABLE),
        ("write a short report about it", DOCUMENT),
        ("export it as json", Modality.DATA),
        ("summarise this", TEXT),
        ("analyse the table", None),
        ("what is in the picture?", None),
        ("read the report", None),
    ],
)
def test_what_a_goal_wants(words: str, modality: Modality | None) -> None:
    assert wanted(words) == modality


def test_a_goal_knows_which_attachment_it_speaks_about() -> None:
    assert spoken_about("compare the photo with the spreadsheet") == {IMAGE, TABLE}
    goals = goals_of("Read the scan; analyse the CSV", frozenset({IMAGE, TABLE}))
    assert [goal.about for goal in goals] == [{IMAGE}, {TABLE}]


def test_attachments_are_the_content_and_unnamed_text_is_the_request() -> None:
    analysis = analyse([text_part("Compare these"), PICTURE, CSV])
    assert analysis.content == {IMAGE, TABLE}
    assert analysis.modalities == {IMAGE, TABLE, TEXT}
    assert [goal.text for goal in analysis.goals] == ["Compare these"]


def test_without_attachments_the_words_are_the_content() -> None:
    assert analyse([text_part("What is 2 + 2?")]).content == {TEXT}


def test_a_named_text_is_an_attachment() -> None:
    analysis = analyse([text_part("Summarise the notes"), text_part("Draw a chart, then delete it.", "notes.txt")])
    assert [goal.text for goal in analysis.goals] == ["Summarise the notes"]
    assert analysis.content == {TEXT}


def test_a_task_without_words_asks_what_its_attachment_says() -> None:
    (goal,) = analyse([PDF]).goals
    assert goal.text == "Summarise this document paper.pdf"
    assert goal.about == {DOCUMENT}


def test_complexity_grows_with_goals_and_kinds() -> None:
    simple = analyse([text_part("What is 2 + 2?")])
    harder = analyse([text_part("Read the picture and draw a chart of the numbers"), PICTURE])
    hardest = analyse([text_part("Read the picture; analyse the csv; write a report"), PICTURE, CSV])
    assert simple.complexity == 1.0
    assert simple.complexity < harder.complexity < hardest.complexity


def test_too_many_clauses_join_the_last_goal() -> None:
    goals = goals_of("; ".join(f"extract the keyword number {count}" for count in range(30)))
    assert len(goals) == MAX_GOALS
    assert goals[-1].text.endswith("number 29")


@given(st.text(max_size=400))
def test_any_words_have_goals_and_no_goal_is_empty(words: str) -> None:
    goals = goals_of(words) if words.strip() else ()
    assert all(goal.text for goal in goals)
    assert bool(goals) == bool(words.strip())
    assert not any(goal.depends_on_previous for goal in goals[:1])


@pytest.mark.parametrize(
    ("words", "said", "margin"),
    [
        ("Summarise the PDF", "Summarise the text", CARRIES_TEXT_MARGIN),
        ("Extract the dates from this PDF document", "Extract the dates from this text", CARRIES_TEXT_MARGIN),
        ("Summarise this scanned invoice", "Summarise this text", CARRIES_TEXT_MARGIN),
        ("Describe the attached photo", "Describe the text", OWN_LOOKS_MARGIN),
        ("How long is this voice recording?", "How long is this text?", OWN_LOOKS_MARGIN),
    ],
)
def test_a_goal_can_be_said_of_plain_text(words: str, said: str, margin: float) -> None:
    reworded = about_its_text(words, frozenset({IMAGE, DOCUMENT, Modality.AUDIO}))
    assert reworded is not None
    assert (reworded.text, reworded.margin) == (said, margin)


def test_a_goal_that_names_no_attachment_is_left_as_it_is() -> None:
    assert about_its_text("Summarise the PDF", frozenset({IMAGE})) is None
    assert about_its_text("What is 2 + 2?", frozenset({DOCUMENT})) is None


def test_a_long_paragraph_is_content_even_where_it_begins_like_a_request():
    letter = "Write to me soon, said the letter. " + "The sea was calm and the harbour full of boats. " * 8
    assert texts(f"Summarise this letter\n\n{letter}") == ["Summarise this letter"]


def test_a_colon_within_quotes_begins_no_content_and_dots_that_go_on_stay():
    assert texts('Translate "danger: summarise nothing here" to German') == [
        'Translate "danger: summarise nothing here" to German'
    ]
    assert texts("Continue the story of the fox...") == ["Continue the story of the fox..."]
    assert texts("Continue the story of the fox.") == ["Continue the story of the fox"]
