"""Summaries, keywords, opinions, languages and reports of real texts."""

import base64

import pytest
from conftest import Ask, text_part


@pytest.fixture
def report_text(ask: Ask) -> dict:
    return ask("document_text", "Read it", "harbour_bikes.pdf").outputs[0]


def test_a_summary_quotes_as_many_sentences_as_asked(ask: Ask, report_text: dict):
    lines = ask("summary", "Give me four bullet points", report_text).text.splitlines()
    assert len(lines) == 4
    assert all(line.removeprefix("- ") in report_text["text"].replace("\n", " ") for line in lines)


def test_a_summary_is_in_the_order_of_the_text(ask: Ask, report_text: dict):
    lines = ask("summary", "Summarise in 5 points", report_text).text.splitlines()
    places = [report_text["text"].index(line.removeprefix("- ")) for line in lines]
    assert places == sorted(places)


def test_text_after_a_colon_is_summarised_without_the_instruction(ask: Ask):
    text = "The harbour was closed on Monday. The ferry could not leave the harbour. Passengers waited for the ferry."
    assert ask("summary", f"Summarise in one sentence: {text}").text in text


def test_keywords_are_the_terms_that_the_minutes_are_about(ask: Ask):
    minutes = ask("document_text", "Read it", "minutes.docx").outputs[0]
    first = ask("keywords", "Find 4 keywords", minutes).text.splitlines()[0]
    assert "drip irrigation" in first
    assert "rainwater tanks" in first
    assert first.count(",") == 3


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("I love it. It is wonderful and the staff are great.", "positive"),
        ("It broke at once. A terrible, useless thing. I hate it.", "negative"),
        ("The parcel has four corners.", "neutral"),
    ],
)
def test_sentiment_is_judged(ask: Ask, text: str, verdict: str):
    assert f"Sentiment: {verdict}" in ask("sentiment", "Judge this", text_part(text)).text


def test_mixed_reviews_are_called_mixed_with_their_strongest_sentences(ask: Ask):
    text = ask("sentiment", "Judge the reviews", "reviews.txt").text
    assert text.startswith("Sentiment: mixed")
    assert "I love this kettle." in text
    assert "I am very disappointed." in text


@pytest.mark.parametrize(
    ("goal", "inputs", "language"),
    [
        ("Which language?", ["letter_fr.txt"], "French (fr)"),
        ("What language is this: Guten Morgen, wie geht es Ihnen heute?", [], "German (de)"),
        ("convert 5 miles to km and identify the language of 'Bonjour'", [], "French (fr)"),
        ("Identify the language of «Dzień dobry, jak się masz?»", [], "Polish (pl)"),
    ],
)
def test_languages_are_told(ask: Ask, goal: str, inputs: list, language: str):
    assert language in ask("language_id", goal, *inputs).text


def test_a_report_binds_text_table_and_picture(ask: Ask):
    table = ask("table_analysis", "revenue by region", "sales.csv").part("table")
    chart = ask("chart", "draw a bar chart", table).outputs[0]
    script = text_part("Beware of <script>alert(1)</script>", "notes.txt")
    part = ask("report", "Write a report titled 'Sales <of> 2025'", table, chart, "reviews.txt", script).outputs[0]
    page = base64.b64decode(part["data"]).decode()
    assert (part["modality"], part["media_type"]) == ("document", "text/html")
    assert "<h1>Sales &lt;of&gt; 2025</h1>" in page
    assert "<td>South</td>" in page
    assert 'src="data:image/png;base64,' in page
    assert "I love this kettle." in page
    assert "<script>" not in page


def test_a_report_is_markdown_when_asked(ask: Ask):
    part = ask("report", "Write a Markdown report", "reviews.txt").outputs[0]
    assert part["media_type"] == "text/markdown"
    assert "## Reviews\n\nI love this kettle." in part["text"]
