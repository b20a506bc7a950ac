"""Finds the request in a task's words and leaves the body out, so that quoted content is never taken for orders.

Called by ``complexity``. Bodies are: what follows "…the following:", a long text after a colon, and long paragraphs
beside one short paragraph that asks.
"""

import re

from agents.planning.verbs import starts_as_request

HEAD_CHARS = 2000
"""No request is longer: the rest of a text is content."""

BODY_CHARS = 200
"""From this length on, what stands after a colon or in another paragraph is content."""

_COLON = re.compile(r":(?=\s)")
_ITEM = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•])\s+", re.MULTILINE)
_PREFACE = re.compile(r"^\W*(?:please\s+)?(?:do|perform|follow|complete|carry out)\b", re.IGNORECASE)
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


def request_of(words: str) -> str:
    """The part of ``words`` that asks for something; never empty for words that are not blank."""
    head = words.strip()[:HEAD_CHARS]
    without_code = _FENCE.sub(" ", head).strip() or head
    return _without_colon_body(_asking_paragraph(without_code)).strip() or head


def _asking_paragraph(text: str) -> str:
    """The short paragraph that asks, when the others are long; the text itself when none is."""
    paragraphs = [paragraph.strip() for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]
    if len(paragraphs) < 2 or len(text) < BODY_CHARS:
        return text
    asking = [paragraph for paragraph in paragraphs if len(paragraph) < BODY_CHARS and starts_as_request(paragraph)]
    if not asking or not any(len(paragraph) >= BODY_CHARS for paragraph in paragraphs):
        return text
    return "\n".join(asking)


def _without_colon_body(text: str) -> str:
    found = _COLON.search(text)
    if found is None:
        return text
    before, after = text[: found.start()], text[found.end() :].strip()
    if _is_list_of_orders(after):
        return after
    if not after or _inside_quotes(before):
        return text
    if _PREFACE.match(before) or not starts_as_request(before):
        return after if starts_as_request(after) else text
    return before


def _is_list_of_orders(text: str) -> bool:
    items = [line for line in text.splitlines() if _ITEM.match(line)]
    orders = [line for line in items if starts_as_request(_ITEM.sub("", line))]
    return len(items) >= 2 and len(orders) * 2 > len(items)


def _inside_quotes(before: str) -> bool:
    return before.count('"') % 2 == 1 or before.count("“") > before.count("”")
