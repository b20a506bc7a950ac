"""The calculator computes what is said in plain words, and refuses what it cannot or must not compute."""

import pytest
from conftest import Ask
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("words", "result"),
    [
        ("What is 17 times 23?", "= 391"),
        ("Calculate 12 * (3 + 4) / 7", "= 12"),
        ("What is 15% of 240?", "= 36"),
        ("How much is 20 percent off 85?", "= 68"),
        ("What is twelve times three hundred and five?", "= 3,660"),
        ("0.1 + 0.2", "= 0.3"),
        ("2^3^2", "= 512"),
        ("-2^2", "= -4"),
        ("10 - 4 - 3", "= 3"),
        ("2(3+4)", "= 14"),
        ("7/3", "7/3 = 2.333333"),
        ("Square root of 1764", "= 42"),
        ("5!", "= 120"),
        ("Solve x^2 - 5x + 6 = 0", "x = 2 or x = 3"),
        ("solve 3y = 12 for y", "y = 4"),
        ("x^2 + x + 1 = 0", "x = -0.5 - 0.8660254i"),
        ("Derivative of x^3 + 2x", "is 3*x**2 + 2"),
        ("integrate x^2 from 0 to 3", "is 9"),
        ("factor 360", "= 2^3 * 3^2 * 5"),
        ("Convert 5 miles to km", "5 mi = 8.04672 km"),
        ("convert 5 miles to km and identify the language of 'Bonjour'", "= 8.04672 km"),
        ("What is 100 fahrenheit in celsius?", "= 37.777778 °C"),
        ("what is 20 degrees celsius in fahrenheit", "= 68 °F"),
        ("How many ounces are in 2 kilograms?", "= 70.547924 oz"),
        ("How many minutes are in a week?", "= 10,080 min"),
        ("60 mph in km/h", "= 96.56064 km/h"),
        ("3 square metres in square feet", "= 32.291731 ft²"),
    ],
)
def test_it_computes(ask: Ask, words: str, result: str):
    assert ask("calculator", words).text.endswith(result) or result in ask("calculator", words).text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("1/0", "undefined"),
        ("9^9^9", "too_large"),
        ("99999!", "too_large"),
        ("convert 5 miles to kg", "wrong_dimension"),
        ("convert 10 flurbs to km", "unknown_unit"),
        ("x + y = 2", "several_unknowns"),
        ("hello there", "no_calculation"),
        ("__import__('os').system('id')", "no_calculation"),
    ],
)
def test_it_refuses_in_words(ask: Ask, words: str, code: str):
    error = ask("calculator", words).error
    assert error is not None
    assert error["code"] == code
    assert not error["retryable"]


@given(a=st.integers(0, 10**6), b=st.integers(1, 10**4), c=st.integers(-500, 500))
def test_it_agrees_with_exact_arithmetic(a: int, b: int, c: int):
    from formula import parse

    assert parse(f"{a} + {b} * ({c}) - {a} / {b}") * b == a * b + b * b * c - a


@given(st.text(alphabet="0123456789x+-*/^()!. ,=sincoqrtpe", max_size=60))
def test_no_text_makes_it_stumble(text: str):
    import calculator

    reply = calculator.run({"step_id": "t.n", "goal": text, "inputs": []})
    assert ("error" in reply) != ("outputs" in reply)
