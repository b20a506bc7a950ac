"""Mining the embedded store: what is read once is remembered, and the same experience gives the same patterns."""

from datetime import timedelta

import numpy as np
import pytest

from evolution.errors import ExperienceStoreUnavailable, MiningBusy, MiningStateUnusable
from evolution.mining.digest import DigestFolder
from evolution.mining.mine import mine
from evolution.mining.miner import Miner, Window
from evolution.mining.sources import RecordSource, SqliteSource
from evolution.store.moments import microseconds
from evolution.store.sqlite_store import SqliteExperienceStore
from schemas.pattern import PatternKind
from tests.unit.evolution.experience_records import MOMENT, a_record, encoded

ALL = Window(0, 2**62, 0)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def history(count, seed=1, first=0):
    """Tasks of three kinds and three agents; a1 fails at one kind. One a minute."""
    centres = unit(np.random.default_rng(99).normal(size=(3, 64)))
    rng = np.random.default_rng(seed)
    for number in range(first, first + count):
        kind, agent = int(rng.integers(3)), f"a{rng.integers(3)}"
        bad = agent == "a1" and kind == 2
        yield a_record(
            f"t{number:05d}",
            minutes=number,
            chosen=(agent,),
            success=bool(rng.random() < (0.2 if bad else 0.9)),
            vector=encoded(centres[kind] + 0.06 * rng.normal(size=64)),
            instruction=f"do {number}",
            candidates=(),
            network=None,
        )


@pytest.fixture
async def store(tmp_path):
    store = SqliteExperienceStore(tmp_path / "experience.db")
    yield store
    await store.close()


@pytest.fixture
def miner(tmp_path):
    return lambda **options: Miner(
        SqliteSource(tmp_path / "experience.db"), DigestFolder(tmp_path / "mining"), "default", **options
    )


def told(patterns):
    return [(p.pattern_id, p.statement, p.support, p.confidence, p.examples) for p in patterns]


async def test_mining_the_store_finds_what_mining_the_records_finds(store, miner):
    records = list(history(900))
    await store.record(records)
    report = miner().mine(ALL)
    assert (report.tasks, report.read, report.learned_kinds_anew) == (900, 900, True)
    expected = mine(records)
    by_kind = {kind: [p for p in report.patterns if p.kind is kind] for kind in PatternKind}
    assert len(by_kind[PatternKind.KIND]) == len([p for p in expected.patterns if p.kind is PatternKind.KIND]) == 3
    [rule] = [p for p in by_kind[PatternKind.RULE] if p.consequent == "outcome=failure"]
    assert rule.antecedent[0] == "agent=a1"
    assert rule.task_kind is not None
    assert by_kind[PatternKind.KIND][0].statement.startswith("Kind 0: ")
    assert "“do " in by_kind[PatternKind.KIND][0].statement


def lacking(record, code):
    """The record of a task that its agent refused with that code."""
    step = record.steps[0].model_copy(update={"ok": False, "error": "no", "error_code": code})
    task_code = code if code == "input_required" else "step_failed"
    return record.model_copy(update={"success": False, "failure_code": task_code, "steps": (step,)})


@pytest.mark.parametrize("code", ["input_required", "broken"])
async def test_an_agent_that_says_what_tasks_lack_has_not_become_worse(store, miner, code):
    records = [record.model_copy(update={"success": True, "failure_code": None}) for record in history(600)]
    changed = [lacking(r, code) if n >= 300 and r.chosen == ("a0",) else r for n, r in enumerate(records)]
    await store.record(changed)
    expected = {"success falls", "outcome=failure"} if code == "broken" else {"outcome=input_required"}
    for patterns in (miner().mine(ALL).patterns, mine(changed).patterns):
        said = {p.consequent for p in patterns if p.antecedent == ("agent=a0",)}
        assert said - {"outcome=success"} == expected


async def test_a_second_run_reads_nothing_and_says_the_same(store, miner):
    await store.record(list(history(600)))
    first, second = miner().mine(ALL), miner().mine(ALL)
    assert (second.read, second.learned_kinds_anew) == (0, False)
    assert told(second.patterns) == told(first.patterns)


async def test_only_what_is_new_is_read_and_the_result_is_that_of_reading_everything(store, miner, tmp_path):
    await store.record(list(history(600)))
    miner().mine(ALL)
    await store.record(list(history(200, seed=2, first=600)))
    seen = []
    report = miner(progress=lambda done, total: seen.append((done, total))).mine(ALL)
    assert (report.tasks, report.read, report.learned_kinds_anew) == (800, 200, False)
    assert seen == [(200, 200)]
    again = miner().mine(ALL, afresh=True)
    assert again.read == 800
    rules = [
        {(p.antecedent[0], p.consequent) for p in r.patterns if p.kind is PatternKind.RULE} for r in (report, again)
    ]
    assert rules[0] == rules[1]


async def test_kinds_are_learned_afresh_once_experience_has_doubled(store, miner):
    await store.record(list(history(300)))
    miner().mine(ALL)
    await store.record(list(history(400, seed=3, first=300)))
    assert miner().mine(ALL).learned_kinds_anew


async def test_a_window_holds_only_its_own_tasks_and_another_tenants_never(store, miner):
    await store.record([*history(300), *(r.model_copy(update={"tenant": "other"}) for r in history(50, seed=4))])
    edge = microseconds(MOMENT + timedelta(minutes=200))
    report = miner().mine(Window(edge, 2**62, 0))
    assert (report.tasks, report.read) == (100, 300)
    assert all(p.tenant == "default" for p in report.patterns)


async def test_words_are_not_quoted_when_that_is_not_wanted(store, miner):
    await store.record(list(history(300)))
    assert not any("“" in p.statement for p in miner(quote=False).mine(ALL).patterns)


async def test_two_processes_do_not_mine_one_tenant_at_once(store, miner, tmp_path):
    await store.record(list(history(100)))
    with DigestFolder(tmp_path / "mining").locked(), pytest.raises(MiningBusy, match="another process"):
        miner().mine(ALL)
    assert miner().mine(ALL).tasks == 100


async def test_a_damaged_digest_is_said_or_thrown_away(store, miner, tmp_path):
    await store.record(list(history(100)))
    miner().mine(ALL)
    [rows] = (tmp_path / "mining").glob("rows-*.arrow")
    rows.write_bytes(b"ARROW1\0\0cut off")
    with pytest.raises(MiningStateUnusable, match="Remove"):
        miner().mine(ALL)
    (tmp_path / "mining" / "state.json").write_text("{")
    assert miner().mine(ALL).read == 100


async def test_of_a_digest_that_does_not_read_everything_is_forgotten(store, miner, tmp_path):
    await store.record(list(history(100)))
    miner().mine(ALL)
    (tmp_path / "mining" / "state.json").write_text("{")
    DigestFolder(tmp_path / "mining").forget(["t00001"])
    assert [path.name for path in (tmp_path / "mining").iterdir() if path.suffix in (".arrow", ".npz")] == []
    assert miner().mine(ALL).read == 100


def test_without_a_store_the_error_says_so(miner):
    with pytest.raises(ExperienceStoreUnavailable, match="no experience store"):
        miner().mine(ALL)


async def test_records_of_any_store_are_mined_through_its_port(tmp_path):
    records = list(history(400))

    async def batches():
        yield records[:250]
        yield records[250:]

    source = await RecordSource.of(batches())
    report = Miner(source, DigestFolder(tmp_path / "mining"), "default").mine(ALL, afresh=True)
    assert (report.tasks, report.read) == (400, 400)
    assert sum(p.kind is PatternKind.KIND for p in report.patterns) == 3


async def test_many_small_increments_become_one_file(store, miner, tmp_path):
    await store.record(list(history(400)))
    miner().mine(ALL)
    for number in range(26):
        await store.record(list(history(2, seed=number, first=400 + 2 * number)))
        report = miner().mine(ALL)
    assert report.tasks == 452
    assert len(list((tmp_path / "mining").glob("rows-*.arrow"))) <= 24


async def test_a_store_that_does_not_read_is_named(tmp_path, miner):
    (tmp_path / "experience.db").write_bytes(b"no database at all" * 500)
    with pytest.raises(ExperienceStoreUnavailable, match="cannot be mined"):
        miner().mine(ALL)


async def test_a_digest_that_cannot_be_written_says_so_and_keeps_what_it_had(store, miner, tmp_path, monkeypatch):
    await store.record(list(history(100)))
    miner().mine(ALL)
    await store.record(list(history(20, seed=2, first=100)))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pyarrow.feather.write_feather", full)
        with pytest.raises(MiningStateUnusable, match="No space left"):
            miner().mine(ALL)
    report = miner().mine(ALL)
    assert (report.tasks, report.read) == (120, 20)


async def test_agents_that_no_registry_knows_are_mined_like_others(store, miner):
    await store.record([r.model_copy(update={"chosen": (*r.chosen, "nobody-knows-me")}) for r in history(100)])
    assert miner().mine(ALL).tasks == 100


async def test_a_longer_window_than_was_ever_read_is_read(store, miner):
    await store.record(list(history(200)))
    half = microseconds(MOMENT + timedelta(minutes=100))
    assert miner().mine(Window(half, 2**62, half)).tasks == 100
    assert miner().mine(ALL).tasks == 200
    assert miner().mine(Window(half, 2**62, half)).read == 0
