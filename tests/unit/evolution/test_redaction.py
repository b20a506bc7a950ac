"""What a redaction rule matches is never stored."""

from evolution.privacy.guard import Guard
from evolution.privacy.redaction import Redaction
from tests.unit.evolution.experience_records import a_feedback, a_record

RULES = Redaction((r"[\w.]+@[\w.]+", r"\b\d{4} \d{4} \d{4} \d{4}\b"))


def test_matches_are_cut_out_of_task_text_and_comments():
    guard = Guard(redaction=RULES)
    record = a_record(instruction="mail ann@example.org, card 1234 5678 9012 3456")
    assert guard.sealed(record).instruction == "mail [redacted], card [redacted]"
    assert guard.sealed_feedback(a_feedback("t", comment="I am bob@example.org")).comment == "I am [redacted]"


def test_what_matches_nothing_stays_the_same_record():
    record, feedback = a_record(), a_feedback("t")
    guard = Guard(redaction=RULES)
    assert guard.sealed(record) is record
    assert guard.sealed_feedback(feedback) is feedback
