"""Finds the passage of a text that answers a question: the honest heart of passage_model.

Sentences are ranked by BM25 (Robertson et al., TREC-3, 1994) over stemmed words, with a bonus when a sentence holds the
kind of thing that is asked for: a date for 'when', a number for 'how many', a name for 'who'.
"""

import math
import re
from collections import Counter

from prose import sentences, words

NO_ANSWER = "The given text does not answer this question."
K1, B = 1.2, 0.75
KIND_BONUS = 0.35
LEAST_COVERED = 0.3
LONGEST_QUESTION = 400
MOST_SENTENCES = 5000
_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "i",
        "in",
        "is",
        "it",
        "its",
        "may",
        "me",
        "much",
        "many",
        "my",
        "of",
        "on",
        "or",
        "our",
        "please",
        "should",
        "tell",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "us",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
        "about",
        "according",
        "say",
        "says",
        "said",
        "text",
        "document",
        "report",
        "letter",
        "question",
        "answer",
        "attached",
        "following",
        "read",
        "give",
        "find",
        "based",
        "pdf",
        "page",
    ]
)
_REASON = r"\b(?:because|since|so that|in order|due to|which was|therefore)\b"
_KINDS = {
    r"\bwhen\b|\bwhat (?:date|day|time|year)\b": r"\b\d{1,2}[:.]\d{2}\b|\b(?:19|20)\d\d\b|\b(?:January|February|March"
    r"|April|May|June|July|August|September|October|November|December|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)\b",
    r"\bhow (?:many|much|long|far|old|often)\b|\bwhat (?:price|percent)": r"\d|\b(?:two|three|four|five|six|seven"
    r"|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand|half|twice)\b",
    r"\bwho(?:m|se)?\b": r"(?<!^)\b[A-Z][a-z]+",
    r"\bwhere\b": r"\b(?:at|in|on|near|under|above|to) (?:the )?[A-Za-z]+",
    r"\bwhy\b": _REASON,
}


def answer_from(pieces: list[str]) -> str:
    """The answer quoted from the pieces of a conversation: one of them holds the question, the others the text."""
    question, text = question_and_text(pieces)
    if not text.strip():
        return "There is no text to answer from: give one beside the question."
    best = best_passages(question, text)
    return " ".join(best) if best else NO_ANSWER


def question_and_text(pieces: list[str]) -> tuple[str, str]:
    """The last question of a short piece (or of the only piece), and everything that is not the question."""
    short = [piece for piece in pieces if len(piece) <= LONGEST_QUESTION] if len(pieces) > 1 else []
    asking = [piece for piece in short if "?" in piece] or short[:1]
    if asking:
        rest = [piece for piece in pieces if piece.strip() != asking[-1].strip()]
        return asking[-1], "\n\n".join(rest)
    return _split("\n\n".join(pieces).strip())


def _split(whole: str) -> tuple[str, str]:
    """One message that holds both: the question opens or closes it, as a paragraph or at least as a sentence."""
    first, _, after = whole.partition("\n\n")
    before, _, last = whole.rpartition("\n\n")
    if after and "?" in first and len(first) <= LONGEST_QUESTION:
        return first, after
    if before and "?" in last and len(last) <= LONGEST_QUESTION:
        return last, before
    asked = next((s for s in reversed(sentences(whole)) if s.rstrip().endswith("?")), None)
    if asked is not None:
        return asked, whole.replace(asked, "\n\n", 1)
    introduced = re.match(r"([^:\n]{3,300}):\s+(\S.*)$", whole, re.DOTALL)
    if introduced:
        return introduced.group(1), introduced.group(2)
    head, _, tail = whole.partition("\n")
    return head, tail


def best_passages(question: str, text: str) -> list[str]:
    """The best sentence, and a second one when it is nearly as good and adds a word of the question; in text order."""
    candidates = [s for s in sentences(text) if not s.rstrip().endswith("?")][:MOST_SENTENCES]
    terms = {stem(word) for word in words(question) + re.findall(r"\d+", question)} - _STOP - {""}
    bags = [Counter(stem(word) for word in words(s) + re.findall(r"\d+", s)) for s in candidates]
    if not terms or not bags:
        return []
    scores = _bm25(terms, bags)
    wanted = [pattern for asked, pattern in _KINDS.items() if re.search(asked, question, re.IGNORECASE)]
    scores = [
        score * (1 + KIND_BONUS * any(re.search(pattern, sentence) for pattern in wanted))
        for score, sentence in zip(scores, candidates, strict=True)
    ]
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    covered = terms & set(bags[order[0]])
    if not scores[order[0]] or len(covered) / len(terms) < LEAST_COVERED:
        return []
    chosen = [order[0]]
    if len(order) > 1 and scores[order[1]] > 0.75 * scores[order[0]] and terms & set(bags[order[1]]) - covered:
        chosen.append(order[1])
    if (
        re.search(r"\bwhy\b", question, re.IGNORECASE)
        and chosen[0] > 0
        and not re.search(_REASON, candidates[chosen[0]])
    ):
        chosen.append(chosen[0] - 1)  # what happened before is the likeliest reason
    return [candidates[index] for index in sorted(set(chosen))]


def stem(word: str) -> str:
    """A rough stem, so that 'opened' meets 'open' and 'batteries' meets 'battery'."""
    if word in _STOP:
        return word
    for ending, replacement in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""), ("e", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return (word[: -len(ending)] + replacement).removesuffix("e")
    return word


def _bm25(terms: set[str], bags: list[Counter[str]]) -> list[float]:
    lengths = [sum(bag.values()) for bag in bags]
    mean = max(sum(lengths) / len(lengths), 1.0)
    seen = {term: sum(term in bag for bag in bags) for term in terms}
    rarity = {term: math.log(1 + (len(bags) - n + 0.5) / (n + 0.5)) for term, n in seen.items()}
    return [
        sum(
            rarity[term] * bag[term] * (K1 + 1) / (bag[term] + K1 * (1 - B + B * length / mean))
            for term in terms
            if term in bag
        )
        for bag, length in zip(bags, lengths, strict=True)
    ]
