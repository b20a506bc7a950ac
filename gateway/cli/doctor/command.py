"""``aos doctor``: what is missing on this machine and how to get it."""

from dataclasses import asdict

import typer

from gateway.cli.doctor.checkup import examine, misspelt
from gateway.cli.doctor.findings import Verdict
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode
from gateway.cli.terminal.session import Json

app = typer.Typer(help="What is missing on this machine and how to get it.")

MARKS = {Verdict.OK: "✓", Verdict.OPTIONAL: "·", Verdict.WARNING: "!", Verdict.MISSING: "✗"}


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check Python, nats-server, packages, weights, disk, ports and services. Exit code 1 when something is missing."""
    settings = session.settings_from().settings
    findings = [*misspelt(session.misspelt_variables()), *session.run(examine(settings))]
    if as_json:
        session.print_json([asdict(finding) for finding in findings])
    else:
        rows = [
            (MARKS[one.verdict], one.name, one.found, "" if one.verdict is Verdict.OK else one.remedy)
            for one in findings
        ]
        session.print_table(("", "looked at", "found", "how to get it"), rows, "nothing to look at")
    missing = any(finding.verdict is Verdict.MISSING for finding in findings)
    raise typer.Exit(int(ExitCode.FAILED if missing else ExitCode.DONE))
