"""What Assay needs to know of a test tool: how to run it, what its requests need, and what it leaves means."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from model.command import Command, PythonEnvironment
from model.execution import Verdict
from model.fault import Fault
from model.problems import Finding
from model.request import TestRequest
from model.result import Report, Summary
from model.rules import Raw

PYTHON_BASE = Path(__file__).with_name("pytest_requirements.txt")
"""pytest itself, pinned and hashed: what a virtual environment holds if the content asks for nothing else."""


class Tool(Protocol):
    """One kind of test tool. What it reads was written by a test: it may be huge, broken, hostile or missing."""

    @property
    def image(self) -> str | None:
        """The image that the tool runs in where its backend uses images; None if a request must name one."""
        ...

    @property
    def faults(self) -> Sequence[Fault]:
        """Its own endings beside those of every tool, and who is at fault. `docs/faults.md` shows them."""
        ...

    def problems(self, raw: Raw) -> Iterator[Finding]:
        """Yield what is wrong in a request of this type by the tool's own rules. Other fields may be wrong, too."""
        ...

    def python(self, request: TestRequest) -> PythonEnvironment | None:
        """Return the virtual environment that the request needs, None if it needs none."""
        ...

    def command(self, request: TestRequest) -> Command:
        """Return how to run the request. The same request always gives the same command."""
        ...

    def read(self, request: TestRequest, results: Path) -> Report:
        """Return the report that the tool left. Never raises for what it finds: `Report.broken` says it."""
        ...

    def progress(self, results: Path) -> Summary:
        """Return the counts so far, all 0 while unknown. Cheap: reads a bounded piece of a file."""
        ...

    def verdict(self, report: Report, exit_code: int, said: str) -> Verdict:
        """Return what an exit code means together with a report that can be trusted. `said`: its last words."""
        ...
