"""Questions about tables are answered with the right numbers, checked here against the file itself."""

import base64
import csv
import io
from collections import defaultdict

import pytest
from conftest import INPUTS, Ask, text_part
from PIL import Image

SALES = list(csv.DictReader((INPUTS / "sales.csv").open()))


def total(rows: list[dict]) -> float:
    return round(sum(float(row["revenue"]) for row in rows), 2)


def revenue_by(column: str) -> dict[str, float]:
    groups: dict[str, list[dict]] = defaultdict(list)
    for row in SALES:
        groups[row[column]].append(row)
    return {key: total(rows) for key, rows in groups.items()}


def rows_of(part: dict) -> list[list[str]]:
    return list(csv.reader(io.StringIO(part["text"])))


def test_totals_by_group_are_those_of_the_file(ask: Ask):
    reply = ask("table_analysis", "What is the total revenue by region?", "sales.csv")
    _, *rows = rows_of(reply.part("table"))
    assert {region: float(value) for region, value in rows} == revenue_by("region")


def test_top_n_is_ordered_and_limited(ask: Ask):
    reply = ask("table_analysis", "Show the top 3 products by revenue", "sales.csv")
    expected = sorted(revenue_by("product").items(), key=lambda pair: -pair[1])[:3]
    assert [(name, float(value)) for name, value in rows_of(reply.part("table"))[1:]] == expected


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many orders have a quantity over 10?", f"{sum(int(r['quantity']) > 10 for r in SALES)}"),
        ("How many rows are there?", "200"),
        ("How many units of Helmet were sold?",
         f"{sum(int(r['quantity']) for r in SALES if r['product'] == 'Helmet')}"),
        ("Which month had the highest revenue?", "2025-05"),
        ("What was the largest order?", "S1127"),
        ("Total revenue of the North region in March 2025",
         f"{total([r for r in SALES if r['region'] == 'North' and r['date'].startswith('2025-03')]):,.2f}"),
        ("What is the average unit price per product?", "2,150.00"),
        ("Which region is the worst?", "East"),
        ("SELECT count(DISTINCT product) AS kinds FROM data", "6"),
        ("Analyse this table", "200 rows and 7 columns"),
    ],
)  # fmt: skip
def test_questions_in_plain_words_are_answered(ask: Ask, question: str, answer: str):
    assert answer in ask("table_analysis", question, "sales.csv").text


def test_a_query_can_reach_no_file(ask: Ask):
    reply = ask("table_analysis", "SELECT * FROM data, read_csv('/etc/passwd')", "sales.csv")
    assert reply.error is not None
    assert "disabled" in reply.error["message"]


def test_a_table_without_header_words_like_sql_is_safe(ask: Ask):
    table = {"modality": "table", "name": "odd.csv", "text": 'na"me,amo"unt\na; DROP TABLE data,1\nb,2\n'}
    assert "3" in ask("table_analysis", 'total amo"unt', table).text


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("Coffee 3.20\nTea 2.50\nCake slice 4,80 €",
         [["item", "amount"], ["Coffee", "3.20"], ["Tea", "2.50"], ["Cake slice", "4.80"]]),
        ("Rent: 1,200.00\nFood: 340", [["item", "amount"], ["Rent", "1200.00"], ["Food", "340"]]),
        ("name|age\n---|---\nAna|31\nBo|42", [["name", "age"], ["Ana", "31"], ["Bo", "42"]]),
        ("Apples cost 3.20, pears cost 4.10 and plums 2.75.",
         [["item", "amount"], ["Apples", "3.20"], ["pears", "4.10"], ["plums", "2.75"]]),
    ],
)  # fmt: skip
def test_text_becomes_a_table(ask: Ask, text: str, rows: list):
    assert rows_of(ask("table_from_text", "Make a table", text_part(text)).part("table")) == rows


def test_the_instruction_is_not_taken_for_content(ask: Ask):
    reply = ask("table_from_text", "Make a table with 2 columns: item 1 and amount 2", text_part("Tea 2.50\nCake 3.00"))
    assert rows_of(reply.part("table")) == [["item", "amount"], ["Tea", "2.50"], ["Cake", "3.00"]]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Draw a pie chart", "pie"),
        ("Draw a chart", "bar"),
        ("Plot it as a line", "line"),
        ("scatter of a and b", "scatter"),
    ],
)
def test_the_kind_of_chart_is_as_asked(ask: Ask, words: str, kind: str):
    table = {"modality": "table", "name": "t.csv", "text": "city,a,b\nRome,1,2\nOslo,3,2\nLima,4,5\n"}
    reply = ask("chart", words, table)
    picture = Image.open(io.BytesIO(base64.b64decode(reply.outputs[0]["data"])))
    assert picture.text["Title"].startswith(kind)
    assert len(picture.convert("RGB").getcolors(1_000_000)) > 20


def test_months_are_drawn_as_a_line(ask: Ask):
    months = ask("table_analysis", "Monthly totals", "sales.csv").part("table")
    assert ask("chart", "Draw it", months).outputs[0]["name"].endswith("-line.png")
