"""`aos explain` says who made a network and what it promises."""

from gateway.cli.task.plan import plan_lines

ESTIMATE = {
    "duration_ms": {"low": 40.0, "middle": 200.4, "high": 960.0},
    "cost": {"low": 0.01, "middle": 0.01, "high": 0.01},
    "quality": {"low": 0.4, "middle": 0.8, "high": 0.96},
}


def test_an_evolved_network_says_how_often_it_was_bettered_and_what_it_rests_on():
    lines = list(plan_lines({"refined": 2, "kind": "k-1", "estimate": {**ESTIMATE, "steps_seen": 12}}))
    assert lines[0] == "network: bettered 2 times by genetic search, for tasks of kind k-1"
    assert lines[1] == "expected: 200 (40 to 960) ms · cost 0.01 · success 0.80 (0.40 to 0.96) · rests on 12 past steps"


def test_without_experience_the_prior_is_named():
    assert "only the prior" in list(plan_lines({"estimate": ESTIMATE}))[1]


def test_plans_of_earlier_releases_have_no_estimate():
    assert list(plan_lines({})) == ["network: woven greedily, for this task alone"]
