"""Report writer: a LangGraph app that gathers texts, tables and pictures and writes one HTML or Markdown document.

The graph: gather -> outline -> write -> review, and back to write when the review finds something missing (each item
of the outline must be in the document), at most MOST_DRAFTS times, then publish.
"""

import base64
import functools
import html
import re
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from parts import (
    CannotDo,
    Invocation,
    Lacks,
    Part,
    answering,
    bytes_of,
    bytes_output,
    contents,
    label,
    modality_of,
    rows_of,
    task_words,
    text_of,
    text_output,
    words,
)

MOST_DRAFTS = 2
MOST_TABLE_ROWS = 100
STYLE = (
    "body{font:16px/1.6 Georgia,serif;max-width:46rem;margin:3rem auto;padding:0 1rem;color:#222}"
    "h1,h2{font-family:sans-serif;line-height:1.2}img{max-width:100%}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.3rem .7rem;text-align:left}footer{color:#777;font-size:.85rem}"
)


class Section(TypedDict):
    """One part of the report: its heading, its kind and the part it comes from."""

    heading: str
    kind: str
    part: Part


class Draft(TypedDict, total=False):
    """What flows through the graph."""

    invocation: Invocation
    markdown: bool
    material: list[Part]
    title: str
    outline: list[Section]
    document: str
    missing: list[str]
    drafts: int


@answering
def run(invocation: Invocation) -> list[Part]:
    """The document."""
    done = _graph().invoke({"invocation": invocation})
    if done["markdown"]:
        part = text_output(done["document"], "report.md", "text/markdown")
        return [{**part, "modality": "document"}]
    return [bytes_output(done["document"].encode(), "document", "text/html", "report.html")]


@functools.cache
def _graph() -> Any:  # noqa: ANN401 - LangGraph's compiled graph has four type parameters that say nothing here
    graph = StateGraph(Draft)
    for step in (gather, outline, write, review):
        graph.add_node(step.__name__, step)
    graph.add_edge(START, "gather")
    graph.add_edge("gather", "outline")
    graph.add_edge("outline", "write")
    graph.add_edge("write", "review")
    graph.add_conditional_edges("review", lambda state: "write" if state["missing"] else END, ["write", END])
    return graph.compile()


def gather(state: Draft) -> Draft:
    """Everything readable; without attachments and earlier answers, the words of the task themselves."""
    invocation = state["invocation"]
    material = contents(invocation, "text", "table", "image")
    material = [part for part in material if modality_of(part) != "text" or text_of(part).strip()]
    said = task_words(invocation)
    if not material and len(said) > 200:
        material = [{"modality": "text", "name": "Text", "text": said}]
    if not material:
        raise Lacks("There is nothing to report on: attach texts, tables or pictures.")
    markdown = re.search(r"\bmarkdown\b|\.md\b", f"{words(invocation)} {said}", re.IGNORECASE) is not None
    return {"material": material, "markdown": markdown, "drafts": 0}


def outline(state: Draft) -> Draft:
    """A title and one section for each part: texts first, then tables, then pictures, as people read reports."""
    order = ("text", "table", "image")
    parts = sorted(state["material"], key=lambda part: order.index(modality_of(part)))
    sections: list[Section] = [{"heading": _heading(part), "kind": modality_of(part), "part": part} for part in parts]
    asked = re.search(r"\b(?:titled?|called|named)\s+[\"“'‘]([^\"”'’]{3,80})", task_words(state["invocation"]))
    title = asked.group(1) if asked else f"Report: {sections[0]['heading']}"
    return {"title": title, "outline": sections}


def write(state: Draft) -> Draft:
    """The document in the format that was asked for."""
    written = _markdown(state) if state["markdown"] else _html(state)
    return {"document": written, "drafts": state["drafts"] + 1}


def review(state: Draft) -> Draft:
    """Headings of the outline that the document lacks; none after the last draft, so that the graph ends."""
    seen = state["document"] if state["markdown"] else html.unescape(state["document"])
    missing = [section["heading"] for section in state["outline"] if section["heading"] not in seen]
    if missing and state["drafts"] >= MOST_DRAFTS:
        raise CannotDo("incomplete", f"The report would lack: {', '.join(missing)}.")
    return {"missing": missing}


def _heading(part: Part) -> str:
    stem = label(part).rsplit(".", 1)[0]
    return re.sub(r"[-_\s]+", " ", stem).strip().capitalize() or "Part"


def _data_uri(part: Part) -> str:
    media_type = part.get("media_type") or "image/png"
    return f"data:{media_type};base64,{base64.b64encode(bytes_of(part)).decode()}"


def _html(state: Draft) -> str:
    title = html.escape(state["title"])
    sections = "\n".join(
        f"<section><h2>{html.escape(section['heading'])}</h2>\n{_html_body(section)}</section>"
        for section in state["outline"]
    )
    sources = ", ".join(html.escape(label(section["part"])) for section in state["outline"])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n"
        f"{sections}\n<footer>Compiled from {sources}.</footer>\n</body></html>\n"
    )


def _html_body(section: Section) -> str:
    part = section["part"]
    if section["kind"] == "image":
        return f'<img alt="{html.escape(label(part), quote=True)}" src="{html.escape(_data_uri(part), quote=True)}">\n'
    if section["kind"] == "table":
        header, rows = rows_of(part)
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
            for row in rows[:MOST_TABLE_ROWS]
        )
        return f"<table><tr>{head}</tr>\n{body}</table>\n{_more(rows)}"
    paragraphs = re.split(r"\n\s*\n", text_of(part).strip())
    return "".join(f"<p>{html.escape(text).replace(chr(10), '<br>')}</p>\n" for text in paragraphs)


def _markdown(state: Draft) -> str:
    sections = "\n".join(f"## {section['heading']}\n\n{_markdown_body(section)}" for section in state["outline"])
    return f"# {state['title']}\n\n{sections}"


def _markdown_body(section: Section) -> str:
    part = section["part"]
    if section["kind"] == "image":
        return f"![{label(part)}]({_data_uri(part)})\n"
    if section["kind"] == "table":
        header, rows = rows_of(part)
        lines = [header, ["---"] * len(header), *rows[:MOST_TABLE_ROWS]]
        table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return f"{table}\n\n{_more(rows)}"
    return text_of(part).strip() + "\n"


def _more(rows: list[list[str]]) -> str:
    hidden = len(rows) - MOST_TABLE_ROWS
    return f"… and {hidden} more rows.\n" if hidden > 0 else ""
