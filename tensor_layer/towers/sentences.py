"""What is said to the audio tower: requests as people make them to a gateway of agents. Called by ``audio_corpus``."""

from functools import cache
from itertools import product

import numpy as np

HELD_OUT_SHARE = 0.12
SPLIT_SEED = 20_261_122

_PATTERNS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    (
        "translate {} into {}",
        (
            ("this letter", "the contract", "my notes", "this web page", "the recording"),
            ("French", "German", "Spanish", "Japanese", "Arabic"),
        ),
    ),
    (
        "summarise {} {}",
        (
            ("the meeting", "this article", "the annual report", "this chapter", "the podcast"),
            ("in one sentence", "in five points", "for a child", "for my boss"),
        ),
    ),
    (
        "what is the weather in {} {}",
        (("London", "Paris", "Tokyo", "Cairo", "New York"), ("today", "tomorrow", "next week", "on Sunday")),
    ),
    (
        "draw a {} of {}",
        (
            ("bar chart", "line chart", "pie chart"),
            ("the sales by month", "rainfall by city", "our costs", "website visitors", "the test results"),
        ),
    ),
    (
        "book a {} to {} {}",
        (("flight", "train", "hotel room"), ("Madrid", "Boston", "Sydney"), ("for Friday", "in March")),
    ),
    (
        "set an alarm for {} o'clock {}",
        (("six", "seven", "nine", "eleven"), ("in the morning", "at night")),
    ),
    (
        "convert {} to {}",
        (("ten miles", "forty pounds", "six gallons"), ("kilometres", "kilograms", "litres", "feet")),
    ),
    (
        "find the {} in {}",
        (
            ("bug", "longest function", "unused variable", "security problem"),
            ("this Python script", "the web server", "our database code"),
        ),
    ),
    (
        "send an email to {} about {}",
        (("Anna", "my landlord", "the whole team"), ("the delay", "the invoice", "dinner", "the new contract")),
    ),
    (
        "turn {} the {} in the {}",
        (("on", "off"), ("lights", "heating", "radio"), ("kitchen", "bedroom", "garage")),
    ),
    (
        "how many {} are in {}",
        (("people", "cars", "red circles", "words"), ("this picture", "the first photo", "the scanned page")),
    ),
    (
        "read {} aloud {}",
        (("this page", "the receipt", "the street sign"), ("slowly", "in English", "please")),
    ),
    (
        "remind me to {} {}",
        (
            ("water the plants", "call the doctor", "pay the rent", "buy milk"),
            ("tonight", "tomorrow morning", "on Monday"),
        ),
    ),
    (
        "explain {} to me {}",
        (
            ("photosynthesis", "black holes", "inflation", "neural networks"),
            ("briefly", "with an example", "like a teacher"),
        ),
    ),
    (
        "play {} {}",
        (("some jazz", "a violin concerto", "the evening news"), ("quietly", "in the living room", "for an hour")),
    ),
    (
        "count the {} in this {}",
        (("rows", "missing values", "duplicates"), ("spreadsheet", "table", "data file")),
    ),
    (
        "compare {} with {}",
        (("this quote", "the old version", "our price", "my sketch"), ("last year's", "the market", "the photo")),
    ),
    (
        "is there a {} in {}",
        (("dog", "person", "traffic light", "signature", "logo"), ("this picture", "the video", "the scan")),
    ),
    (
        "{} all {} from {}",
        (("list", "delete", "export"), ("names", "dates", "addresses"), ("the contract", "last week", "the log")),
    ),
    (
        "write a {} about {}",
        (("poem", "short story", "press release", "song"), ("the sea", "autumn", "our new product", "a lost dog")),
    ),
)


@cache
def sentences() -> tuple[str, ...]:
    """All sentences, in a fixed order."""
    return tuple(pattern.format(*words) for pattern, slots in _PATTERNS for words in product(*slots))


@cache
def split() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(heard in training, never heard). The held-out ones are made of words that are heard in others."""
    everything = sentences()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(everything))
    held_out = frozenset(order[: round(HELD_OUT_SHARE * len(everything))].tolist())
    return (
        tuple(one for index, one in enumerate(everything) if index not in held_out),
        tuple(one for index, one in enumerate(everything) if index in held_out),
    )
