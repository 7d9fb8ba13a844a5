"""Which attempts are alive on this machine, by the kernel's table of processes: whoever started them may be gone."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from cluster.backend import AttemptId
from cluster.local import cleanup, proc
from model.ids import ExecutionId, RunId

SHIM = b"cluster.local.shim"
RESULTS = b"ASSAY_RESULTS_DIR="


def attempts(runs: Path) -> list[AttemptId]:
    """Return the attempts below `runs` of which a process is alive, in order.

    A shim counts before it has started its test, too. A process belongs to an attempt by its command line (a shim), by
    the marks in its environment, or by its working directory. A shell of a person that stands in a run folder has a
    terminal, and is none of the attempt's.
    """
    roots = {runs.absolute(), runs.resolve()}
    found = {attempt for pid in proc.processes() for path in _paths(pid) if (attempt := _attempt(path, roots))}
    return sorted(found, key=lambda attempt: (attempt.execution_id, attempt.number))


def kept(runs: Path) -> list[AttemptId]:
    """Return the attempts whose folders below `runs` hold more than is kept of an ended attempt, in order."""
    found = set()
    for folder in runs.glob("*/*"):
        attempt = _named(folder.relative_to(runs).parts)
        if attempt is not None and not cleanup.is_tidy(folder):
            found.add(attempt)
    return sorted(found, key=lambda attempt: (attempt.execution_id, attempt.number))


def _paths(pid: int) -> Iterator[Path]:
    """Yield paths that may lie in a run folder."""
    words = proc.command_line(pid)
    if len(words) > 1 and any(SHIM in word for word in words):
        yield _path(words[-1])
    yield from (_path(mark.removeprefix(RESULTS)) for mark in proc.variables(pid) if mark.startswith(RESULTS))
    if (folder := proc.working_folder(pid)) is not None and not _has_terminal(pid):
        yield Path(folder)


def _has_terminal(pid: int) -> bool:
    stat = proc.stat_of(pid)
    return stat is not None and stat.terminal != 0


def _path(name: bytes) -> Path:
    return Path(name.decode(errors="surrogateescape"))


def _attempt(path: Path, roots: set[Path]) -> AttemptId | None:
    for root in roots:
        if path.is_relative_to(root):
            return _named(path.relative_to(root).parts)
    return None


def _named(parts: tuple[str, ...]) -> AttemptId | None:
    match parts:
        case (execution_id, number, *_):
            try:
                return AttemptId(execution_id=ExecutionId(RunId(UUID(execution_id))), number=int(number))
            except ValueError:
                return None
    return None
