"""What a redaction rule matches is never stored."""

from evolution.privacy.guard import Guard
from evolution.privacy.keys import UNREADABLE, KeyRing
from evolution.privacy.redaction import Redaction
from evolution.store.influx_points import feedback_point, record_point
from tests.unit.evolution.experience_records import a_feedback, a_record

RULES = Redaction((r"[\w.]+@[\w.]+", r"\b\d{4} \d{4} \d{4} \d{4}\b"))


def test_matches_are_cut_out_of_task_text_and_comments():
    guard = Guard(redaction=RULES)
    record = a_record(instruction="mail ann@example.org, card 1234 5678 9012 3456")
    kept = guard.sealed(record)
    assert {kept.instruction, *(node.goal for node in kept.network.nodes)} == {"mail [redacted], card [redacted]"}
    assert guard.sealed_feedback(a_feedback("t", comment="I am bob@example.org")).comment == "I am [redacted]"


def test_what_matches_nothing_stays_the_same_record():
    record, feedback = a_record(), a_feedback("t")
    guard = Guard(redaction=RULES)
    assert guard.sealed(record) is record
    assert guard.sealed_feedback(feedback) is feedback


def test_what_goes_to_influxdb_is_sealed_as_well(tmp_path):
    keys = KeyRing(tmp_path / "keys")
    keys.add("default")
    guard = Guard(keys, RULES)
    record, feedback = a_record(instruction="a secret"), a_feedback("t", comment="another secret")
    lines = record_point(record, 1, guard).to_line_protocol() + feedback_point(feedback, 1, guard).to_line_protocol()
    assert "secret" not in lines
    assert guard.opened(guard.sealed(record)) == record
    assert guard.opened_feedback(guard.sealed_feedback(feedback).model_dump_json()) == feedback


def test_tenants_without_a_key_of_their_own_share_the_one_for_all(tmp_path):
    keys = KeyRing(tmp_path / "keys")
    keys.add("acme")
    assert keys.seal("other", "text") == "text"
    keys.add("*")
    assert keys.open("other", keys.seal("other", "text")) == "text"
    assert keys.seal("other", "text") != "text"
    assert keys.open("acme", keys.seal("other", "text")) == UNREADABLE
