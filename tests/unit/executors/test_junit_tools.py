"""A report of each tool that writes JUnit XML, in the form in which it writes it, and the results that are right."""

import json
from pathlib import Path

import pytest

from executors.junit import files
from model.result import Report

SAMPLES = Path(__file__).parents[2] / "data" / "junit"


def read(tool: str) -> Report:
    return files.read("report.xml", SAMPLES / tool)


@pytest.mark.parametrize("tool", sorted(folder.name for folder in SAMPLES.iterdir()))
def test_the_report_of_each_tool_gives_the_right_results(tool: str) -> None:
    report = read(tool)

    found = [[r.name, str(r.outcome), *([str(r.kind)] if r.kind else [])] for r in report.results]
    assert (report.broken, report.finished) == ("", True)
    assert found == json.loads((SAMPLES / tool / "expected.json").read_text())


def test_surefires_reruns_stand_beside_the_result_of_the_test() -> None:
    pays = next(result for result in read("surefire").results if result.identity and result.identity.name == "pays")

    assert pays.flaky
    assert [(failure.message, failure.trace, failure.error) for failure in pays.other_failures] == [
        ("timed out", "at shop.CartTest.pays(CartTest.java:12)", False),
        ("java.net.ConnectException", "at java.net", False),
    ]
    assert pays.duration_ms == 1_200_000


def test_the_decimal_commas_of_dotnet_are_no_thousands() -> None:
    assert [result.duration_ms for result in read("nunit").results] == [16, 250, 0, 0]


def test_what_a_suite_says_of_its_own_failure_is_its_message() -> None:
    failed = read("newman").results[-1]

    assert failed.message == (
        "the suite counts 1 failures and errors, its test cases show none: Error: connect ECONNREFUSED"
    )
