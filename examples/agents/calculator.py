"""Calculator: arithmetic, percentages, equations and calculus (sympy) and unit conversion (pint), from plain words.

Words become a formula or a conversion in calculator_words; formula reads it; here it is computed and said.
"""

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from calculator_words import Conversion, conversion_in, formula_in, without_numbers_as_words
from parts import CannotDo, Invocation, Part, answering, task_words, text_output, words

if TYPE_CHECKING:
    import pint
    import sympy

LARGEST_FACTORED = 10**24
HIGHEST_DEGREE = 30
LONGEST_REQUEST = 1000
HELP = "Write it as in 'What is 12 * (3 + 4)?', 'Solve x^2 = 9', '15% of 240' or 'Convert 5 miles to km'."


@answering
def run(invocation: Invocation) -> list[Part]:
    """The result of the first calculation that the words hold."""
    for said in dict.fromkeys((words(invocation), task_words(invocation))):
        plain = without_numbers_as_words(said[:LONGEST_REQUEST])
        conversion = conversion_in(plain)
        if conversion:
            return [text_output(_converted(conversion), "calculation.txt")]
        formula = formula_in(plain)
        if formula:
            return [text_output(_VERBS[formula.verb](formula.text), "calculation.txt")]
    raise CannotDo("no_calculation", f"No calculation was found in the words. {HELP}")


@functools.cache
def _units() -> "pint.UnitRegistry":
    import pint  # slow to import: arithmetic does not wait for it

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


def _converted(conversion: Conversion) -> str:
    import pint  # as in _units

    units = _units()
    try:
        source, target = units.Unit(conversion.source), units.Unit(conversion.target)
        result = units.Quantity(conversion.number, source).to(target)
    except pint.UndefinedUnitError as problem:
        unknown = problem.unit_names if isinstance(problem.unit_names, str) else ", ".join(problem.unit_names)
        raise CannotDo("unknown_unit", f"'{unknown}' is not a unit that is known here. {HELP}") from problem
    except pint.DimensionalityError as problem:
        message = f"{conversion.source} cannot become {conversion.target}: they measure different things."
        raise CannotDo("wrong_dimension", message) from problem
    return f"{_number(conversion.number)} {_unit(source)} = {_number(float(result.magnitude))} {_unit(target)}"


def _unit(unit: "pint.Unit") -> str:
    return f"{unit:~P}" or str(unit)


def _number(value: float) -> str:
    """Six decimals at most, no trailing zeros; very large and very small values in scientific notation."""
    if value == 0 or 1e-4 <= abs(value) < 1e15:
        return f"{value:,.6f}".rstrip("0").rstrip(".")
    return f"{value:.6g}"


def _parsed(text: str) -> "sympy.Expr":
    from formula import parse  # imports sympy, 0.5 s: unit conversion does not wait for it

    return parse(text)


def _computed(text: str) -> str:
    value = _parsed(text)
    if value.free_symbols:
        return f"{text} = {value.expand()}"
    said = _said(value)
    return said.replace("≈", "=") if said.startswith(f"{text} ≈") else f"{text} = {said}"


def _said(value: "sympy.Expr") -> str:
    """A number for people: whole, decimal, or exact beside its approximation."""
    if value.is_Integer:
        return f"{int(value):,}"
    if not value.is_real:
        return str(value.evalf(8)).replace("*I", "i") if value.is_number else str(value)
    approximate = _number(float(value))
    ends = value.is_Rational and re.fullmatch(r"2*5*", "".join(str(p) for p in _primes(int(value.q)))) is not None
    return approximate if ends or len(str(value)) > 24 else f"{value} ≈ {approximate}"


def _primes(number: int) -> list[int]:
    """The prime factors 2 and 5 of a denominator, then whatever is left: a decimal ends when nothing is."""
    factors = []
    for prime in (2, 5):
        while number % prime == 0:
            factors.append(prime)
            number //= prime
    return factors + ([number] if number > 1 else [])


def _solved(text: str) -> str:
    import sympy  # as in _parsed

    left, _, right = text.partition("=")
    difference = (_parsed(left) - _parsed(right or "0")).expand()
    unknowns = sorted(difference.free_symbols, key=str)
    if not unknowns:
        return f"{text.strip()} is {'true' if difference == 0 else 'false'}."
    if len(unknowns) > 1:
        raise CannotDo(
            "several_unknowns", f"One equation cannot fix {' and '.join(map(str, unknowns))}; give one unknown."
        )
    if not difference.is_polynomial(unknowns[0]) or sympy.degree(difference, unknowns[0]) > HIGHEST_DEGREE:
        return _solved_near(text, difference, unknowns[0])
    solutions = sympy.roots(difference, unknowns[0]) or sympy.solve(difference, unknowns[0])
    if not solutions:
        return f"{text.strip()} has no solution."
    ordered = sorted(solutions, key=lambda s: (not s.is_real, sympy.re(s.evalf()), sympy.im(s.evalf())))
    return f"Solution of {text.strip()}: " + " or ".join(f"{unknowns[0]} = {_said(s)}" for s in ordered)


def _solved_near(text: str, difference: "sympy.Expr", unknown: "sympy.Symbol") -> str:
    import sympy  # as in _parsed

    for start in (1, 0.1, 5, -1, 20):
        try:
            return f"Solution of {text.strip()}: {unknown} ≈ {_number(float(sympy.nsolve(difference, unknown, start)))}"
        except (ValueError, TypeError, ZeroDivisionError):  # no root near this start, or a complex one
            continue
    raise CannotDo("not_solved", f"No solution of {text.strip()} was found near zero.")


def _derived(text: str) -> str:
    expression = _parsed(text)
    return f"The derivative of {text} is {expression.diff(_variable(expression))}"


def _integrated(text: str) -> str:
    bounds = re.search(r"\bfrom (\S+) to (\S+)$", text)
    expression = _parsed(text[: bounds.start()] if bounds else text)
    variable = _variable(expression)
    if bounds is None:
        return f"The integral of {text} is {expression.integrate(variable)} + C"
    low, high = (_parsed(bound) for bound in bounds.groups())
    return f"The integral of {text} is {_said(expression.integrate((variable, low, high)))}"


def _factored(text: str) -> str:
    import sympy  # as in _parsed

    expression = _parsed(text)
    if not expression.is_Integer:
        return f"{text} = {sympy.factor(expression)}"
    if abs(expression) > LARGEST_FACTORED:
        raise CannotDo("too_large", "Numbers of up to 24 digits can be factored here.")
    powers = sympy.factorint(int(expression)).items()
    return f"{text} = " + " * ".join(f"{prime}^{power}" if power > 1 else str(prime) for prime, power in powers)


def _variable(expression: "sympy.Expr") -> "sympy.Symbol":
    import sympy  # as in _parsed

    letters = sorted(expression.free_symbols, key=str)
    return letters[0] if letters else sympy.Symbol("x")


_VERBS: dict[str, Callable[[str], str]] = {
    "compute": _computed,
    "solve": _solved,
    "derive": _derived,
    "integrate": _integrated,
    "factor": _factored,
}
