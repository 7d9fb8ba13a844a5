"""event: an event-driven test, run by `python -m events.run`. Each of its assertions is one result."""

from collections.abc import Iterator
from pathlib import Path

from events.endings import EXIT_AWAY, EXIT_UNKNOWN, EXIT_WRONG, JUNIT
from executors.junit import files
from model import verdict
from model.command import Command, PythonEnvironment, Where
from model.content import WHOLE
from model.execution import Reason, Verdict
from model.fault import Blame, Fault
from model.lenient import mapping
from model.problems import Finding
from model.request import TestRequest
from model.result import Outcome, Report, Summary, summarise
from model.rules import Raw, named_entries

PROGRAM = Path(__file__).with_name("event_program.py")
BASE = Path(__file__).with_name("event_requirements.txt")
"""What the framework of event tests imports, pinned and hashed."""
MODULE = "confluent_kafka"
PACKAGES = ("events", "model", "reports")

FAILED = Fault(
    tool="event",
    happened="an assertion failed, or the service that triggers it refused",
    blame=Blame.TARGET,
    reason=Reason.TESTS_FAILED,
)
UNKNOWN = Fault(
    tool="event",
    happened="no assertion failed, but one was not tested, or the test ended too early to know",
    blame=Blame.TARGET,
    reason=Reason.TESTS_FAILED,
)
AWAY = Fault(
    tool="event",
    happened="the broker, or the service that triggers it, does not answer",
    blame=Blame.INFRASTRUCTURE,
    reason=Reason.INFRASTRUCTURE,
)
WRONG = Fault(
    tool="event",
    happened="the file is wrong, a topic is missing, or the broker lacks what the test needs",
    blame=Blame.SETUP,
    reason=Reason.CONFIG,
)
UNHAPPY = Fault(
    tool="event",
    happened="the program itself ended with an error",
    blame=Blame.SETUP,
    reason=Reason.TOOL_FAILED,
)


class EventTool:
    """The tool `event`."""

    image: str | None = None
    faults = (FAILED, UNKNOWN, AWAY, WRONG, UNHAPPY)

    def problems(self, raw: Raw) -> Iterator[Finding]:
        """Yield that no file is named, and fields that only custom has."""
        for key in ("command", "junit"):
            if raw.get(key) is not None:
                yield Finding(location=(key,), message="is only for custom; what an event test does is in its file")
        named = named_entries(raw)
        if len(named) != 1 or named[0] == WHOLE or "::" in named[0]:
            key = "entry" if mapping(raw.get("content")).get("type") == "local" else "path"
            yield Finding(location=("content", key), message="must name one file for event: the test, in YAML")

    def python(self, request: TestRequest) -> PythonEnvironment | None:
        """Return an environment with what the framework imports. What the content asks for is there for triggers."""
        return PythonEnvironment(base=BASE, requirements=request.setup.requirements, module=MODULE)

    def command(self, request: TestRequest) -> Command:
        """Run the file that `content.path` names, in its folder. Outputs go to the results of the attempt."""
        return Command(
            argv=(Where.PYTHON, "-I", Where.SUPPORT, Where.PACKAGES, Where.ENTRY, Where.RESULTS, *request.arguments),
            folder=Where.ENTRY,
            support=PROGRAM,
            packages=PACKAGES,
        )

    def read(self, request: TestRequest, results: Path) -> Report:  # noqa: ARG002  one shape for all tools
        """Return one result for each assertion. A test that could not begin leaves no file: its exit code says why."""
        if not (results / JUNIT).exists() and not (results / JUNIT).is_symlink():
            return Report(finished=True)
        return files.read(JUNIT, results)

    def progress(self, results: Path) -> Summary:  # noqa: ARG002  one shape for all tools
        """Return that nothing is known: most assertions are decided when the test ends."""
        return Summary(total=0, passed=0, failed=0, skipped=0)

    def verdict(self, report: Report, exit_code: int, said: str) -> Verdict:
        """Return what an exit code of `events.run` means."""
        counts = summarise(report.results, report.planned)
        if exit_code == 0:
            return verdict.passed(report, counts)
        if exit_code == EXIT_AWAY:
            return AWAY.verdict(said or AWAY.happened)
        if exit_code == EXIT_WRONG:
            return WRONG.verdict(said or WRONG.happened)
        if not counts.failed:
            return verdict.unhappy(UNHAPPY, report, exit_code, said)
        if exit_code == EXIT_UNKNOWN:
            first = next(result.name for result in report.results if result.outcome is Outcome.FAILED)
            return UNKNOWN.verdict(f"{counts.failed} of {counts.total} were not tested, or not decided, first {first}")
        return FAILED.verdict(verdict.failures(report, counts))
