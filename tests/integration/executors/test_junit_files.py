"""Which files of the results folder are the report, and how much of them is read."""

import os
from pathlib import Path

import pytest

from executors.junit import files
from model.result import Report

ONE = '<testsuite name="{0}"><testcase name="{0}"/></testsuite>'


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    (folder / "reports" / "deep").mkdir(parents=True)
    return folder


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(ONE.format(Path(name).stem))


def names(report: Report) -> list[str]:
    return [result.name for result in report.results]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.xml", ["a"]),
        ("*.xml", ["a"]),
        ("reports/*.xml", ["b", "c"]),
        ("reports/**/*.xml", ["b", "c", "d"]),
        ("**/TEST-*.xml", ["TEST-e"]),
        ("reports/[bc].xml", ["b", "c"]),
        ("reports/?.xml", ["b", "c"]),
    ],
)
def test_a_pattern_names_several_files_in_the_order_of_their_names(
    results: Path, pattern: str, expected: list[str]
) -> None:
    write(results, "reports/c.xml", "a.xml", "reports/b.xml", "reports/deep/d.xml", "reports/deep/TEST-e.xml")

    report = files.read(pattern, results)

    assert report.broken == ""
    assert sorted(set(names(report)) & set(expected)) == sorted(expected)
    assert report.planned == len(report.results)


def test_a_file_that_is_called_like_a_pattern_is_that_file(results: Path) -> None:
    write(results, "report[1].xml", "report1.xml")

    assert names(files.read("report[1].xml", results)) == ["report[1]"]


def test_a_pattern_that_matches_nothing_says_where_the_files_belong(results: Path) -> None:
    assert files.read("reports/*.xml", results).broken == (
        "no file matches reports/*.xml; write the JUnit files to $ASSAY_RESULTS_DIR/reports/*.xml"
    )


def test_a_missing_file_says_where_it_belongs(results: Path) -> None:
    assert files.read("a.xml", results).broken == (
        "a.xml cannot be read: No such file or directory; write the JUnit file to $ASSAY_RESULTS_DIR/a.xml"
    )


@pytest.mark.parametrize("pattern", ["../*.xml", "/etc/*.xml", "reports/../../*.xml"])
def test_a_pattern_that_leads_out_is_not_read(results: Path, pattern: str) -> None:
    assert "leads out" in files.read(pattern, results).broken


def test_a_link_that_leads_out_is_not_read_by_a_pattern_either(results: Path, tmp_path: Path) -> None:
    write(tmp_path, "secret.xml")
    (results / "link.xml").symlink_to(tmp_path / "secret.xml")

    report = files.read("*.xml", results)

    assert "leads out" in report.broken
    assert report.results == ()


def test_a_pipe_among_the_files_holds_nobody_up(results: Path) -> None:
    write(results, "a.xml")
    os.mkfifo(results / "b.xml")

    report = files.read("*.xml", results)

    assert names(report) == ["a"]
    assert "b.xml is not a regular file" in report.broken
    assert not report.finished


def test_one_file_that_is_too_large_costs_the_trust_and_not_the_results_of_the_others(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST", 2**20)
    write(results, "a.xml")
    (results / "b.xml").write_text("<testsuite>" + " " * 2**20)

    report = files.read("*.xml", results)

    assert names(report) == ["a"]
    assert "b.xml is larger than 1 MiB (1048587 bytes): write less output" in report.broken


def test_all_files_together_have_a_limit(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_TOTAL", 100)
    write(results, "a.xml", "b.xml", "c.xml")

    assert "the JUnit files have more than" in files.read("*.xml", results).broken


def test_too_many_files_are_refused(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 2)
    write(results, "a.xml", "b.xml", "c.xml")

    assert files.read("*.xml", results).broken == "3 files match *.xml, more than the 2 that are read"
