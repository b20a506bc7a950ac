"""Prose as the text agents see it: sentences and words."""

import re

_ABBREVIATIONS = re.compile(r"\b(Mr|Mrs|Ms|Dr|Prof|St|No|vs|etc|e\.g|i\.e|approx|Inc|Ltd|Fig|cf)\.$", re.IGNORECASE)
_BOUNDARY = re.compile(r"(?<=[.!?…])[\"”’')\]]*\s+(?=[\"“‘'(\[]*[A-ZÀ-ÞА-Я0-9])")


def sentences(text: str) -> list[str]:
    """The sentences of the text in order. A line that ends without a full stop, such as a heading, stands alone."""
    found = []
    for paragraph in re.split(r"\n\s*\n|\n(?=[-*•]\s)", text):
        for line in _joined_lines(paragraph):
            found += _split(line)
    return found


def words(text: str) -> list[str]:
    """Lower-case words of letters, inner apostrophes and hyphens kept."""
    return re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text.lower())


def _joined_lines(paragraph: str) -> list[str]:
    """Hard-wrapped lines joined again; a short line before a capital letter is a line of its own."""
    joined: list[str] = []
    lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
    widest = max((len(line) for line in lines), default=0)
    continues = False
    for line in lines:
        if continues:
            joined[-1] += " " + line
        else:
            joined.append(line)
        continues = len(line) > 0.75 * widest and line[-1] not in ".!?:" and len(lines) > 1
    return joined


def _split(line: str) -> list[str]:
    pieces: list[str] = []
    for piece in _BOUNDARY.split(line):
        if pieces and _ABBREVIATIONS.search(pieces[-1]):
            pieces[-1] += " " + piece
        else:
            pieces.append(piece.strip())
    return [piece for piece in pieces if piece]
