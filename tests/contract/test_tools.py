"""What every test tool does: a command that runs in the content, and a report that is read whatever was left."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cluster.local.command import RunFolders, arguments, working_folder
from executors import pytest_report
from executors.registry import TOOLS
from executors.tool import Tool
from model.command import Where
from model.content import InlineContent
from model.definition import to_raw
from model.fault import COMMON
from model.request import Setup, TestRequest, TestType
from model.result import Outcome, Report, Result, Summary

NOTHING = Summary(total=0, passed=0, failed=0, skipped=0)
JUNIT = "junit.xml"
SHELL = f"""cat >"$ASSAY_RESULTS_DIR/{JUNIT}" <<'.'
<testsuite><testcase name="test_good"/><testcase name="test_bad"><failure message="no"/></testcase></testsuite>
.
exit 1
"""
EVENTS = """
name: order
topics: [orders]
broker: "memory:"
trigger: {produce: {topic: orders, payload: {type: OrderCreated}}}
assertions: [{expect: OrderCreated, name: test_good}, {never: OrderCreated, name: test_bad}]
"""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A request with a test that passes and one that fails, and the file in which its tool leaves the report."""

    request: TestRequest
    report: str


SAMPLES = {
    TestType.PYTEST: Sample(
        request=TestRequest(
            name="sample",
            type=TestType.PYTEST,
            content=InlineContent(files={"test_it.py": "def test_good(): pass\ndef test_bad(): assert False\n"}),
        ),
        report=pytest_report.FILE,
    ),
    TestType.CUSTOM: Sample(
        request=TestRequest(
            name="sample",
            type=TestType.CUSTOM,
            content=InlineContent(files={"run.sh": SHELL}),
            command=("sh", "run.sh"),
            junit=JUNIT,
        ),
        report=JUNIT,
    ),
    TestType.EVENT: Sample(
        request=TestRequest(
            name="sample",
            type=TestType.EVENT,
            content=InlineContent(files={"order.yaml": EVENTS}, path="order.yaml"),
        ),
        report=JUNIT,
    ),
}


@pytest.fixture(params=TOOLS)
def kind(request: pytest.FixtureRequest) -> TestType:
    kind: TestType = request.param
    return kind


@pytest.fixture
def tool(kind: TestType) -> Tool:
    return TOOLS[kind]


@pytest.fixture
def sample(kind: TestType) -> Sample:
    return SAMPLES[kind]


@pytest.fixture
def folders(sample: Sample, tmp_path: Path) -> RunFolders:
    """The folders of an attempt, the content in place."""
    work, results, home = (tmp_path / name for name in ("work", "results", "home"))
    for folder in (work, results, home):
        folder.mkdir()
    assert isinstance(sample.request.content, InlineContent)
    for name, text in sample.request.content.files.items():
        (work / name).write_text(text)
    entry = work / str(sample.request.content.path)
    return RunFolders(work=work, results=results, home=home, entry=entry, python=Path(sys.executable))


def run(tool: Tool, sample: Sample, folders: RunFolders) -> int:
    """Run the command as the shim does: in its folder, with the variables of a test."""
    command = tool.command(sample.request)
    surroundings = {"PATH": os.defpath, "HOME": str(folders.home), "ASSAY_RESULTS_DIR": str(folders.results)}
    done = subprocess.run(
        arguments(command, folders),
        cwd=working_folder(command, folders),
        env={**surroundings, **command.env},
        capture_output=True,
        check=False,
    )
    return done.returncode


def outcomes(report: Report) -> list[Outcome]:
    return [result.outcome for result in report.results]


def test_every_type_that_may_be_submitted_has_a_tool_and_a_sample() -> None:
    assert set(TOOLS) == set(SAMPLES)


def test_the_command_runs_inside_of_the_content_and_is_the_same_each_time(
    tool: Tool, sample: Sample, folders: RunFolders
) -> None:
    """Another worker that takes the run over must not think of another command."""
    command = tool.command(sample.request)

    assert command.argv
    assert working_folder(command, folders).is_relative_to(folders.work)
    assert tool.command(sample.request) == command


def test_the_command_holds_no_path_of_this_machine(tool: Tool, sample: Sample) -> None:
    """The backend that runs it may be a cluster: it puts the tool's own file where the test can read it."""
    command = tool.command(sample.request)

    assert [word for word in command.argv if isinstance(word, str) and word.startswith("/")] == []
    assert (command.support is not None) == (Where.SUPPORT in command.argv)
    assert command.support is None or command.support.is_file()


def test_the_environment_has_what_the_content_asks_for(tool: Tool, sample: Sample) -> None:
    wanted = replace(sample.request, setup=Setup(requirements="requirements.txt"))

    python = tool.python(wanted)

    assert python is not None
    assert (python.requirements, python.base.is_file()) == ("requirements.txt", True)
    assert (Where.PYTHON in tool.command(sample.request).argv) <= (tool.python(sample.request) is not None)


def test_its_own_sample_breaks_none_of_its_rules(tool: Tool, sample: Sample) -> None:
    assert list(tool.problems(to_raw(sample.request))) == []


def test_it_needs_nothing_to_be_right_to_find_its_problems(tool: Tool) -> None:
    """A rule reads a request of which any field may be wrong or missing."""
    for raw in ({}, {"command": 1, "junit": [], "setup": None, "content": "x"}):
        assert all(finding.message for finding in tool.problems(raw))


def test_no_exit_code_but_0_is_a_pass_and_0_only_with_a_whole_good_report(tool: Tool) -> None:
    good, bad = Result(name="a", outcome=Outcome.PASSED), Result(name="b", outcome=Outcome.FAILED)
    whole = Report(results=(good,), planned=1, finished=True)
    doubtful = (replace(whole, results=(good, bad), planned=2), replace(whole, finished=False))

    assert [code for code in range(256) if tool.verdict(whole, code, "").good] == [0]
    assert [code for code in range(256) for report in doubtful if tool.verdict(report, code, "").good] == []


def test_every_verdict_is_one_of_its_endings_or_of_every_tool(tool: Tool) -> None:
    """So that `docs/faults.md` says of each who is at fault."""
    good, bad = Result(name="a", outcome=Outcome.PASSED), Result(name="b", outcome=Outcome.FAILED)
    reports = [
        Report(results=results, planned=len(results), finished=finished)
        for results in ((), (good,), (bad,), (good, bad))
        for finished in (True, False)
    ]
    known = {(fault.status, fault.reason) for fault in (*COMMON, *tool.faults)}

    found = {tool.verdict(report, code, "") for report in reports for code in range(256)}

    assert {(verdict.status, verdict.reason) for verdict in found} <= known


def test_what_the_command_leaves_is_told_test_by_test(tool: Tool, sample: Sample, folders: RunFolders) -> None:
    assert run(tool, sample, folders) == 1

    report = tool.read(sample.request, folders.results)

    assert (report.broken, report.finished) == ("", True)
    assert [result.name.rpartition("::")[2] for result in report.results] == ["test_good", "test_bad"]
    assert outcomes(report) == [Outcome.PASSED, Outcome.FAILED]


def test_reading_changes_nothing(tool: Tool, sample: Sample, folders: RunFolders) -> None:
    run(tool, sample, folders)
    first = tool.read(sample.request, folders.results)

    assert tool.read(sample.request, folders.results) == first


def test_a_report_that_was_cut_is_not_taken_for_a_whole_one(tool: Tool, sample: Sample, folders: RunFolders) -> None:
    run(tool, sample, folders)
    file = folders.results / sample.report
    whole = file.read_bytes()

    for length in range(1, len(whole) - 2):
        file.write_bytes(whole[:length])
        report = tool.read(sample.request, folders.results)
        assert report.broken or not report.finished, whole[:length]


@pytest.mark.parametrize("left", [b"", b"\xff\x00\xfe", b"{}\n" * 1000, b"<a>" * 1000, b"null", b"[" * 10_000])
def test_nothing_that_stands_in_its_place_is_a_pass(
    tool: Tool, sample: Sample, folders: RunFolders, left: bytes
) -> None:
    (folders.results / sample.report).write_bytes(left)

    report = tool.read(sample.request, folders.results)

    assert report.broken or not report.finished or not report.results
    assert Outcome.PASSED not in outcomes(report)


@pytest.mark.parametrize("what", ["nothing", "folder", "link", "pipe", "no results folder"])
def test_what_is_no_report_is_no_crash_and_holds_nobody_up(
    tool: Tool, sample: Sample, folders: RunFolders, what: str
) -> None:
    file = folders.results / sample.report
    {
        "nothing": lambda: None,
        "folder": file.mkdir,
        "link": lambda: file.symlink_to("/etc/passwd"),
        "pipe": lambda: os.mkfifo(file),
        "no results folder": folders.results.rmdir,
    }[what]()

    assert outcomes(tool.read(sample.request, folders.results)) == []
    assert tool.progress(folders.results) == NOTHING


def test_progress_never_exceeds_what_there_is(tool: Tool, sample: Sample, folders: RunFolders) -> None:
    run(tool, sample, folders)

    progress = tool.progress(folders.results)

    assert progress in (NOTHING, Summary(total=2, passed=1, failed=1, skipped=0))
