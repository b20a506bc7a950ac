"""What ``aos explain`` says to people of an explanation."""

from typing import Any

import pytest

from gateway.cli.task import explain

NEAR = {"agent_id": "ocr", "skill_id": "read", "score": 0.6, "reasons": ["closest skill: Read"]}
BARRED = {"agent_id": "ocr", "reason": "is pinned by the task, but the task excludes it"}


def said(capsys: pytest.CaptureFixture[str], match: dict[str, Any], **explanation: object) -> str:
    usual = {"goal": "read it", "candidates": [], "abstained": False, "threshold": 0.25, "policy": "cosine-1"}
    explain._show({"matches": [usual | match], **explanation})
    return capsys.readouterr().out


def test_whom_a_hint_bars_is_not_called_too_far(capsys):
    text = said(capsys, {"candidates": [NEAR], "abstained": True, "excluded": [BARRED]})
    assert 'goal: "read it" — nobody may be chosen' in text
    assert "not eligible: ocr: is pinned by the task, but the task excludes it" in text
    assert "nobody may be chosen" in said(capsys, {"abstained": True})


def test_whose_cards_are_all_too_far_is_called_so(capsys):
    assert "nobody is near enough" in said(capsys, {"candidates": [NEAR | {"score": 0.1}], "abstained": True})
    assert "nobody" not in said(capsys, {"candidates": [NEAR]})


def test_a_policy_that_cannot_be_used_is_said_with_what_decides_instead(capsys):
    text = said(capsys, {"policy": "learned-1"}, policy_problem="it was learned from agents that are all gone: a, b")
    assert "the policy in force is not used, learned-1 decides: it was learned from agents that are all gone" in text
    assert "not used" not in said(capsys, {}, policy_problem="")
