"""The entry point of `assay`: mounts the commands, and turns errors into exit codes."""

import os
import sys
import traceback
from typing import Annotated

import typer

from cli import admin, chaos, clusters, events, explaining, limits, outcomes, output, people, runs, services, simulate
from cli.failure import EXIT_UNREACHABLE, EXIT_UNREAD, CommandError, RefusedError, next_step
from cli.output import say
from model.fault import EXIT_REFUSED

app = typer.Typer(
    name="assay",
    help="Run tests through one fair queue that explains itself. Data goes to stdout, messages to stderr.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 passed, 1 tests failed, 2 cancelled, 3 infrastructure or no answer, "
    "4 misconfigured or refused, 5 no tests, 6 over quota, 7 inconclusive, 124 timed out.",
)
runs.mount(app)
outcomes.mount(app)
explaining.mount(app)
admin.mount(app)
limits.mount(app)
people.mount(app)
clusters.mount(app)
simulate.mount(app)
services.mount(app)
chaos.mount(app)
events.mount(app)


def _version(wanted: bool) -> None:
    """Write the version and end."""
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  only --version pays for it

        output.data(f"assay {version('assay')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Take the options that need no command."""


STACK_COMMANDS = frozenset({"up", "down", "status", "env", "open"})
"""The commands of `cli.stack.commands`, which are imported only when they are needed."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    code = run(sys.argv[1:])
    if code == EXIT_UNREAD:
        _hush()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. An error of our own never looks like a verdict."""
    try:
        return _run(arguments)
    except BrokenPipeError:
        return EXIT_UNREAD
    except SystemExit as error:  # Typer and Rich turn a broken pipe into 1, which would be a verdict
        if isinstance(error.__context__, BrokenPipeError):
            return EXIT_UNREAD
        raise
    except OSError as error:
        say(f"error: {error}")
    except Exception:  # noqa: BLE001  the last place that can tell a fault of ours from failed tests
        say(traceback.format_exc())
    return EXIT_UNREACHABLE


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in STACK_COMMANDS or not _is_ours(arguments[0]):
        _mount_stack()
    try:
        return int(app(args=arguments, prog_name="assay", standalone_mode=False) or 0)
    except RefusedError as error:
        say(f"refused: {error}{next_step(error)}")
        for problem in error.problems:
            say(f"  {problem.path or '(whole)'}: {problem.message}")
        return error.exit_code
    except CommandError as error:
        say(f"error: {error}")
        return error.exit_code
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # Typer shows the help in the same way
            output.data(error.format_message())
            return 0
        return _misused(error)
    except typer.Abort:
        return EXIT_REFUSED


def _hush() -> None:
    """Discard the output that is still buffered: the reader has closed the pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)


def _misused(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if context is not None:
        say(context.get_usage())
    if error.format_message():
        say(f"error: {error.format_message()}")
    return EXIT_REFUSED


def _is_ours(name: str) -> bool:
    return any(command.name == name for command in app.registered_commands) or any(
        group.name == name for group in app.registered_groups
    )


def _mount_stack() -> None:
    """Add the commands of the stack. Help needs them too, since it lists all commands."""
    if any(command.name in STACK_COMMANDS for command in app.registered_commands):
        return
    from cli.stack.commands import app as stack  # noqa: PLC0415  only these commands pay for what it imports

    app.registered_commands.extend(stack.registered_commands)


if __name__ == "__main__":
    main()
