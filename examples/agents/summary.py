"""Summariser: the most central sentences of a text, in their own order. No sentence is invented.

LexRank: G. Erkan and D. Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization", JAIR 22
(2004). Sentences too like an earlier choice are skipped (Carbonell and Goldstein, MMR, SIGIR 1998).
"""

import re

import numpy as np
from centrality import STOP_WORDS, pagerank, tfidf
from parts import Invocation, Lacks, Part, answering, content_text, contents, renamed, text_output, words
from prose import sentences
from prose import words as words_of

LEAST_SIMILARITY = 0.1
MOST_OVERLAP = 0.6
FEWEST_WORDS = 5
MOST_SENTENCES = 1000
NUMBERS = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "ten": 10}
_WANTED = re.compile(
    rf"\b(\d+|{'|'.join(NUMBERS)})(?:\s+\w+)?\s+(?:sentences?|lines?|bullets?|points?)\b", re.IGNORECASE
)


@answering
def run(invocation: Invocation) -> list[Part]:
    """The summary: as many sentences as were asked for, else three to six by the length of the text."""
    said = words(invocation)
    candidates = _candidates(content_text(invocation))
    if not candidates:
        raise Lacks("The text holds no whole sentence to summarise. Attach a text or write it after a colon.")
    wanted = _wanted(said, len(candidates))
    chosen = [candidates[index] for index in sorted(central(candidates, wanted))]
    bullets = re.search(r"\b(bullets?|points?)\b", said, re.IGNORECASE)
    text = "\n".join(f"- {sentence}" for sentence in chosen) if bullets else " ".join(chosen)
    source = next(iter(contents(invocation, "text")), {})
    return [text_output(text, renamed(source, "-summary.txt", "text"))]


def central(candidates: list[str], wanted: int) -> list[int]:
    """Indices of the ``wanted`` most central sentences, most central first."""
    if len(candidates) <= wanted:
        return list(range(len(candidates)))
    weights = tfidf([[word for word in words_of(sentence) if word not in STOP_WORDS] for sentence in candidates])
    similarity = weights @ weights.T
    source, target = np.nonzero((similarity >= LEAST_SIMILARITY) & ~np.eye(len(candidates), dtype=bool))
    ranks = pagerank(source, target, similarity[source, target], len(candidates))
    chosen: list[int] = []
    for index in np.argsort(-ranks, kind="stable").tolist():
        if len(chosen) < wanted and all(similarity[index, other] < MOST_OVERLAP for other in chosen):
            chosen.append(index)
    return chosen


def _candidates(text: str) -> list[str]:
    """Whole sentences; headings and table rows, which end in no full stop, only when there is nothing else."""
    long_enough = [s for s in sentences(text) if len(s.split()) >= FEWEST_WORDS][:MOST_SENTENCES]
    return [s for s in long_enough if s.rstrip("\"”»')")[-1:] in ".!?…"] or long_enough


def _wanted(said: str, available: int) -> int:
    asked = _WANTED.search(said)
    if asked:
        number = asked.group(1).lower()
        return max(1, min(NUMBERS.get(number) or int(number), available))
    return max(1, min(6, max(3, round(available * 0.15)), available))
