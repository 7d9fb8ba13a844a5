"""The `assay` command: one function a command, mounted here; errors end here with their exit code."""

import sys
from importlib import import_module

import typer

from cli import admin, explaining, limits, runs, simulate
from cli.failure import CommandError, RefusedError
from cli.output import say
from model.execution import EXIT_REFUSED

app = typer.Typer(
    name="assay",
    help="Run tests through one fair and explained queue. Data goes to stdout, messages to stderr.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 passed, 1 tests failed, 2 cancelled, 3 infrastructure or no answer, 4 refused, "
    "5 no tests, 6 over quota, 124 timed out.",
)
runs.mount(app)
explaining.mount(app)
admin.mount(app)
limits.mount(app)
simulate.mount(app)

STACK_COMMANDS = frozenset({"up", "down", "status", "env"})
"""Of `cli.stack.commands`: they start processes, so that only they pay for what that needs."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    if not arguments or arguments[0] in STACK_COMMANDS or not _is_ours(arguments[0]):
        _mount_stack()
    try:
        return int(app(args=arguments, prog_name="assay", standalone_mode=False) or 0)
    except RefusedError as error:
        say(f"refused: {error}")
        for problem in error.problems:
            say(f"  {problem.path or '(whole)'}: {problem.message}")
        return error.exit_code
    except CommandError as error:
        say(f"error: {error}")
        return error.exit_code
    except typer.TyperException as error:
        return _misused(error)
    except BrokenPipeError:
        return 0
    except typer.Abort:
        return EXIT_REFUSED


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
    """Add the commands of the stack: also for help, which lists them all."""
    if any(command.name in STACK_COMMANDS for command in app.registered_commands):
        return
    stack: typer.Typer = import_module("cli.stack.commands").app
    app.registered_commands.extend(stack.registered_commands)


if __name__ == "__main__":
    main()
