"""Find the JUnit files that a request names among what the test left, and read them."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from executors.junit import reader
from executors.junit.reader import ReportFile
from executors.untrusted import LONGEST_MESSAGE, TooLargeError, UnreadableError, open_file
from model.result import Report

LARGEST = 20 * 2**20
"""Bytes of one file."""
LARGEST_TOTAL = 100 * 2**20
MOST_FILES = 500
_PATTERN = frozenset("*?[")


def read(pattern: str, results: Path) -> Report:
    """Return one report of the files that `pattern` names: a path below the results folder, or a pattern of paths.

    Only files below the results folder are read: no file that came with the content is taken for a report.
    """
    if ".." in Path(pattern).parts or Path(pattern).is_absolute():
        return _leads_out(pattern)
    paths = _matches(pattern, results)
    if not all(path.resolve().is_relative_to(results.resolve()) for path in paths):
        return _leads_out(pattern)
    if not paths:
        return Report(broken=f"no file matches {pattern}; write the JUnit files to $ASSAY_RESULTS_DIR/{pattern}")
    if len(paths) > MOST_FILES:
        return Report(broken=f"{len(paths)} files match {pattern}, more than the {MOST_FILES} that are read")
    return _read(pattern, results, paths)


def _leads_out(pattern: str) -> Report:
    return Report(broken=f"junit: {pattern!r} leads out of $ASSAY_RESULTS_DIR", planned=0)


def _matches(pattern: str, results: Path) -> list[Path]:
    """Return the files in the order of their names. A file whose name is the pattern itself is that file."""
    plain = results / pattern
    if plain.exists() or plain.is_symlink() or not _PATTERN & set(pattern):
        return [plain]
    return sorted(path for path in results.glob(pattern) if path.is_symlink() or not path.is_dir())


def _read(pattern: str, results: Path, paths: Iterable[Path]) -> Report:
    opened, left, problems = [], LARGEST_TOTAL, []
    with ExitStack() as stack:
        for path in paths:
            try:
                file = stack.enter_context(open_file(path, LARGEST))
            except UnreadableError as error:
                problems.append(_problem(error, pattern))
                continue
            left -= path.stat().st_size
            name = str(path.relative_to(results))
            opened.append(ReportFile(path=name, file=file, one_of_many=name != pattern))
        if left < 0:
            return Report(broken=f"the JUnit files have more than {_mib(LARGEST_TOTAL)} together; {_SMALLER}")
        return reader.with_problems(reader.read(opened), problems)


_SMALLER = "write less output, for example no system-out"


def _problem(error: UnreadableError, pattern: str) -> str:
    """Return what is wrong with a file, and what to do about it."""
    if isinstance(error, TooLargeError):
        advice = f"{_SMALLER}, or write several files and name them by a pattern such as reports/*.xml"
        return f"{error.name} is larger than {_mib(LARGEST)} ({error.size} bytes): {advice}"
    return f"{error}; write the JUnit file to $ASSAY_RESULTS_DIR/{pattern}"[:LONGEST_MESSAGE]


def _mib(size: int) -> str:
    return f"{size // 2**20} MiB"
