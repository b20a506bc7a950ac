"""What people write as a window of time, and what is said of what is none."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.windows import Span, span


@pytest.mark.parametrize(
    ("word", "length"),
    [
        ("30m", timedelta(minutes=30)),
        (" 24H ", timedelta(days=1)),
        ("7d", timedelta(days=7)),
        ("1.5 w", timedelta(days=10.5)),
    ],
)
def test_a_length_is_how_far_back(word, length):
    before = datetime.now(UTC)
    asked = span(word)
    assert before <= asked.since + length <= datetime.now(UTC)
    assert asked.until is None


def test_a_moment_is_since_when_in_utc_unless_it_says_otherwise():
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert span("2026-11-01") == Span(datetime(2026, 11, 1, tzinfo=UTC))
    assert span("2026-11-01T12:00") == span("2026-11-01T12:00Z") == span("2026-11-01T14:00+02:00") == Span(noon)


def test_a_window_may_end_before_now():
    assert span("2026-11-01..2026-11-08T06:00") == Span(
        datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, 6, tzinfo=UTC)
    )
    asked = span("14d..7d")
    assert asked.until is not None
    assert asked.until - asked.since == timedelta(days=7)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        *((word, "is no window") for word in ("", "7", "-7d", "0d", "1e9d", "yesterday", "2026-13-01", "7d..", "..7d")),
        *((word, "is too long") for word in ("99999999999d", "9999999w")),
        ("9999-01-01", "begins in the future"),
        ("7d..14d", "ends before it begins"),
        ("2026-11-02..2026-11-02", "ends before it begins"),
    ],
)
def test_what_is_no_window_is_said_with_examples(word, said):
    with pytest.raises(Failed, match=said) as found:
        span(word)
    assert found.value.exit_code is ExitCode.USAGE
    assert "is too long" in said or "7d" in found.value.detail
