"""custom: any program. Its exit code is the verdict, and a JUnit file the detail where the request names one."""

from collections.abc import Iterator
from pathlib import Path

from executors.junit import files
from executors.tool import PYTHON_BASE
from model import fault
from model.command import Command, PythonEnvironment, Where
from model.execution import Reason, Verdict
from model.fault import Blame, Fault
from model.lenient import mapping
from model.problems import Finding
from model.request import TestRequest
from model.result import Report, Summary, summarise
from model.rules import Raw, named_entries
from model.verdict import failures, has_report, passed, unhappy

_CODE_NOTES = {126: ", not executable", 127: ", command not found"}

FAILED = Fault(
    tool="custom",
    happened="an exit code other than 0, without a JUnit file",
    blame=Blame.TARGET,
    reason=Reason.TESTS_FAILED,
)
REPORTED = Fault(
    tool="custom",
    happened="an exit code other than 0, and the JUnit file has failures",
    blame=Blame.TARGET,
    reason=Reason.TESTS_FAILED,
)
UNHAPPY = Fault(
    tool="custom",
    happened="an exit code other than 0, and the JUnit file has no failure",
    blame=Blame.TARGET,
    reason=Reason.TOOL_FAILED,
)


class CustomTool:
    """The tool `custom`."""

    image: str | None = None
    faults = (FAILED, REPORTED, UNHAPPY)

    def problems(self, raw: Raw) -> Iterator[Finding]:
        """Yield that the command is missing."""
        if raw.get("command") is None:
            yield Finding(location=("command",), message="is required for custom: the program and its arguments")
        named = named_entries(raw)
        if len(named) > 1 or any("::" in entry for entry in named):
            key = "entry" if mapping(raw.get("content")).get("type") == "local" else "path"
            message = "may be a list or a node id only for pytest: a custom command starts in one folder"
            yield Finding(location=("content", key), message=message)

    def python(self, request: TestRequest) -> PythonEnvironment | None:
        """Return an environment only for a request that names requirements."""
        if request.setup.requirements is None:
            return None
        return PythonEnvironment(base=PYTHON_BASE, requirements=request.setup.requirements)

    def command(self, request: TestRequest) -> Command:
        """Run the request's own command in the folder that `content.path` names, or in that of the file it names."""
        if request.command is None:
            msg = "custom needs a command; the check refuses a request without one"
            raise ValueError(msg)
        return Command(argv=(*request.command, *request.arguments), folder=Where.ENTRY)

    def read(self, request: TestRequest, results: Path) -> Report:
        """Return the JUnit file's results. Its path is relative to the results folder: no old file can be there."""
        if request.junit is None:
            return Report(finished=True)
        return files.read(request.junit, results)

    def progress(self, results: Path) -> Summary:  # noqa: ARG002  one shape for all tools
        """Return that nothing is known: a JUnit file is written at the end."""
        return Summary(total=0, passed=0, failed=0, skipped=0)

    def verdict(self, report: Report, exit_code: int, said: str) -> Verdict:
        """Return what an exit code means. Without a JUnit file it decides alone."""
        if not has_report(report):
            return _by_exit_code(exit_code, said)
        counts = summarise(report.results, report.planned)
        if exit_code == 0:
            return passed(report, counts)
        if counts.failed:
            return REPORTED.verdict(failures(report, counts))
        return unhappy(UNHAPPY, report, exit_code, said)


def _by_exit_code(code: int, said: str) -> Verdict:
    if code == 0:
        return fault.PASSED.verdict()
    note = _CODE_NOTES.get(code, "") + (f": {said}" if said else "")
    return FAILED.verdict(f"ended with exit code {code}{note}")
