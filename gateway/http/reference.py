"""The page at /docs: every route with its parameters, bodies and examples, made of the description at /openapi.json.

It is complete in itself: it shows in networks that are closed to the outside, and no page of the door runs foreign
scripts.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

Described = Mapping[str, Any]

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c2733}
h2{margin:2.4rem 0 .3rem;font-size:1.05rem}h2 code{font-size:1rem}.verb{color:#0b6b50;font-weight:700}
h3{margin:2rem 0 .3rem;font-size:1rem}pre,table{background:#f4f6f8;border-radius:4px}
pre{padding:.7rem;overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.25rem .6rem;border-bottom:1px solid #e2e7ec}nav a{display:block}
"""


def reference(described: Described) -> str:
    """The description as one HTML page, without scripts."""
    routes = [
        (verb, path, operation)
        for path, operations in described["paths"].items()
        for verb, operation in operations.items()
    ]
    title = escape(described["info"]["title"])
    return "".join(
        (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}: reference</title>',
            f"<style>{_STYLE}</style><h1>{title} {escape(described['info']['version'])}</h1>",
            f"<p>{escape(described['info']['description'])} For programs: ",
            '<a href="openapi.json">openapi.json</a>.</p><nav>',
            *(f'<a href="#{_anchor(verb, path)}">{_route(verb, path)}</a>' for verb, path, _ in routes),
            "</nav>",
            *(part for route in routes for part in _section(*route)),
            "<h1>Schemas</h1>",
            *(part for item in described["components"]["schemas"].items() for part in _schema(*item)),
            "</html>",
        )
    )


def _anchor(verb: str, path: str) -> str:
    return escape(f"{verb}{path}")


def _route(verb: str, path: str) -> str:
    return f'<span class="verb">{verb.upper()}</span> <code>{escape(path)}</code>'


def _section(verb: str, path: str, operation: Described) -> Iterator[str]:
    yield f'<h2 id="{_anchor(verb, path)}">{_route(verb, path)} {escape(operation.get("summary", ""))}</h2>'
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    given = operation.get("parameters", ())
    rows = ((each["name"], each["in"], _kind(each["schema"]), each.get("description", "")) for each in given)
    yield _table(("parameter", "in", "type", "meaning"), rows) if given else ""
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body <code>{escape(media_type)}</code>: {_linked(body.get('schema', {}))}</p>"
        for example in body.get("examples", {}).values():
            told = json.dumps(example["value"], indent=2, ensure_ascii=False)
            yield f"<p>{escape(example.get('summary', ''))}</p><pre>{escape(told)}</pre>"
    answers = (f"{status} {_answer(answer)}" for status, answer in operation["responses"].items())
    yield f"<p>Answers: {' · '.join(answers)}</p>"


def _answer(answer: Described) -> str:
    """The answer's models, else its words."""
    models = [_linked(body.get("schema", {})) for body in answer.get("content", {}).values()]
    return ", ".join(filter(None, models)) or escape(answer.get("description", ""))


def _schema(name: str, schema: Described) -> Iterator[str]:
    yield f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{escape(schema.get("description", ""))}</p>'
    fields = schema.get("properties", {})
    required = schema.get("required", ())
    rows = (
        (field + (" *" if field in required else ""), _kind(of), of.get("description", ""))
        for field, of in fields.items()
    )
    yield _table(("field (* required)", "type", "meaning"), rows) if fields else f"<p>{escape(_kind(schema))}</p>"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _linked(schema: Described) -> str:
    if "$ref" in schema:
        name = escape(_kind(schema))
        return f'<a href="#{name}">{name}</a>'
    return escape(", ".join(schema.get("properties", ())) or _kind(schema))


def _kind(schema: Described) -> str:
    """The type in one line: a schema's name, its words, or those of its choices."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return " | ".join(_kind(each) for each in schema[choice])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", ""))
