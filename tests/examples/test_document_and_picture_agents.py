"""Documents, scans and photos are really read and measured."""

import base64
import io

import pytest
from conftest import Ask
from PIL import Image


def test_the_text_of_a_pdf_comes_in_whole_paragraphs(ask: Ask):
    reply = ask("document_text", "Read this PDF", "harbour_bikes.pdf")
    assert "The insurance refused to pay for the damage, which was a bitter disappointment." in reply.text
    assert reply.text.index("the first year") < reply.text.index("What riders complain about")
    assert reply.outputs[0]["name"] == "harbour_bikes.txt"


def test_the_text_of_a_word_document_has_its_table(ask: Ask):
    text = ask("document_text", "Read it", "minutes.docx").text
    assert text.startswith("Minutes of the water committee")
    assert "Rainwater tanks\t18,500" in text


def test_html_is_read_without_its_scripts(ask: Ask):
    page = {
        "modality": "document",
        "name": "page.html",
        "text": "<html><script>no()</script><p>One</p><p>Two</p></html>",
    }
    assert ask("document_text", "Read it", page).text == "One\nTwo"


def test_pages_become_pictures_that_ocr_can_read(ask: Ask):
    pages = ask("document_text", "Show the pages", "bad/scan_without_text.pdf", skill="render_pages").outputs
    assert [page["media_type"] for page in pages] == ["image/png"]
    text = ask("ocr", "Read it", pages[0]).text.replace(" ", "")
    assert "Brakepads1286.40" in text


def test_a_rotated_noisy_scan_is_read_row_by_row(ask: Ask):
    lines = ask("ocr", "Read this invoice", "invoice_scan.png").text.splitlines()
    assert lines[0] == "Harbour Bikes"
    assert "Brake pads  12  86.40" in lines
    assert "Saddle cover  6  74.10" in lines


def test_picture_text_becomes_a_table_and_then_a_chart(ask: Ask):
    text = ask("ocr", "Read this invoice", "invoice_scan.png").outputs[0]
    table = ask("table_from_text", "Make a table of the items and amounts", text).outputs[0]
    assert table["text"].splitlines()[0] == "Item,Qty,Amount"
    assert '"Bell, brass",15,118.25' in table["text"].splitlines()
    chart = picture_of(ask("chart", "Draw a bar chart of the amounts", table).outputs[0])
    assert chart.text["Title"] == "bar chart of Amount by Item"


def test_a_photo_is_measured_and_its_camera_is_named(ask: Ask):
    text = ask("image_facts", "Describe the photo", "harbour.jpg").text
    assert "900 x 600 pixels" in text
    assert "Model Harbour 50" in text
    assert "ExposureTime 1/250 s" in text
    assert "dark blue" in text


@pytest.mark.parametrize(
    ("colour", "name"), [((200, 30, 30), "red"), ((250, 250, 250), "white"), ((20, 20, 20), "black")]
)
def test_colours_are_called_by_their_names(ask: Ask, colour: tuple, name: str):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, "PNG")
    part = {"modality": "image", "name": "plain.png", "data": base64.b64encode(buffer.getvalue()).decode()}
    assert f"Main colours: {name} 100%" in ask("image_facts", "Colours?", part).text


def picture_of(part: dict) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.b64decode(part["data"])))
    picture.load()
    return picture
