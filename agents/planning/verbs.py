"""The words by which a request is recognised: verbs that order, and words that ask. Data for ``splitting``."""

import re

# Verbs that are hardly ever nouns: "and extract …" is always an order.
_CLEAR = (
    "add|analy[sz]e|answer|apply|assess|build|calculate|categori[sz]e|check|classify|clean|collect|combine|compare|compile|compose"
    "|compute|convert|correct|create|decide|deliver|describe|detect|determine|draft|draw|evaluate|examine|explain|export"
    "|extract|fetch|fill|find|fix|format|generate|get|give|highlight|identify|illustrate|infer|inspect|interpret|judge"
    "|label|listen|load|locate|make|measure|merge|normali[sz]e|ocr|open|parse|perform|pick|predict|prepare|present|produce"
    "|proofread|provide|put|read|recite|recogni[sz]e|redact|remove|render|rewrite|save|say|search|select|send|show"
    "|simplify|solve|sort|speak|split|spot|store|suggest|summari[sz]e|tabulate|tell|tokeni[sz]e|transcribe|transform"
    "|translate|turn|use|validate|verify|visuali[sz]e|write"
)

# Verbs that are nouns just as often ("tables and charts"): orders only before a word that starts an object.
_UNCLEAR = "chart|count|estimate|graph|group|list|name|plot|rank|rate|report|score|sum|table|total|trim|work"

_OBJECT = (
    "(?:an?|the|it|its|them|their|this|that|these|those|all|each|every|any|how|what|which|who|whether|by|me|my|one"
    r"|\d+)"
)
_POLITE = (
    r"(?:(?:please|kindly|also|finally,?|lastly,?|first(?:ly)?,?|next,?|now|just|let us|let's|help me(?: to)?"
    r"|(?:can|could|would|will) you|i (?:want|need)(?: you)? to|you (?:should|must))\s+){0,3}"
)

ORDER = rf"{_POLITE}(?:(?:{_CLEAR})(?![\w-])(?!\s+(?:of|is|was|are)\b)|(?:{_UNCLEAR})\s+{_OBJECT}\b)"
"""An order as it begins a clause, such as "please translate" or "rank the"."""

QUESTION = (
    r"(?:(?:what|how|who|whom|whose|when|where|why|which)\b|(?:what|who|where|how)'s\b"
    r"|(?:is|are|was|were|does|do|did|can|could|should|will|has|have)\s+(?!you\b)\w+)"
)
"""A question as it begins a clause."""

_NUMBER = r"(?:\d{1,2}[.)]\s+)?"
_STARTS_ORDER = re.compile(rf"^\W*{_NUMBER}(?:{ORDER}|(?:{_UNCLEAR})\s)", re.IGNORECASE)
_STARTS_QUESTION = re.compile(rf"^\W*{_NUMBER}{_POLITE}{QUESTION}", re.IGNORECASE)
_ELABORATES = re.compile(r"^\W*(?:then\s+)?(?:tell|show|give|let)\s+(?:me|us)\b|^\W*say\b", re.IGNORECASE)
_BARE = re.compile(r"^\W*[\w'-]+\W*$")


def starts_as_request(text: str) -> bool:
    """Whether the words begin with an order or a question."""
    return is_order(text) or is_question(text)


def is_order(text: str) -> bool:
    """Whether the words begin with a verb that orders something."""
    return _STARTS_ORDER.match(text) is not None


def is_question(text: str) -> bool:
    """Whether the words begin by asking."""
    return _STARTS_QUESTION.match(text) is not None


def elaborates(text: str) -> bool:
    """Whether the words only say what to answer ("tell me which …") and so belong to the order before them."""
    return _ELABORATES.match(text) is not None


def is_bare_verb(text: str) -> bool:
    """Whether there is only one word, such as the "read" of "read and translate this"."""
    return _BARE.match(text) is not None and is_order(f"{text.strip()} the")
