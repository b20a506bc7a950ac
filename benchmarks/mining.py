"""How long mining takes, from the embedded store to patterns: a first run over everything, a day's increment, a re-run.

Run: python -m benchmarks.mining [--records 1000000] [--days 30] [--folder DIR] [--write]. Seeds are fixed
(`experience_history`). With --write, docs/performance.md gets the table. Times are CPU seconds of this process and, in
brackets, of the clock: on a machine that does other work too, only the first say something.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.progress import track

from benchmarks import report
from benchmarks.experience_history import DRIFTS, RULES, History, write_days
from evolution.mining.digest import DigestFolder
from evolution.mining.miner import Miner, Report, Window
from evolution.mining.sources import SqliteSource
from schemas.pattern import PatternKind, SynthesizedPattern

EVERYTHING = Window(0, 2**62, 0)
KINDS = 16


def main() -> None:
    """Print the table, and keep it when asked to."""
    options = _options()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measured(folder, History(options.days + 1, options.records // options.days))
    text = report.table(("run", "tasks", "read", "CPU s", "clock s", "most memory MiB", "patterns"), rows)
    print(text)
    if options.write:
        report.write("mining", text, f"python -m benchmarks.mining --records {options.records} --days {options.days}")


def measured(folder: Path, history: History) -> list[tuple[object, ...]]:
    """All days but the last mined at once, then the last one, then nothing new, then everything afresh."""
    path = folder / "experience.db"
    first = range(history.days - 1)
    if not path.exists():
        for day in track(first, "writing history"):
            write_days(path, history, range(day, day + 1))
    miner = Miner(SqliteSource(path), DigestFolder(folder / "digest"), "default")
    rows = [_row("everything", *_timed(lambda: miner.mine(EVERYTHING, afresh=True)))]
    write_days(path, history, range(history.days - 1, history.days))
    newer, cpu_s, clock_s = _timed(lambda: miner.mine(EVERYTHING))
    rows.append(_row("a day more", newer, cpu_s, clock_s))
    again, cpu_s, clock_s = _timed(lambda: miner.mine(EVERYTHING))
    rows.append(_row("nothing new", again, cpu_s, clock_s))
    print(f"the re-run says the same: {_said(newer.patterns) == _said(again.patterns)}")
    print(quality(again))
    return rows


def quality(found: Report) -> str:
    """Precision and recall of what was planted. Rules about cost, success and single failure codes are not counted."""
    kinds = sum(pattern.kind is PatternKind.KIND for pattern in found.patterns)
    rules = {(_plain(p), p.consequent) for p in found.patterns if p.consequent in ("outcome=failure", "slow")}
    planted = {(tuple(sorted(map(_without_name, antecedent))), outcome) for antecedent, outcome in RULES}
    caused = {
        *(((f"agent={agent}",), "outcome=failure") for agent, metric in DRIFTS if metric == "success"),
        *(((f"agent={agent}",), "slow") for agent, metric in DRIFTS if metric == "log_latency_ms"),
    }
    drifts = {
        (p.antecedent[0].removeprefix("agent="), p.consequent.split()[0])
        for p in found.patterns
        if p.kind is PatternKind.DRIFT
    }
    return (
        f"kinds: {kinds} of {KINDS}\n"
        f"rules: {len(rules)} found, {len(rules & planted)} of {len(planted)} planted, "
        f"{len(rules & caused)} that the planted drifts cause, {len(rules - planted - caused)} others\n"
        f"drifts: {len(drifts)} found, {len(drifts & DRIFTS)} of {len(DRIFTS)} planted"
    )


def _plain(pattern: SynthesizedPattern) -> tuple[str, ...]:
    return tuple(sorted(map(_without_name, pattern.antecedent)))


def _without_name(item: str) -> str:
    """Kinds are found under names of their own: which of them is a matter of naming."""
    return "kind" if item.startswith("kind") else item


def _said(patterns: Sequence[SynthesizedPattern]) -> list[tuple[object, ...]]:
    return [(p.pattern_id, p.statement, p.support, p.confidence, p.lift, p.examples) for p in patterns]


def _timed(call: Callable[[], Report]) -> tuple[Report, float, float]:
    cpu, clock = time.process_time(), time.perf_counter()
    answer = call()
    return answer, time.process_time() - cpu, time.perf_counter() - clock


def _row(name: str, found: Report, cpu_s: float, clock_s: float) -> tuple[object, ...]:
    most_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return name, f"{found.tasks:,}", f"{found.read:,}", cpu_s, clock_s, most_mib, len(found.patterns)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="in all days but the last")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--folder", type=Path, help="keep the store there, or use the one that is there")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    main()
