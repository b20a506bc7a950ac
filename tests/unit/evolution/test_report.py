"""The report is one page that needs nothing else, whatever the window holds."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from evolution.mining.mine import mine
from evolution.replay.evaluating import evaluated
from evolution.replay.policies import always, as_logged, best_scored
from evolution.report import figures
from evolution.report.page import Window, page
from evolution.report.summaries import agents_of, grouped, learning_curve, over_time
from schemas.base import now
from schemas.policy_state import PolicyState
from tests.unit.evolution.a_week import a_week
from tests.unit.evolution.decisions_made import a_decision
from tests.unit.evolution.experience_records import a_record


@pytest.fixture(scope="module")
def week():
    return a_week(600)


@pytest.fixture(scope="module")
def html(week):
    policies = {"logged": as_logged, "best": best_scored, "always <solver>": always("solver")}
    compared = evaluated(week, policies)
    changed = PolicyState(tenant="default", active="learned-2", actor="anna", reason="looks <good>")
    return page(Window("default", week, compared.evaluations, compared.left_out, (changed,), cut=True))


def test_the_page_asks_nothing_of_the_network_and_runs_no_script(html):
    addresses = set(re.findall(r"https?://[^\"'< )]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"<script|<link|<img|@import|javascript:", html)


def test_whatever_has_a_colour_by_day_has_another_by_night(html):
    day, _, night = html.partition("prefers-color-scheme: dark")
    rule = r"^([a-z.][a-z0-9., ]*) \{[^}]*(?:color|background|border-bottom): ?[^;]*#"
    coloured = re.findall(rule, day, re.MULTILINE)
    named = {one.strip() for selector in coloured for one in selector.split(",")} - {"th"}
    assert {"body", "p.note", ".warn", "dt", "td"} <= named
    assert all(re.search(rf"(^|[ ,]){re.escape(one)}[ ,]", night, re.MULTILINE) for one in named), named
    assert "svg { filter: invert" in night


def test_agents_that_the_table_has_no_room_for_are_counted(html):
    crowd = page(Window("default", [a_record(f"t{n}", minutes=n, chosen=(f"agent{n}",)) for n in range(33)]))
    assert "and 3 more agents with fewer tasks" in crowd
    assert "with fewer tasks" not in html


def test_every_part_is_there(html):
    for title in ("Success", "Latency", "Cost", "Learning curve", "Policies compared", "Patterns", "Agents and kinds"):
        assert f"<h2>{title}" in html
    assert html.count("<svg ") == 8
    assert "600 tasks, the newest of the window" in html
    assert "sum up the invoice" in html
    assert "Kind 0: " in html


def test_drawings_are_well_formed_and_share_no_ids(html):
    drawings = re.findall(r"<svg .*?</svg>", html, flags=re.DOTALL)
    ids = [found.get("id") for drawing in drawings for found in ET.fromstring(drawing).iter() if found.get("id")]
    named = [one for one in ids if ids.count(one) > 1]
    assert named == []
    referred = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", html))
    assert referred <= set(ids)


def test_what_came_from_outside_is_escaped(html):
    assert "looks &lt;good&gt;" in html
    assert "always &lt;solver&gt;" in html
    assert not re.search(r"<(dragon|solver|good)>", html)


def test_the_same_series_give_the_same_drawing(week):
    series = over_time(week[:150], agents_of, lambda record: record.cost)
    assert figures.lines("cost", series, label="cost") == figures.lines("cost", series, label="cost")


def test_an_empty_window_and_a_single_task_are_pages_too():
    assert "No task ended" in page(Window("default", []))
    lone = page(
        Window("default", [a_decision(1, candidates=(), chosen=(), success=False, failure_code="no_agent_fits")])
    )
    assert "no_agent_fits" in lone
    assert "No decision of this window can be evaluated" in lone


def test_series_have_gaps_where_nothing_happened_and_the_rare_are_summed_up():
    records = [
        a_decision(i, minutes_ago=100 - i if i < 50 else 10 - i / 10, chosen=f"a{i % 9}", explored=0) for i in range(90)
    ]
    records = [record.model_copy(update={"chosen": (f"a{i % 9}",)}) for i, record in enumerate(records)]
    series = over_time(sorted(records, key=lambda r: r.at), agents_of, lambda record: 1.0, bins=10)
    assert [one.name for one in series] == ["a0", "a1", "a2", "a3", "a4", "a5", "others"]
    assert sum(one.counts.sum() for one in series) == 90
    assert np.isnan(series[0].values).any()


def test_groups_state_their_interval_and_quantiles():
    records = [a_decision(i, success=i % 4 > 0, latency_ms=float(i), chosen="main") for i in range(100)]
    [row] = grouped(records, agents_of)
    assert (row.tasks, row.success) == (100, 0.75)
    assert row.low < 0.75 < row.high
    assert (row.latency_p50_ms, row.latency_p95_ms) == (49.5, pytest.approx(94.05))


def test_an_agent_that_others_save_is_told_from_one_that_does_well(week):
    record = week[0].model_copy(update={"success": True, "chosen": ("clerk",)})
    own = record.steps[0].model_copy(update={"agent_id": "clerk", "ok": False})
    helper = own.model_copy(update={"agent_id": "poet", "ok": True})
    records = [record.model_copy(update={"steps": (own, helper)}), record.model_copy(update={"steps": (helper,)})]
    [row] = grouped(records, agents_of)
    assert (row.name, row.success, row.saved) == ("clerk", 1.0, 0.5)
    assert ">50.0%</td>" in page(Window("default", records))


def test_kinds_keep_the_names_that_mining_gave_them(week):
    kinds = replace(mine(week).kinds, names=(70, 71, 72))
    html = page(Window("default", week, kinds=kinds))
    assert all(f">{name}: " in html for name in kinds.names)


def test_the_learning_curve_tells_when_policies_changed_but_not_how_an_experiment_alternates():
    start = now() - timedelta(hours=1)

    def task(number, policy, success):
        return a_decision(number, policy=policy, success=success, at=start + timedelta(seconds=number))

    records = [task(i, "one", False) for i in range(100)] + [task(100 + i, "two", True) for i in range(100)]
    curve = learning_curve(records, rolling=50)
    assert curve.changes == ((0, "one"), (100, "two"))
    assert (curve.success[0], curve.success[-1]) == (0.0, 1.0)
    assert len(curve.tasks) == 161
    mixed = [task(i, "new" if i % 10 == 0 else "old", True) for i in range(200)]
    assert learning_curve(mixed).changes == ((1, "old"),)
