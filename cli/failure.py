"""What can go wrong for a command, and the exit code it then ends with (D6)."""

from collections.abc import Sequence

from model.execution import EXIT_OVER_QUOTA, EXIT_REFUSED
from model.problems import InvalidError, Problem

EXIT_UNREACHABLE = 3
"""Infrastructure: no answer, or no certain one; also a watcher that let go of a run that goes on."""

EXIT_UNREAD = 141
"""Whoever read our output has closed it, as `head` does; shells give this code to what SIGPIPE ends."""

NOT_FOUND = 404
_WHERE = {"no pool ": "`assay pool list` names all", "no run ": "`assay list` shows the latest"}
_BY_STATUS = {429: EXIT_OVER_QUOTA}


class CommandError(Exception):
    """A command cannot go on; its text says who must do what."""

    exit_code = EXIT_UNREACHABLE


class UnreachableError(CommandError):
    """No answer from the server: look whether it runs (`assay status`), or try again."""


class DetachedError(CommandError):
    """The watcher let go; the run goes on."""


class UsageError(CommandError):
    """The command line or a file on this side is wrong; change it."""

    exit_code = EXIT_REFUSED


class RefusedError(CommandError):
    """The server refused; `problems` says what to change, where it knows."""

    def __init__(self, status: int, detail: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.problems = tuple(problems)
        self.exit_code = EXIT_UNREACHABLE if status >= 500 else _BY_STATUS.get(status, EXIT_REFUSED)  # noqa: PLR2004  server errors


def next_step(error: RefusedError) -> str:
    """Return where to look for what is not there, to be put behind the refusal."""
    known = (way for what, way in _WHERE.items() if error.status == NOT_FOUND and str(error).startswith(what))
    return next((f": {way}" for way in known), "")


def refused(error: InvalidError) -> RefusedError:
    """Return a finding on this side as the refusal that the server would send."""
    count = len(error.problems)
    return RefusedError(400, f"the request has {count} problem{'' if count == 1 else 's'}", error.problems)
