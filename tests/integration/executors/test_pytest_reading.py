"""The plugin's report is read defensively: a test may have written anything into it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.local.command import RunFolders, arguments
from executors import assay_pytest_plugin as plugin
from executors import pytest_report, pytest_tool
from executors.pytest_report import FILE
from executors.pytest_tool import PytestTool
from model.content import InlineContent
from model.request import TestRequest, TestType
from model.result import Failure, Outcome, Report, ResultKind, Summary

TOOL = PytestTool()
REQUEST = TestRequest(name="suite", type=TestType.PYTEST, content=InlineContent(files={"test_it.py": ""}))


def folders(tmp_path: Path, python: Path | None = Path("/v/bin/python"), entry: str = ".") -> RunFolders:
    for name in ("work", "results", "home"):
        (tmp_path / name).mkdir(exist_ok=True)
    return RunFolders(
        work=tmp_path / "work", results=tmp_path / "results", home=tmp_path / "home", python=python,
        entry=tmp_path / "work" / entry,
    )  # fmt: skip


def read(tmp_path: Path, *lines: object, end: str = "\n") -> Report:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folders(tmp_path).results / FILE).write_text(text.removesuffix("\n") + end if text else "")
    return TOOL.read(REQUEST, folders(tmp_path).results)


def result(name: str, outcome: str = "passed", **more: object) -> dict[str, object]:
    return {"kind": "result", "test": name, "outcome": outcome, "ms": 5, "counts": [1, 0, 0]} | more


START, COLLECTED, END = {"kind": "start", "test": "a"}, {"kind": "collected", "count": 2}, {"kind": "end", "status": 0}


def test_a_whole_report_is_finished(tmp_path: Path) -> None:
    report = read(tmp_path, COLLECTED, START, result("a"), result("b", "failed", message="no"), END)

    assert [(r.name, r.outcome, r.message) for r in report.results] == [
        ("a", Outcome.PASSED, ""), ("b", Outcome.FAILED, "no"),
    ]  # fmt: skip
    assert (report.finished, report.planned, report.running, report.broken) == (True, 2, None, "")


def test_two_results_of_one_node_id_are_two_results(tmp_path: Path) -> None:
    report = read(tmp_path, result("a", "failed"), result("a", "passed"), END)

    assert [(r.name, r.outcome) for r in report.results] == [("a", Outcome.FAILED), ("a #2", Outcome.PASSED)]


def test_what_began_and_what_was_planned_is_known_as_often_as_it_was(tmp_path: Path) -> None:
    planned = {"kind": "planned", "tests": ["a", "a", "a", "b"]}

    report = read(tmp_path, {"kind": "collected", "count": 4}, planned, START, result("a"), START)

    assert [r.name for r in report.results] == ["a"]
    assert [r.name for r in report.unfinished] == ["a #2"]
    assert [r.name for r in report.not_run] == ["a #3", "b"]
    assert {r.kind for r in (*report.unfinished, *report.not_run)} == {ResultKind.NOT_RUN}
    assert (report.running, report.planned) == ("a #2", 4)


def test_the_kind_of_a_result_and_its_other_failures_are_read(tmp_path: Path) -> None:
    others = [{"message": "again", "trace": "t", "error": True, "rerun": True}, "no failure", {"message": 5}]

    (only,) = read(tmp_path, result("a", "failed", detail="error", others=others), END).results

    assert only.kind is ResultKind.ERROR
    assert only.other_failures == (Failure(message="again", trace="t", error=True, rerun=True), Failure())


def test_a_report_cut_in_a_line_is_unfinished_and_not_broken(tmp_path: Path) -> None:
    report = read(tmp_path, result("a"), {"kind": "start", "test": "b"}, '{"kind": "res', end="")

    assert (report.finished, report.running, report.broken, len(report.results)) == (False, "b", "", 1)


@pytest.mark.parametrize(
    "line",
    [
        "no json", "[]", "1", "null", "{}", '{"kind": "other"}', '{"kind": "start", "test": 5}',
        '{"kind": "collected", "count": -1}', '{"kind": "collected", "count": "many"}',
        '{"kind": "result", "test": "a", "outcome": "splendid"}', '{"kind": "result", "test": "a"}',
        '{"kind": "result", "test": ["a"], "outcome": "passed"}', '{"kind": "planned", "tests": []}',
        '{"kind": "planned", "tests": [5]}', '{"kind": "planned"}',
        '{"kind": "result", "test": "a", "outcome": "passed", "detail": "splendid"}',
        '{"kind": "result", "test": "a", "outcome": "passed", "detail": "error"}', "[" * 100_000, "\x00",
    ],
)  # fmt: skip
def test_a_line_that_is_not_the_plugins_breaks_the_report(tmp_path: Path, line: str) -> None:
    report = read(tmp_path, result("a"), line, result("b"), END)

    assert FILE in report.broken
    assert not report.finished
    assert [r.name for r in report.results] == ["a"]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_report_of_some_kind(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    here = folders(Path(tmp_path_factory.mktemp("any")))
    (here.results / FILE).write_bytes(data)

    report = TOOL.read(REQUEST, here.results)
    summary = TOOL.progress(here.results)

    assert not report.finished
    assert summary.total >= 0


def test_a_missing_report_is_broken_and_progress_unknown(tmp_path: Path) -> None:
    assert "cannot be read" in TOOL.read(REQUEST, folders(tmp_path).results).broken
    assert TOOL.progress(folders(tmp_path).results) == Summary(total=0, passed=0, failed=0, skipped=0)


def test_a_link_a_folder_or_a_pipe_in_its_place_is_broken(tmp_path: Path) -> None:
    path = folders(tmp_path).results / FILE
    for make in (lambda: path.symlink_to("/etc/passwd"), lambda: os.mkfifo(path), path.mkdir):
        make()
        assert TOOL.read(REQUEST, folders(tmp_path).results).broken
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_a_line_without_end_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest_report, "LONGEST_LINE", 1000)

    assert "a line of more than 1000 bytes" in read(tmp_path, result("a", message="x" * 2000), END).broken


def test_too_many_tests_break_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest_report, "MOST_TESTS", 3)

    report = read(tmp_path, *(result(str(n)) for n in range(5)), END)

    assert len(report.results) == 3
    assert "more than 3 tests" in report.broken


def test_all_texts_together_have_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest_report, "TEXT_BUDGET", 5000)

    report = read(tmp_path, *(result(str(n), "failed", message="m" * 400, trace="t" * 2000) for n in range(5)), END)

    assert [len(r.trace) for r in report.results] == [2000, 2000, 0, 0, 0]
    assert [len(r.message) for r in report.results] == [400, 400, 200, 200, 200]


def test_texts_are_made_fit_for_the_database_and_the_terminal(tmp_path: Path) -> None:
    name = "a\x00\ud800" + "x" * 600

    report = read(tmp_path, result(name, "failed", message="\x1b[31mred\x1b[0m\x00", trace="\ud800"), result("b"), END)

    (first, second) = report.results
    assert second.name == "b"
    assert len(first.name) <= 500
    assert (first.message, first.trace) == ("red\N{REPLACEMENT CHARACTER}", "?")
    first.name.encode()


def test_names_that_differ_after_the_cut_stay_two_tests(tmp_path: Path) -> None:
    report = read(tmp_path, result("x" * 600 + "1"), result("x" * 600 + "2"), END)

    assert len({r.name for r in report.results}) == 2


@pytest.mark.parametrize(("ms", "expected"), [(5, 5), (-5, 0), (10**30, 2**31 - 1), ("5", 0), (None, 0), (1.5, 0)])
def test_a_duration_is_a_number_that_fits(tmp_path: Path, ms: object, expected: int) -> None:
    assert read(tmp_path, result("a", ms=ms), END).results[0].duration_ms == expected


@pytest.mark.parametrize("at", [None, "now", -1, 1e300, 0])
def test_a_time_that_is_none_is_left_out(tmp_path: Path, at: object) -> None:
    assert read(tmp_path, result("a", at=at), END).results[0].executed_at is None


def test_progress_needs_the_ends_of_the_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest_report, "LARGEST_TAIL", 300)
    read(
        tmp_path,
        {"kind": "collected", "count": 90},
        *(result(str(n), counts=[n, 1, 2]) for n in range(60)),
        '{"half',
        end="",
    )

    assert TOOL.progress(folders(tmp_path).results) == Summary(total=90, passed=59, failed=1, skipped=2)


def test_pytest_without_an_environment_of_its_own_is_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="virtual environment"):
        arguments(TOOL.command(REQUEST), folders(tmp_path, python=None))


def test_the_command_runs_the_plugin_by_the_tests_own_interpreter(tmp_path: Path) -> None:
    here = folders(tmp_path)
    content = InlineContent(files={"tests/test_it.py": ""}, path=("tests", "more/test_it.py::test_a"))
    request = replace(REQUEST, arguments=("-k", "fast"), content=content)

    words = arguments(TOOL.command(request), here)

    assert words == (
        "/v/bin/python", "-u", str(pytest_tool.PLUGIN), str(here.work),
        "2", "tests", "more/test_it.py::test_a", "-k", "fast",
    )  # fmt: skip


def test_the_plugin_closes_the_search_for_settings_where_the_content_has_none(tmp_path: Path) -> None:
    here = folders(tmp_path)

    where, words = plugin.arranged(here.work, [], ["-x"])

    assert where == here.work
    assert words == [
        "-c", "/dev/null", f"--rootdir={here.work}", f"--confcutdir={here.work}", "-x",
    ]  # fmt: skip


def test_the_plugin_runs_where_the_settings_of_the_content_are(tmp_path: Path) -> None:
    here = folders(tmp_path, entry="service/tests")
    here.entry.mkdir(parents=True)
    (here.work / "service" / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")

    where, words = plugin.arranged(here.work, ["service/tests"], ["-x"])

    assert (where, words) == (here.work / "service", [str(here.entry), "-x"])


def test_a_folder_with_settings_of_its_own_is_run_as_by_a_person_in_it(tmp_path: Path) -> None:
    here = folders(tmp_path, entry="service")
    here.entry.mkdir(parents=True)
    (here.entry / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")

    assert plugin.arranged(here.work, ["service"], ["-x"]) == (here.entry, ["-x"])
    assert plugin.arranged(here.work, ["service", "service/b.py::t[x//y]"], []) == (
        here.entry, [str(here.entry), f"{here.entry}/b.py::t[x//y]"],
    )  # fmt: skip


@pytest.mark.parametrize("what", ["pipe", "folder", "huge", "other section"])
def test_what_is_no_settings_file_configures_nothing_and_holds_nobody_up(tmp_path: Path, what: str) -> None:
    here = folders(tmp_path)
    file = here.work / "tox.ini"
    {
        "pipe": lambda: os.mkfifo(file),
        "folder": file.mkdir,
        "huge": lambda: file.write_text("[pytest]\n" + " " * 2**20),
        "other section": lambda: file.write_text("[tox]\n"),
    }[what]()

    assert plugin.arranged(here.work, [], [])[0] == here.work
    assert plugin.arranged(here.work, [], [])[1][:2] == ["-c", "/dev/null"]
