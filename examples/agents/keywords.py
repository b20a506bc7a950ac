"""Keyword finder: the words and phrases that a text is about, by TextRank.

R. Mihalcea and P. Tarau, "TextRank: Bringing Order into Texts", EMNLP 2004: words that stand near each other vote for
each other; neighbours among the best are joined to phrases. Stop words stand in for the paper's part-of-speech filter.
"""

import re
from collections import Counter

import numpy as np
from centrality import STOP_WORDS, pagerank
from parts import Invocation, Lacks, Part, answering, content_text, text_output, words

WINDOW = 3
DEFAULT_COUNT = 8
LONGEST_PHRASE_WORDS = 3
MOST_WORDS = 50_000
_WANTED = re.compile(r"\b(\d{1,2})\b(?=[^.]{0,30}\b(?:key\w*|words?|terms?|topics?|phrases?|tags?)\b)", re.IGNORECASE)


@answering
def run(invocation: Invocation) -> list[Part]:
    """The keywords, most telling first, one on a line with its score."""
    wanted = _WANTED.search(words(invocation))
    ranked = keywords(content_text(invocation), int(wanted.group(1)) if wanted else DEFAULT_COUNT)
    if not ranked:
        raise Lacks("The text is too short to have keywords. Attach a longer text.")
    lines = [f"{phrase} ({score:.2f})" for phrase, score in ranked]
    return [
        text_output(
            "Keywords: " + ", ".join(phrase for phrase, _ in ranked) + "\n\n" + "\n".join(lines), "keywords.txt"
        )
    ]


def keywords(text: str, count: int) -> list[tuple[str, float]]:
    """The ``count`` best phrases with scores between 0 and 1, best first."""
    runs = _runs(text)
    ranks = _ranks(runs)
    if not ranks:
        return []
    phrases: Counter[tuple[str, ...]] = Counter()
    for run_ in runs:
        for size in range(1, LONGEST_PHRASE_WORDS + 1):
            phrases.update(tuple(run_[start : start + size]) for start in range(len(run_) - size + 1))
    scored = {
        phrase: _score(phrase, times, ranks) for phrase, times in phrases.items() if len(phrase) == 1 or times > 1
    }
    chosen: list[tuple[str, ...]] = []
    for phrase in sorted(scored, key=lambda p: (-scored[p], p)):
        if len(chosen) < count and not any(set(_stemmed(phrase)) <= set(_stemmed(other)) for other in chosen):
            chosen.append(phrase)
    best = scored[chosen[0]]
    return [(" ".join(phrase), scored[phrase] / best) for phrase in chosen]


def _runs(text: str) -> list[list[str]]:
    """Unbroken runs of content words: stop words, numbers and punctuation break them."""
    runs: list[list[str]] = [[]]
    for token in re.findall(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*|[^\w\s]|\d+", text.lower())[:MOST_WORDS]:
        if len(token) > 2 and token[0].isalpha() and token not in STOP_WORDS:
            runs[-1].append(token.removesuffix("'s").removesuffix("’s"))
        elif runs[-1]:
            runs.append([])
    return [run_ for run_ in runs if run_]


def _ranks(runs: list[list[str]]) -> dict[str, float]:
    """Each word's rank in the graph of words that stand within WINDOW of each other."""
    flat = [word for run_ in runs for word in run_]
    places = {word: place for place, word in enumerate(dict.fromkeys(flat))}
    if len(places) < 2:
        return {}
    at = np.array([places[word] for word in flat])
    pairs = [(at[:-near], at[near:]) for near in range(1, WINDOW)]
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    apart = one != other
    source, target = np.concatenate([one[apart], other[apart]]), np.concatenate([other[apart], one[apart]])
    ranks = pagerank(source, target, np.ones(len(source)), len(places))
    return dict(zip(places, ranks.tolist(), strict=True))


def _score(phrase: tuple[str, ...], times: int, ranks: dict[str, float]) -> float:
    """Mean rank of the words, raised by repetition and by being a phrase: 'drip irrigation' says more than 'drip'."""
    mean = sum(ranks.get(word, 0.0) for word in phrase) / len(phrase)
    return mean * times**0.5 * (1.5 if len(phrase) > 1 else 1.0)


def _stemmed(phrase: tuple[str, ...]) -> list[str]:
    return [word[:-1] if word.endswith("s") else word for word in phrase]
