"""How a text is cut into words, wherever words are compared. Called by the skill index and by matching.

Names are cut at their humps (``getDrugDosage`` is three words), and endings are taken off lightly so that "translating"
meets "translate". Scripts without spaces are cut at punctuation only: there the vectors have to carry the meaning.
"""

import re

STEM_LETTERS_MIN = 3
WORDS_PER_TEXT_MAX = 2_000
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORDS = re.compile(r"[^\W_]+")
_ENDINGS = ("ing", "ies", "es", "ed", "ly", "s")


def stems(text: str) -> list[str]:
    """The words of a text, lower case, without their endings."""
    return [_stem(word) for word in _WORDS.findall(_HUMPS.sub(" ", text).lower())[:WORDS_PER_TEXT_MAX]]


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= STEM_LETTERS_MIN:
            return word[: -len(ending)]
    return word
