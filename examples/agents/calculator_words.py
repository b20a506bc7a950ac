"""From plain words to a formula or a unit conversion: pure string decisions, asked by calculator."""

import re
from dataclasses import dataclass

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: value for value, word in enumerate(_ONES)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_NUMBER_WORDS = re.compile(
    rf"\b(?:(?:{'|'.join([*_SMALL, *_LARGE])})(?:[\s-]+(?:and\s+)?(?={'|'.join([*_SMALL, *_LARGE])}\b))?)+\b",
    re.IGNORECASE,
)

_PHRASES = (
    (r"\bthe sum of ([\w.]+) and ([\w.]+)", r"(\1 + \2)"),
    (r"\bthe difference (?:between|of) ([\w.]+) and ([\w.]+)", r"(\1 - \2)"),
    (r"\bthe product of ([\w.]+) and ([\w.]+)", r"(\1 * \2)"),
    (r"(\d[\d.]*)\s*(?:%|percent|per cent) (?:off|discount on) (\d[\d.]*)", r"\2 * (1 - \1/100)"),
    (r"\bincrease (\d[\d.]*) by (\d[\d.]*)\s*(?:%|percent)", r"\1 * (1 + \2/100)"),
    (r"\b(?:decrease|reduce) (\d[\d.]*) by (\d[\d.]*)\s*(?:%|percent)", r"\1 * (1 - \2/100)"),
    (r"(\d[\d.]*)\s*(?:%|percent|per cent) of", r"\1/100 *"),
    (r"(\d[\d.]*)\s*(?:%|percent|per cent)", r"(\1/100)"),
    (r"\bplus\b", "+"), (r"\bminus\b", "-"), (r"\b(?:times|multiplied by)\b", "*"), (r"\b(?:divided by|over)\b", "/"),
    (r"×|·", "*"), (r"÷", "/"), (r"−|–", "-"), (r"²", "^2"), (r"³", "^3"), (r"π", "pi"), (r"√", "sqrt "),
    (r"\bto the power of\b", "^"), (r"\bsquared\b", "^2"), (r"\bcubed\b", "^3"), (r"\bequals?\b", "="),
    (r"\b(?:the )?square root of\b", "sqrt"), (r"\b(?:the )?cube root of\b", "cbrt"),
    (r"\bfactorial of (\d+)", r"factorial(\1)"), (r"\b(sine?|cos(?:ine)?|tan(?:gent)?) of\b", r"\1"),
    (r"\b(sqrt|cbrt|sin|cos|tan|log|ln|exp)\s*(\d[\d.]*|[a-z]\b)", r"\1(\2)"),
    (r"(?<=\d),(?=\d{3}\b)", ""), (r"(?<=\d)\s*x\s*(?=\d)", "*"),
)  # fmt: skip
_NAME = r"\b(?:sqrt|cbrt|sin|cos|tan|asin|acos|atan|log|ln|exp|factorial|pi|[a-z])\b"
_ATOM = rf"(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|{_NAME}|\d*[a-z]\b)"
_FORMULA = re.compile(rf"[-+(\s]*(?:{_ATOM}|[()])(?:\s*[-+*/^()=!]\s*|\s*(?:{_ATOM}))*", re.IGNORECASE)
_VERBS = (
    ("derive", re.compile(r"\b(?:derivative of|differentiate|derive)\s+(.+)", re.IGNORECASE)),
    ("integrate", re.compile(r"\b(?:integral of|integrate)\s+(.+)", re.IGNORECASE)),
    ("factor", re.compile(r"\b(?:factori[sz]e|factor|prime factors of)\s+(.+)", re.IGNORECASE)),
)
_WORD = r"[a-zA-Zµμ]+[²³]?"
_SECOND_WORD = (
    r"(?:met(?:er|re)s?|kilomet(?:er|re)s?|feet|foot|inch(?:es)?|miles?|yards?|gallons?|pounds?|ounces?|hours?)"
)
_UNIT = rf"(?:°\s?)?{_WORD}(?:\s?(?:/|\*|per)\s?{_WORD}|\s{_SECOND_WORD}\b)?"
_AMOUNT = r"(-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?)"
_QUANTITY = rf"{_AMOUNT}\s*(?:degrees\s+)?({_UNIT})"
_TO_UNIT = re.compile(rf"{_QUANTITY}\s+(?:in|to|into|as|equals? how many|is how many)\s+(?:degrees\s+)?({_UNIT})")
_HOW_MANY = re.compile(
    rf"\b[Hh]ow many\s+({_UNIT})\s+(?:are|is|do|does|make|fit)?\s*(?:there\s+)?(?:in|into|make)?\s*{_QUANTITY}"
)
_HOW_MANY_IN_ONE = re.compile(rf"\b[Hh]ow many\s+({_UNIT})\s+(?:are|is)?\s*(?:there\s+)?in\s+(?:an?|one)\s+({_UNIT})")
_UNIT_NAMES = {
    "f": "degF", "fahrenheit": "degF", "c": "degC", "celsius": "degC", "centigrade": "degC", "k": "kelvin",
    "mph": "mile/hour", "kph": "kilometer/hour", "kmh": "kilometer/hour", "lbs": "pound", "sec": "second",
    "secs": "second", "mins": "minute", "hrs": "hour",
    "nautical miles": "nautical_mile", "nautical mile": "nautical_mile",
    "square": "", "gallons": "gallon", "stones": "stone", "inches": "inch", "feet": "foot", "gb": "gigabyte",
    "mb": "megabyte", "kb": "kilobyte", "tb": "terabyte", "mib": "mebibyte", "gib": "gibibyte",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversion:
    """``number`` of unit ``source`` as unit ``target``; units spelled as pint knows them."""

    number: float
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Formula:
    """What to do (compute, solve, derive, integrate, factor) with which formula."""

    verb: str
    text: str


def without_numbers_as_words(said: str) -> str:
    """Numbers in words become digits: 'twelve times three hundred and five' -> '12 times 305'."""
    return _NUMBER_WORDS.sub(lambda match: str(_value(match.group())), said)


def conversion_in(said: str) -> Conversion | None:
    """The first unit conversion in the words, or None."""
    found = _TO_UNIT.search(said)
    if found:
        number, source, target = found.groups()
        return Conversion(float(number.replace(",", "")), _unit(source), _unit(target))
    found = _HOW_MANY.search(said)
    if found:
        target, number, source = found.groups()
        return Conversion(float(number.replace(",", "")), _unit(source), _unit(target))
    found = _HOW_MANY_IN_ONE.search(said)
    return Conversion(1.0, _unit(found.group(2)), _unit(found.group(1))) if found else None


def formula_in(said: str) -> Formula | None:
    """The longest formula in the words with what is to be done with it, or None."""
    for pattern, replacement in _PHRASES:
        said = re.sub(pattern, replacement, said, flags=re.IGNORECASE)
    for verb, pattern in _VERBS:
        asked = pattern.search(said)
        if asked:
            formula = _longest(asked.group(1))
            bounds = re.search(r"\bfrom \S+ to [^\s?.,]+", asked.group(1))
            return (
                Formula(verb, formula + (f" {bounds.group()}" if verb == "integrate" and bounds else ""))
                if formula
                else None
            )
    formula = _longest(said)
    if not formula or not re.search(r"\d.*[-+*/^=!(]|[-+*/^=!(].*\d|[a-z(]\(?\d", formula):
        return None
    return Formula("solve" if "=" in formula else "compute", formula)


def _value(spoken: str) -> int:
    total = current = 0
    for word in re.findall(r"[a-z]+", spoken.lower()):
        if word in _SMALL:
            current += _SMALL[word]
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word in _LARGE:
            total, current = total + max(current, 1) * _LARGE[word], 0
    return total + current


def _unit(spoken: str) -> str:
    name = re.sub(r"^°\s?|^degrees?\s*", "", spoken.strip(), flags=re.IGNORECASE)
    known = _UNIT_NAMES.get(name.lower() if len(name) > 1 or name in "FC" else name)
    if known:
        return known
    squared = re.match(r"(square|cubic)\s+(\w+)", name, re.IGNORECASE)
    if squared:
        return f"{squared.group(2)}**{2 if squared.group(1).lower() == 'square' else 3}"
    name = re.sub(r"\s?\bper\b\s?", "/", name).replace("²", "**2").replace("³", "**3").replace(" ", "_")
    return name if any(letter.isupper() for letter in name) and len(name) <= 3 else name.lower()


def _longest(said: str) -> str:
    """The longest run of formula in the words; lone letters at its ends ('a', 'I') are words, not unknowns."""
    runs = (run.strip() for run in _FORMULA.findall(said))
    trimmed = (
        re.sub(r"^(?:[a-zA-Z]\s+)+(?=[\w(])|(?<=[\w)])(?:\s+[a-zA-Z])+$", "", run).strip(" .,=+*/^") for run in runs
    )
    return max(
        (run for run in trimmed if any(c.isdigit() for c in run) or "=" in run or len(run) == 1), key=len, default=""
    )
