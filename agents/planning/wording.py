"""What a goal's words say: the answer they want, the attachment they name, and whether they mean what was just made.

Patterns and the questions asked of them. Called by ``complexity``.
"""

import re
from dataclasses import dataclass

from schemas.parts import Modality

CARRIES_TEXT_MARGIN = 0.02
"""Documents and scans are there for the text on them: said of text, a goal need only match a little better."""

OWN_LOOKS_MARGIN = 0.10
"""Pictures and sounds have much to say beside text: below it "what is in this picture" would be answered by reading."""


def wanted(text: str) -> Modality | None:
    """The kind of answer these words ask for, or None when they do not say."""
    for modality, pattern in _WANTS:
        if pattern.search(text):
            return modality
    return None


def spoken_about(text: str) -> frozenset[Modality]:
    """The kinds of attachment these words name."""
    return frozenset(modality for modality, pattern in _NOUNS.items() if pattern.search(text))


def without_product(text: str) -> str:
    """The words without what they ask to make: in "plot it as a chart" no attached chart is meant."""
    for modality, pattern in _WANTS:
        if modality is not Modality.TEXT:
            text = pattern.sub(" ", text)
    return text


@dataclass(frozen=True, slots=True)
class Rewording:
    """A goal said of plain text, and by how much better it must match to be preferred (in units of score)."""

    text: str
    margin: float


def about_its_text(text: str, about: frozenset[Modality]) -> Rewording | None:
    """The same goal said of plain text ("summarise the text" for "summarise the scanned invoice"), or None.

    The noun of an attachment says what to read, not what to do with it, and yet it draws every goal to the agent that
    opens such attachments: said of text, the goal is compared by what is to be done.
    """
    said, margin = text, CARRIES_TEXT_MARGIN
    for modality, carries_text, phrase in _PHRASES:
        reworded = phrase.sub(" text", said) if modality in about else said
        if reworded != said and not carries_text:
            margin = OWN_LOOKS_MARGIN
        said = reworded
    return Rewording(said.strip(), margin) if said != text else None


def gathers(text: str) -> bool:
    """Whether the words mean everything done so far: "combine both in a report"."""
    return _GATHERS.search(text) is not None


def has_pronoun(text: str) -> bool:
    """Whether a bare "it", "them" or "this" stands for something said before."""
    return _PRONOUN.search(text) is not None


def owns(text: str, before: str) -> bool:
    """Whether "its" of these words means what was read before them: "read the picture and judge its sentiment"."""
    return _POSSESSIVE.search(text) is not None and _READS.match(before) is not None


def names_result(text: str, content: frozenset[Modality]) -> bool:
    """Whether the words name an outcome ("the result", "the summary"), or text where the task itself has none."""
    if _RESULT.search(text):
        return True
    # "The text" is the task's own where the task is text, and what was read from it where it is a picture.
    return not content & {Modality.TEXT, Modality.TABLE} and _CONTENT_OR_RESULT.search(text) is not None


def names_what_was_made(text: str, before: str) -> bool:
    """Whether "the total" of these words is what "find the total" before them made."""
    made = {word for phrase in _MADE.findall(before) for word in phrase.lower().split() if not _COMMON.fullmatch(word)}
    return any(made.intersection(phrase.lower().split()) for phrase in _NAMED.findall(text))


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)


def _attached(nouns: str) -> re.Pattern[str]:
    return re.compile(rf"\s(?:attached\s)?(?:{nouns})\b", re.IGNORECASE)


_NOUNS = {
    Modality.IMAGE: _words(
        r"pictures?|images?|photos?|photographs?|scans?|scanned|screenshots?|charts?|plots?|graphs?|diagrams?"
    ),
    Modality.AUDIO: _words(r"recordings?|audio|sounds?|voice|speech|song|clip"),
    Modality.DOCUMENT: _words(r"pdfs?|documents?|reports?|docx|contract|paper|letter"),
    Modality.TABLE: _words(r"tables?|csv|spreadsheets?|rows|columns?|dataset"),
    Modality.DATA: _words(r"json"),
}

_SCANS = r"scanned(?:\s\w+)?|scans?|screenshots?"
_PHRASES = (
    (Modality.DOCUMENT, True, _attached(r"(?:pdf\s)?(?:pdfs?|documents?|reports?|docx|contract|paper|letter)")),
    (Modality.IMAGE, True, _attached(_SCANS)),
    (Modality.IMAGE, False, _attached(r"pictures?|images?|photos?|photographs?")),
    (Modality.AUDIO, False, _attached(r"(?:audio|voice|sound)?\s?(?:recording|clip|file|song)s?")),
)
"""What an attachment is called, and whether whatever is called so is there for the text on it."""

_MAKE = (
    r"(?:make|create|draw|build|produce|render|generate|prepare|write|compile|give me|turn .{0,40}into"
    r"|put .{0,40}in(?:to)?)"
)
_AS = r"(?:as|into|to|in the form of)"
_SOME = r"(?:an?|the|one|some)?\s*(?:\w+\s){0,3}?"


def _product(nouns: str) -> str:
    return rf"(?:{_MAKE}|{_AS})\s+{_SOME}(?:{nouns})"


_WANTS: tuple[tuple[Modality, re.Pattern[str]], ...] = (
    (Modality.AUDIO, _words(rf"read\s+.{{0,40}}aloud|speak|{_AS}\s+(?:speech|audio)")),
    (Modality.DOCUMENT, _words(_product("reports?|documents?|pdfs?|docx|memos?|briefs?|dossiers?"))),
    (Modality.IMAGE, _words(_product("charts?|graphs?|plots?|diagrams?|histograms?|pictures?|images?|figures?"))),
    (Modality.IMAGE, re.compile(r"^(?:please\s+)?(?:plot|chart|graph|draw|visuali[sz]e)\b", re.IGNORECASE)),
    (Modality.TABLE, _words(_product("tables?|csv|spreadsheets?") + "|tabulate")),
    (Modality.DATA, _words(rf"{_AS}\s+json")),
    (Modality.TEXT, _words(r"summari[sz]e|transcribe|translate|explain|ocr|read (?:the|all|any) (?:text|words)")),
)

_THE = r"(?:the|this|that|these|those)\s+(?:\w+\s)?"
_RESULT = _words(
    rf"{_THE}(?:results?|outputs?|answers?|summary|findings|translation|transcript|transcription|extracted \w+)"
)
_CONTENT_OR_RESULT = _words(rf"{_THE}(?:text|words|numbers|figures|values)")
_PRONOUN = re.compile(
    r"\b(?:it|them|they)\b|\b(?:this|that|these|those)(?=\s*(?:[,.;:?!]|$|(?:and|into|to|in|as)\b))", re.IGNORECASE
)
_POSSESSIVE = _words(r"its|their")
_READS = re.compile(
    r"^\W*(?:please\s+)?(?:read|ocr|transcribe|open|load|extract (?:the|all|any) (?:text|words))\b", re.IGNORECASE
)
_GATHERS = _words(r"both|all of (?:it|them|this)|everything|(?:the|these|all|all the) results|together|combine|collect")
_MADE = re.compile(
    r"\b(?:calculate|compute|count|create|determine|draw|extract|find|generate|get|identify|list|make|write)\s+"
    r"((?:\w+\s*){1,4})",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\b(?:the|these|those|that)\s+((?:\w+\s*){1,2})", re.IGNORECASE)
_COMMON = re.compile(
    r"an?|all|and|any|each|every|for|from|in|its?|me|of|on|or|that|the|them|this|to|with"
    r"|attach(?:ed|ment)|audio|clip|csv|dat[ae]|dataset|document|file|image|page|pdf|photo|picture|recording|scan|song"
    r"|sound|table|texts?|words?"
)
