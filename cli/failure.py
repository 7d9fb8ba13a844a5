"""The errors of commands, and the exit code of each (D6)."""

from collections.abc import Sequence

from model.fault import EXIT_OVER_QUOTA, EXIT_REFUSED
from model.problems import InvalidError, Problem

EXIT_UNREACHABLE = 3
"""Infrastructure: there is no certain answer. Also: the command stopped watching a run that continues."""

EXIT_UNREAD = 141
"""The reader of our output has closed it, as `head` does. Shells give this code to a program that SIGPIPE ends."""

NOT_FOUND = 404
_WHERE = {
    "no pool ": "`assay pool list` names all",
    "no run ": "`assay list` shows the latest",
    "no team ": "`assay team list` names all",
    "no user ": "`assay user list` names all",
}
_BY_STATUS = {429: EXIT_OVER_QUOTA}


class CommandError(Exception):
    """A command cannot continue; its text says who must do what."""

    exit_code = EXIT_UNREACHABLE


class UnreachableError(CommandError):
    """The server does not answer: check whether it runs (`assay status`), or try again."""


class DetachedError(CommandError):
    """The command no longer watches the run; the run continues."""


class UsageError(CommandError):
    """The command line or a local file is wrong; change it."""

    exit_code = EXIT_REFUSED


class RefusedError(CommandError):
    """The server refused the request. `problems` says what to change, if the server knows."""

    def __init__(self, status: int, detail: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.problems = tuple(problems)
        self.exit_code = EXIT_UNREACHABLE if status >= 500 else _BY_STATUS.get(status, EXIT_REFUSED)  # noqa: PLR2004  server errors


def next_step(error: RefusedError) -> str:
    """Return a hint where to look for what was not found, to be added to the refusal."""
    known = (way for what, way in _WHERE.items() if error.status == NOT_FOUND and str(error).startswith(what))
    return next((f": {way}" for way in known), "")


def refused(error: InvalidError) -> RefusedError:
    """Return the problems of a local check as the refusal that the server would send."""
    count = len(error.problems)
    return RefusedError(400, f"the request has {count} problem{'' if count == 1 else 's'}", error.problems)
