"""The door's JSON as people read it."""

from gateway.cli.door import views

LEARNED = {
    "agent_id": "ocr",
    "features": {"nearness": 0.5, "price": -0.7, "load": 0.0, "bias": 1.0},
    "contributions": {"nearness": 1.25, "price": 0.035, "load": 0.0, "bias": -2.0},
    "counted": [
        {"task_id": "t1", "outcome": 1.0, "weight": 0.99},
        {"task_id": "t2", "outcome": 0.0, "weight": 0.5},
    ],
}


def test_what_moved_a_candidate_most_comes_first_with_its_weight():
    features, tasks = views.learned_lines(LEARNED)
    assert features == (
        "  ocr, log odds: bias -2.00 (1.00 × -2.00), nearness +1.25 (0.50 × 2.50), price +0.04 (-0.70 × -0.05)"
    )
    assert tasks == "  ocr, past tasks: t1 for 0.99, t2 against 0.50"


def test_nothing_is_said_where_nothing_was_learned():
    assert list(views.learned_lines({"agent_id": "ocr", "features": {}, "contributions": {}, "counted": []})) == []


def test_of_many_reasons_the_strongest_are_told():
    parts = {f"f{number}": float(number) for number in range(1, 20)}
    many = {**LEARNED, "features": dict.fromkeys(parts, 1.0), "contributions": parts, "counted": LEARNED["counted"] * 9}
    features, tasks = views.learned_lines(many)
    assert features.count("×") == tasks.count("t1") + tasks.count("t2") == views.STRONGEST
    assert features.startswith("  ocr, log odds: f19 +19.00")


def test_how_to_keep_an_output_is_said_only_where_it_is_not_kept():
    picture = {"name": "a.png", "media_type": "image/png", "ref": {"size_bytes": 7}}
    record = {"task_id": "t", "state": "succeeded", "result": {"outputs": [picture, {"text": "x" * 100_000}]}}
    assert "\n".join(views.record_lines(record)).count("--save FOLDER") == 2
    assert "--save" not in "\n".join(views.record_lines(record, saved=True))


def test_of_those_who_may_not_be_chosen_the_first_are_told_and_the_others_counted():
    dead = [{"agent_id": f"a{number}", "reason": "is dead"} for number in range(views.STRONGEST + 2)]
    lines = list(views.excluded_lines(dead))
    assert lines[0] == "  not eligible: a0: is dead"
    assert lines[views.STRONGEST :] == ["  not eligible: 2 more, with --json"]
    assert list(views.excluded_lines(dead[:1])) == lines[:1]
    assert list(views.excluded_lines([])) == []
