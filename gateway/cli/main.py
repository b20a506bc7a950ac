"""The command ``aos``: knows every subcommand's name and one line about it, and loads only the one that is called."""

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from gateway.cli.terminal.failure import ExitCode, Failed, report

EPILOG = (
    "Exit codes: 0 done · 1 the task failed or was refused · 2 wrong usage or setting · 3 not reachable · "
    "4 not found · 5 still running when the wait was over · 6 waits for a person's approval."
)


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand that is loaded when called: ``module``, below ``gateway.cli``, holds a Typer app named ``app``."""

    name: str
    module: str
    help: str


COMMANDS = (
    Command("up", "up", "Start everything here: bus, gateway, workers, agents. Ctrl-C drains and stops."),
    Command("serve", "serve", "Run one role in this process: gateway, agents, evolution or perception."),
    Command("demo", "demo.command", "The main job on real input: sixteen tasks, two doors, one worker killed."),
    Command("task", "task.command", "Submit a task, watch it, get its result, cancel or approve it."),
    Command("agents", "agents.command", "Register, list, search and remove agents."),
    Command("explain", "task.explain", "Who would be chosen for a task, and why, without doing it."),
    Command("dead", "dead.command", "Work that was given up: list it, look at it, try it again."),
    Command("experience", "experience.command", "What happened, for learning: follow it, export it."),
    Command("mine", "mining.mine", "What keeps happening: find patterns, make routing rules of them."),
    Command("rules", "mining.rules", "Routing rules made of patterns: list them, take them back."),
    Command("policy", "policy.command", "Which learned policy routes, what it learned from, and changing it."),
    Command("experiment", "policy.experiment", "Two policies share traffic until the evidence decides."),
    Command("replay", "replay.command", "What happened, step by step, and how another policy would have done."),
    Command("bench", "bench.command", "How good matching, learning and routing are on your own files."),
    Command("tensor", "tensor", "Store tensors on this machine, get them back, see how well they pack."),
    Command("train", "train", "Train the small image and audio towers and the fusion weights."),
    Command("config", "config", "Every setting, its value and where it came from."),
    Command("schema", "schema", "JSON Schemas and the map of the bus: export and check."),
    Command("doctor", "doctor.command", "What is missing on this machine and how to get it."),
)


def build(arguments: Sequence[str], commands: Sequence[Command] = COMMANDS) -> typer.Typer:
    """The app for these arguments: the called command for real, the others by name and help only."""
    app = typer.Typer(
        name="aos",
        help="Publish a task; the right team of agents does it, durably, and better next time.",
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help: loading rich for a frame around it doubles the time to answer
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    called = next((word for word in arguments if not word.startswith("-")), None)
    completing = "_AOS_COMPLETE" in os.environ
    for command in commands:
        if command.name == called or completing:
            _add(app, command, importlib.import_module(f"gateway.cli.{command.module}").app)
        else:
            app.command(command.name, help=command.help)(_placeholder)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``aos``. Ends the process with one of the documented exit codes; no tracebacks for users."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    try:
        # For scripts the errors of usage come to us, so that they are problem JSON as well; for people they are shown.
        sys.exit(build(words)(args=words, prog_name="aos", standalone_mode=not as_json))
    except Failed as failure:
        sys.exit(report(failure, as_json=as_json))
    except typer.TyperException as error:
        sys.exit(report(_wrong_usage(error), as_json=as_json))
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


def _wrong_usage(error: typer.TyperException) -> Failed:
    # Most know which command was called; the class that says so is not exported by typer.
    context: typer.Context | None = getattr(error, "ctx", None)
    called = context.command_path if context is not None else "aos"
    return Failed(error.format_message(), exit_code=ExitCode.USAGE, code="usage", next_step=f"see `{called} --help`")


def _add(app: typer.Typer, command: Command, loaded: Any) -> None:  # noqa: ANN401 - whatever the module calls app
    """A module's single command becomes ``aos name``; several become the group ``aos name …``."""
    if len(loaded.registered_commands) == 1 and not loaded.registered_groups and not loaded.registered_callback:
        only = loaded.registered_commands[0]
        app.command(command.name, help=only.help or command.help, context_settings=only.context_settings)(only.callback)
    else:
        alone = loaded.registered_callback is not None and loaded.registered_callback.invoke_without_command is True
        app.add_typer(loaded, name=command.name, help=command.help, no_args_is_help=not alone)


def _tell_version(asked: bool) -> None:
    if asked:
        from gateway.release import release  # reading what is installed takes a tenth of the time that --help does

        typer.echo(f"aos {release()}")
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Holds the options of ``aos`` itself."""


def _placeholder() -> None:
    """Stands for a command that these arguments do not call."""


if __name__ == "__main__":
    main()
