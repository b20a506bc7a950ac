"""Opinion judge: is a text positive, negative or mixed, and which sentences say so.

VADER: C. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text",
ICWSM 2014. English words only; scores run from -1 (worst) to +1 (best).
"""

import functools
from statistics import fmean

from parts import Invocation, Lacks, Part, answering, content_text, text_output
from prose import sentences
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

CLEAR = 0.05  # VADER's own threshold between neutral and not
MIXED_SHARE = 0.3
MOST_SENTENCES = 2000
SHOWN = 2


@functools.cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()


@answering
def run(invocation: Invocation) -> list[Part]:
    """The verdict with its score, the counts, and the strongest sentences on either side."""
    found = sentences(content_text(invocation))[:MOST_SENTENCES]
    if not found:
        raise Lacks("There is no sentence to judge. Attach a text or write it after a colon.")
    scored = sorted((_analyzer().polarity_scores(sentence)["compound"], sentence) for sentence in found)
    return [text_output(_said(scored), "sentiment.txt")]


def verdict(scores: list[float]) -> str:
    """Positive, negative, mixed or neutral. Mixed: both sides hold at least MIXED_SHARE of the clear sentences."""
    positive, negative = sum(score >= CLEAR for score in scores), sum(score <= -CLEAR for score in scores)
    if not positive + negative:
        return "neutral"
    if min(positive, negative) / (positive + negative) >= MIXED_SHARE:
        return "mixed"
    return "positive" if positive > negative else "negative"


def _said(scored: list[tuple[float, str]]) -> str:
    scores = [score for score, _ in scored]
    mean = fmean(scores)
    word = verdict(scores)
    if word == "mixed" and abs(mean) >= CLEAR:
        word = f"mixed, more {'positive' if mean > 0 else 'negative'} than {'negative' if mean > 0 else 'positive'}"
    positive, negative = sum(score >= CLEAR for score in scores), sum(score <= -CLEAR for score in scores)
    lines = [
        f"Sentiment: {word} (mean score {mean:+.2f} on a scale from -1 to +1)",
        f"{positive} positive, {negative} negative and {len(scores) - positive - negative} neutral sentences.",
    ]
    best = [f"  {score:+.2f}  {sentence}" for score, sentence in reversed(scored[-SHOWN:]) if score >= CLEAR]
    worst = [f"  {score:+.2f}  {sentence}" for score, sentence in scored[:SHOWN] if score <= -CLEAR]
    lines += ["Most positive:", *best] if best else []
    lines += ["Most negative:", *worst] if worst else []
    return "\n".join(lines)
