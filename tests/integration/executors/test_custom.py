"""Any program as a test: its command, and the JUnit file it may leave."""

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.local.command import RunFolders, arguments, working_folder
from executors.custom_tool import CustomTool
from executors.registry import RULES, TOOLS, tool_for
from model.content import InlineContent
from model.request import TestRequest, TestType
from model.result import Outcome, Report, Summary

TOOL = CustomTool()
REQUEST = TestRequest(
    name="shell", type=TestType.CUSTOM, content=InlineContent(files={"run.sh": ""}), command=("sh", "run.sh"),
    arguments=("-x",), junit="out/junit.xml",
)  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path) -> RunFolders:
    for name in ("work/folder", "results/out", "home"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "work" / "run.sh").write_text("")
    return RunFolders(
        work=tmp_path / "work", results=tmp_path / "results", home=tmp_path / "home", entry=tmp_path / "work"
    )


def test_the_command_is_the_requests_own_with_its_arguments(folders: RunFolders) -> None:
    assert arguments(TOOL.command(REQUEST), folders) == ("sh", "run.sh", "-x")


@pytest.mark.parametrize(("entry", "cwd"), [(".", "."), ("folder", "folder"), ("run.sh", ".")])
def test_it_runs_in_the_folder_of_its_entry(folders: RunFolders, entry: str, cwd: str) -> None:
    here = replace(folders, entry=folders.work / entry)

    assert working_folder(TOOL.command(REQUEST), here) == folders.work / cwd


def test_a_request_without_a_command_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="needs a command"):
        TOOL.command(replace(REQUEST, command=None))


def test_without_a_junit_file_nothing_is_reported(folders: RunFolders) -> None:
    assert TOOL.read(replace(REQUEST, junit=None), folders.results) == Report(finished=True)


def test_a_junit_file_in_the_results_folder_is_read(folders: RunFolders) -> None:
    (folders.results / "out" / "junit.xml").write_text('<testsuite><testcase name="a"/></testsuite>')

    report = TOOL.read(REQUEST, folders.results)

    assert [(r.name, r.outcome) for r in report.results] == [("a", Outcome.PASSED)]
    assert report.finished


def test_a_junit_file_that_came_with_the_content_is_not_taken_for_a_report(folders: RunFolders) -> None:
    (folders.work / "out").mkdir()
    (folders.work / "out" / "junit.xml").write_text('<testsuite><testcase name="a"/></testsuite>')

    report = TOOL.read(REQUEST, folders.results)

    assert report.broken.endswith("write the JUnit file to $ASSAY_RESULTS_DIR/out/junit.xml")


@pytest.mark.parametrize("path", ["../work/junit.xml", "/etc/passwd", "out/../../x"])
def test_a_junit_path_that_leads_out_is_not_read(folders: RunFolders, path: str) -> None:
    assert "leads out" in TOOL.read(replace(REQUEST, junit=path), folders.results).broken


def test_a_linked_folder_does_not_lead_out_either(folders: RunFolders) -> None:
    (folders.results / "out").rmdir()
    (folders.results / "out").symlink_to(folders.work)
    (folders.work / "junit.xml").write_text("<testsuite/>")

    assert "leads out" in TOOL.read(REQUEST, folders.results).broken


def test_progress_is_unknown(folders: RunFolders) -> None:
    assert TOOL.progress(folders.results) == Summary(total=0, passed=0, failed=0, skipped=0)


def test_each_type_that_may_be_submitted_has_a_tool() -> None:
    assert set(TOOLS) == set(RULES)
    assert isinstance(tool_for(TestType.CUSTOM), CustomTool)
    with pytest.raises(ValueError, match="no executor for k6"):
        tool_for(TestType.K6)
