"""The command answers at once, and loads only what was called."""

import json
import os
import subprocess
import sys
from importlib import metadata

import pytest
from typer.testing import CliRunner

from gateway.cli.main import COMMANDS, build

INSTALLED = {"typer", "click", "annotated_doc", "shellingham", "typing_extensions", "colorama"}
"""What help is printed with: Typer and what it may need. Everything else that is installed costs time and stays out."""
SLOW_TO_LOAD = {"asyncio", "ssl", "http", "multiprocessing", "concurrent", "sqlite3", "unittest", "xml", "email"}
"""Of Python's own: an event loop, and what makes network calls."""


def run(*arguments: str, code: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "gateway.cli.main"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AOS_")}
    return subprocess.run([*command, *arguments], env=clean | environ, capture_output=True, text=True, timeout=120)


def loaded_by_help() -> set[str]:
    """Modules that ``aos --help`` loads, beside those of a bare interpreter."""
    show = """
import sys
bare = set(sys.modules)
from gateway.cli.main import main
try:
    main(["--help"])
except SystemExit as end:
    assert end.code == 0
print(*set(sys.modules) - bare)
"""
    answer = run(code=show)
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.splitlines()[-1].split())


def test_help_loads_nothing_that_takes_long():
    packages = {name.partition(".")[0] for name in loaded_by_help()}
    assert "typer" in packages
    assert packages - sys.stdlib_module_names - {"gateway"} <= INSTALLED
    assert not packages & SLOW_TO_LOAD


def test_help_loads_no_command_and_nothing_behind_the_command_line():
    ours = {name for name in loaded_by_help() if name.startswith("gateway.")}
    assert "gateway.cli.main" in ours
    assert {name for name in ours if not (name + ".").startswith("gateway.cli.")} == set()
    assert ours & {f"gateway.cli.{command.module}" for command in COMMANDS} == set()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_explains_itself(command):
    words = [command.name, "--help"]
    answer = CliRunner().invoke(build(words), words, prog_name="aos")
    assert answer.exit_code == 0
    assert "Usage: aos " + command.name in answer.stdout


def test_the_command_says_its_release():
    answer = run("--version")
    assert (answer.returncode, answer.stdout) == (0, f"aos {metadata.version('aos-gateway')}\n")


def test_a_wrong_command_is_wrong_usage():
    answer = run("tsak")
    assert answer.returncode == 2
    assert "tsak" in answer.stderr


def test_a_wrong_setting_is_wrong_usage_and_no_traceback():
    answer = run("config", "show", AOS_HTTP_PORT="eighty")
    assert answer.returncode == 2
    assert "AOS_HTTP_PORT" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_absent_gateway_is_unreachable_and_says_how_to_start_one():
    answer = run("task", "list", "--url", "http://127.0.0.1:9")
    assert answer.returncode == 3
    assert "aos up" in answer.stderr


def test_errors_are_problem_json_when_scripts_ask():
    answer = run("task", "get", "x", "--json", "--url", "http://127.0.0.1:9")
    assert answer.returncode == 3
    assert json.loads(answer.stderr)["code"] == "unreachable"


@pytest.mark.parametrize(
    ("arguments", "said", "see"),
    [
        (("task", "get", "--json"), "Missing argument 'task_id'", "aos task get --help"),
        (("task", "list", "--limit", "0", "--json"), "'--limit'", "aos task list --help"),
        (("task", "submt", "--json"), "Did you mean 'submit'?", "aos task --help"),
        (("tsak", "--json"), "Did you mean 'task'?", "aos --help"),
    ],
)
def test_wrong_usage_is_problem_json_when_scripts_ask(arguments, said, see):
    answer = run(*arguments)
    problem = json.loads(answer.stderr)
    assert (answer.returncode, answer.stdout, problem["code"]) == (2, "", "usage")
    assert said in problem["title"]
    assert see in problem["next_step"]


def test_the_exit_code_of_a_command_is_kept_when_scripts_ask():
    answer = run("doctor", "--json", AOS_NATS_URL="nats://127.0.0.1:9")
    assert (answer.returncode, answer.stderr) == (1, "")
    assert json.loads(answer.stdout)


def test_a_folder_for_results_that_cannot_be_made_is_said_before_anything_starts():
    answer = run("demo", "--results", "/dev/null/results")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "/dev/null/results cannot be made: not a directory" in answer.stderr


def test_a_misspelt_variable_is_told_by_doctor_and_before_anything_starts():
    findings = json.loads(run("doctor", "--json", AOS_NATS_ULR="nats://127.0.0.1:9").stdout)
    assert (findings[0]["name"], findings[0]["verdict"]) == ("AOS_NATS_ULR", "warning")
    assert "AOS_NATS_URL" in findings[0]["remedy"]
    answer = run("up", "--agents", "/dev/null/cards", AOS_NATS_ULR="nats://127.0.0.1:9", MY_NATS_ULR="mine")
    told = "! AOS_NATS_ULR is no setting and changes nothing; did you mean AOS_NATS_URL?"
    assert [line for line in answer.stderr.splitlines() if "NATS_U" in line] == [told]
    assert answer.returncode == 1
