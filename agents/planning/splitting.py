"""Cuts a request into clauses, one for each thing it asks for. Called by ``complexity``.

Quoted text is never cut: its characters are masked while the cuts are looked for.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from agents.planning.verbs import ORDER, QUESTION, elaborates, is_bare_verb, is_order, is_question, starts_as_request


@dataclass(frozen=True, slots=True)
class Clause:
    """The words of one goal. ``follows``: "then" or an arrow put it after the clause before."""

    text: str
    follows: bool = False


_Rule = Callable[[str, str], bool]
_MASK = "\ue000"  # a private character: no letter, no space, no punctuation
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|`[^`\n]*`|(?<![\w])'[^'\n]+'(?!\w)")
_ITEM = re.compile(r"(?:^|\n|(?<=[\s;:.]))(?:\d{1,2}[.)]|[-*•])\s+(?=[A-Za-z])")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\ue000])|\n+")
_ARROW = re.compile(r"\s*(?:→|⇒|->|=>)\s*")
_THEN = re.compile(
    r"(?:\s*[,;]\s*|\s+)(?:and\s+)?(?:then|after that|afterwards|after which|next|finally)\b,?\s*"
    rf"(?={ORDER}|{QUESTION}|\w+)",
    re.IGNORECASE,
)
_LEADING_THEN = re.compile(
    r"^(?:and\s+)?(?:then|after that|afterwards|next|finally|lastly|from (?:it|that|there))\b,?\s*", re.IGNORECASE
)
_SEMICOLON = re.compile(r"\s*;\s*")
_BEFORE_ORDER = re.compile(rf"(?:\s*,\s*(?:and\s+)?|\s+and\s+)(?={ORDER})", re.IGNORECASE)
_BEFORE_QUESTION = re.compile(rf"(?:\s*,\s*(?:and\s+)?|\s+and\s+)(?={QUESTION})", re.IGNORECASE)


def split(request: str) -> tuple[Clause, ...]:
    """The clauses of a request, in order; at least one."""
    masked = _QUOTED.sub(lambda quoted: _MASK * len(quoted.group()), request)
    pieces = _Pieces(request, masked)
    pieces.cut(_ITEM, lambda _before, after: starts_as_request(after))
    pieces.cut(_SENTENCE, lambda _before, _after: True)
    pieces.cut(_ARROW, lambda _before, _after: True, follows=True)
    pieces.cut(_THEN, lambda before, after: starts_as_request(before) and starts_as_request(after), follows=True)
    pieces.cut(_SEMICOLON, lambda before, after: starts_as_request(before) and starts_as_request(after))
    pieces.cut(
        _BEFORE_ORDER, lambda before, after: starts_as_request(before) and is_order(after) and not elaborates(after)
    )
    pieces.cut(_BEFORE_QUESTION, lambda before, after: is_question(before) and is_question(after))
    return _tidy(pieces.clauses()) or (Clause(request.strip()),)


class _Pieces:
    """Spans of the request, cut further by each rule. Text and mask have the same length, so spans fit both."""

    def __init__(self, text: str, masked: str) -> None:
        self._text, self._masked = text, masked
        self._spans: list[tuple[int, int, bool]] = [(0, len(text), False)]

    def cut(self, pattern: re.Pattern[str], allowed: _Rule, *, follows: bool = False) -> None:
        self._spans = [span for whole in self._spans for span in self._cut_one(whole, pattern, allowed, follows)]

    def _cut_one(
        self, whole: tuple[int, int, bool], pattern: re.Pattern[str], allowed: _Rule, follows: bool
    ) -> list[tuple[int, int, bool]]:
        start, end, first_follows = whole
        spans: list[tuple[int, int, bool]] = []
        for found in pattern.finditer(self._masked, start, end):
            before, after = self._masked[start : found.start()], self._masked[found.end() : end]
            if after.strip() and (allowed(before, after) or (not before.strip() and found.start() >= start)):
                spans.append((start, found.start(), first_follows))
                start, first_follows = found.end(), follows
        return [*spans, (start, end, first_follows)]

    def clauses(self) -> list[Clause]:
        return [Clause(self._text[start:end], follows) for start, end, follows in self._spans]


def _tidy(raw: list[Clause]) -> tuple[Clause, ...]:
    """Trim, drop the empty, and let context and bare verbs join their neighbours."""
    clauses: list[Clause] = []
    held = ""
    for clause in map(_trim, raw):
        if not clause.text:
            continue
        text = f"{held} {clause.text}".strip()
        if is_bare_verb(clause.text):
            held = f"{text} and"
        elif clauses and not starts_as_request(clause.text) and not clause.follows:
            clauses[-1] = Clause(f"{clauses[-1].text}. {clause.text}", clauses[-1].follows)
        elif not clauses and not held and not starts_as_request(clause.text) and len(raw) > 1:
            held = f"{clause.text}."
        else:
            clauses.append(Clause(text, clause.follows))
            held = ""
    left = held.removesuffix(" and")
    return tuple(clauses) if not left else (*clauses, Clause(left))


def _trim(clause: Clause) -> Clause:
    text = clause.text.strip().strip(",;").strip()
    text = text.removesuffix(".").rstrip() if not text.endswith("...") else text
    shorter = _LEADING_THEN.sub("", text)
    return Clause(shorter, clause.follows or shorter != text)
