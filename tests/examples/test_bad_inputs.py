"""What people send by mistake is refused in words that they can act on, and never retried in vain."""

import pytest
from conftest import Ask, text_part


@pytest.mark.parametrize(
    ("agent", "file", "code", "words"),
    [
        ("document_text", "bad/encrypted.pdf", "input_required", "Remove the password"),
        ("document_text", "bad/damaged.pdf", "unreadable", "damaged"),
        ("document_text", "bad/damaged.docx", "unreadable", "Word (.docx)"),
        ("document_text", "bad/scan_without_text.pdf", "no_text", "probably a scan"),
        ("ocr", "bad/truncated.png", "unreadable", "truncated"),
        ("ocr", "bad/blank_page.png", "no_text", "No readable words"),
        ("image_facts", "bad/truncated.png", "unreadable", "PNG or JPEG"),
        ("audio_facts", "bad/empty.wav", "input_required", "no bytes at all"),
        ("audio_facts", "bad/no_samples.wav", "input_required", "no sound in it"),
        ("audio_facts", "bad/not_audio.wav", "unreadable", "WAV, FLAC, OGG or MP3"),
        ("table_analysis", "bad/header_only.csv", "input_required", "no rows"),
        ("table_analysis", "bad/binary.csv", "not_a_table", "Save it as CSV"),
        ("chart", "bad/header_only.csv", "input_required", "no rows"),
        ("summary", "bad/blank.txt", "input_required", "empty"),
        ("sentiment", "bad/blank.txt", "input_required", "empty"),
        ("keywords", "bad/blank.txt", "input_required", "empty"),
        ("language_id", "bad/blank.txt", "input_required", "empty"),
        ("report", "bad/blank.txt", "input_required", "attach"),
    ],
)
def test_bad_files_are_refused(ask: Ask, agent: str, file: str, code: str, words: str):
    error = ask(agent, "Do your work", file).error
    assert error is not None
    assert error["code"] == code
    assert words in error["message"]
    assert error["retryable"] is False


@pytest.mark.parametrize(
    ("agent", "kind"),
    [("document_text", "document"), ("ocr", "image"), ("image_facts", "image"), ("audio_facts", "audio"),
     ("table_analysis", "table"), ("chart", "table")],
)  # fmt: skip
def test_a_missing_attachment_is_asked_for(ask: Ask, agent: str, kind: str):
    error = ask(agent, "Do your work").error
    assert error is not None
    assert error["code"] == "input_required"
    assert kind in error["message"]


def test_a_table_without_numbers_cannot_be_drawn(ask: Ask):
    table = {"modality": "table", "name": "names.csv", "text": "first,last\nAna,Ferreira\nTom,Okafor\n"}
    assert ask("chart", "Draw a chart", table).error["code"] == "input_required"


def test_a_text_without_rows_makes_no_table(ask: Ask):
    assert ask("table_from_text", "Make a table", text_part("Hello world.")).error["code"] == "input_required"


@pytest.mark.parametrize("agent", ["summary", "sentiment", "keywords", "language_id", "table_from_text", "calculator"])
@pytest.mark.parametrize(
    "text", ["1 " * 500_000, "a.a" * 333_000, "« ' \" " * 140_000], ids=["numbers", "dots", "quotes"]
)
@pytest.mark.timeout(60)
def test_a_strange_text_of_a_megabyte_is_answered_or_refused(ask: Ask, agent: str, text: str):
    reply = ask(agent, "Do your work", text_part(text))
    assert reply.outputs or reply.error
