"""What every test tool is to the rest of Assay: a command to run, and a report to read when it has ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from model.request import TestRequest
from model.result import Report, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolders:
    """The folders of one attempt.

    `entry` is the file or folder inside `work` that `content.path` names; `python` the interpreter of the test's own
    virtual environment, None if it has none.
    """

    work: Path
    results: Path
    home: Path
    entry: Path
    python: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start, where, and which variables it needs besides the test's own."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)


class Tool(Protocol):
    """One kind of test tool. What it reads was written by a test: it may be huge, broken, hostile or missing."""

    def command(self, request: TestRequest, folders: RunFolders) -> Command:
        """Return how to run `request`; the content is in place."""
        ...

    def read(self, request: TestRequest, folders: RunFolders) -> Report:
        """Return what the tool left. Never raises for what it finds: `Report.broken` says it."""
        ...

    def progress(self, folders: RunFolders) -> Summary:
        """Return the counts so far, all 0 while unknown. Cheap: reads a bounded piece of a file."""
        ...
