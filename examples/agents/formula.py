"""Reads a formula into a sympy expression: a small Pratt parser (Pratt 1973), so that nobody's words are ever run.

Grammar: sums, products (also implied: 2x, 3(x+1)), powers (^ or **, right to left), signs, factorials, parentheses,
the functions below, single letters as unknowns. Decimals become exact fractions, so 0.1 + 0.2 is 0.3.
"""

import re

import sympy
from parts import CannotDo

LONGEST = 300
MOST_DIGITS = 4000
LARGEST_FACTORIAL = 1500


def _factorial(value: sympy.Expr) -> sympy.Expr:
    if not (value.is_Integer and value >= 0):
        raise CannotDo("undefined", "Factorials are for whole numbers from 0 upwards.")
    if value > LARGEST_FACTORIAL:
        raise CannotDo("too_large", f"Factorials go up to {LARGEST_FACTORIAL}! here.")
    return sympy.factorial(value)


FUNCTIONS = {
    "sqrt": sympy.sqrt, "cbrt": sympy.cbrt, "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "asin": sympy.asin,
    "acos": sympy.acos, "atan": sympy.atan, "log": lambda value: sympy.log(value, 10), "ln": sympy.log,
    "exp": sympy.exp, "abs": sympy.Abs, "factorial": _factorial,
}  # fmt: skip
CONSTANTS = {"pi": sympy.pi, "e": sympy.E}
_SYMBOL = re.compile(r"\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d{1,3})?(?![a-zA-Z]*\d)|\.\d+|\d+|[A-Za-z]+|\*\*|[-+*/^()!])")
_STRENGTH = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4, "!": 5}
_IMPLIED, _SIGN = 3, 2


def parse(text: str) -> sympy.Expr:
    """The expression. Raises CannotDo for what is not a formula or would be too large to compute."""
    if len(text) > LONGEST:
        raise CannotDo("not_a_formula", f"A formula may have {LONGEST} characters at most.")
    return _Reader(text).everything()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._symbols = _symbols(self._text)
        self._at = 0

    def everything(self) -> sympy.Expr:
        value = self._expression(0)
        if self._at < len(self._symbols):
            raise self._unreadable()
        return value

    def _expression(self, strength: int) -> sympy.Expr:
        value = self._atom()
        while (operator := self._operator()) and self._binds(operator) > strength:
            value = self._applied(value, operator)
        return value

    def _operator(self) -> str:
        """The operator that comes next; '·' when two factors stand side by side."""
        symbol = self._next()
        return symbol if symbol in _STRENGTH or symbol in ("", ")") else "·"

    @staticmethod
    def _binds(operator: str) -> int:
        return _IMPLIED if operator == "·" else _STRENGTH.get(operator, 0)

    def _applied(self, left: sympy.Expr, operator: str) -> sympy.Expr:
        if operator == "·":
            return left * self._expression(_IMPLIED)
        self._at += 1
        if operator == "!":
            return _factorial(left)
        right = self._expression(_STRENGTH[operator] - (operator == "^"))
        if operator == "^":
            return _power(left, right)
        if operator == "/":
            return _quotient(left, right)
        return {"+": left + right, "-": left - right, "*": left * right}[operator]

    def _atom(self) -> sympy.Expr:
        symbol = self._next()
        self._at += 1
        if symbol in ("+", "-"):
            value = self._expression(_SIGN)
            return -value if symbol == "-" else value
        if symbol == "(":
            return self._closed(self._expression(0))
        if symbol[:1].isdigit() or symbol[:1] == ".":
            return sympy.Rational(symbol)
        if symbol.lower() in FUNCTIONS:
            return self._call(symbol.lower())
        if symbol in CONSTANTS:
            return CONSTANTS[symbol]
        if len(symbol) == 1 and symbol.isalpha():
            return sympy.Symbol(symbol)
        raise self._unreadable()

    def _call(self, name: str) -> sympy.Expr:
        if self._next() != "(":
            return FUNCTIONS[name](self._expression(_IMPLIED))
        self._at += 1
        return FUNCTIONS[name](self._closed(self._expression(0)))

    def _closed(self, value: sympy.Expr) -> sympy.Expr:
        if self._next() != ")":
            raise CannotDo("not_a_formula", f"A closing parenthesis is missing in '{self._text}'.")
        self._at += 1
        return value

    def _next(self) -> str:
        return self._symbols[self._at] if self._at < len(self._symbols) else ""

    def _unreadable(self) -> CannotDo:
        return CannotDo("not_a_formula", f"'{self._text}' cannot be read as a formula.")


def _symbols(text: str) -> list[str]:
    symbols, at = [], 0
    while at < len(text):
        found = _SYMBOL.match(text, at)
        if found is None:
            raise CannotDo(
                "not_a_formula",
                f"'{text}' cannot be read as a formula: '{text[at : at + 8].strip()}' is not understood.",
            )
        symbols.append("^" if found.group(1) == "**" else found.group(1))
        at = found.end()
    return symbols


def _quotient(left: sympy.Expr, right: sympy.Expr) -> sympy.Expr:
    if right.is_zero:
        raise CannotDo("undefined", "This divides by zero and has no value.")
    return left / right


def _power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    if base.is_zero and exponent.is_negative:
        raise CannotDo("undefined", "This divides by zero and has no value.")
    if base.is_number and exponent.is_number:
        size = max(abs(sympy.N(base, 5)), abs(1 / sympy.N(base, 5)) if not base.is_zero else 1, 2)
        if abs(sympy.N(exponent, 5)) * sympy.log(size, 10).evalf(5) > MOST_DIGITS:
            raise CannotDo("too_large", f"The result would have more than {MOST_DIGITS} digits.")
    elif exponent.is_number and abs(sympy.N(exponent, 5)) > 200:
        raise CannotDo("too_large", "Powers of unknowns go up to 200 here.")
    return base**exponent
