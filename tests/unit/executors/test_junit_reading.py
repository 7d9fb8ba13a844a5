"""JUnit files that tools write, and those that nobody should."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors import junit_reader
from model.result import Outcome, Report


def read(text: str | bytes) -> Report:
    return junit_reader.read(io.BytesIO(text.encode() if isinstance(text, str) else text))


def outcomes(report: Report) -> dict[str, str]:
    return {result.name: str(result.outcome) for result in report.results}


def test_each_outcome_is_read() -> None:
    report = read("""<?xml version="1.0" encoding="utf-8"?>
        <testsuites><testsuite name="s" tests="4" failures="1" errors="1" skipped="1">
          <testcase classname="a.B" name="passes" time="0.25"><system-out>noise</system-out></testcase>
          <testcase classname="a.B" name="fails" time="1,000.5"><failure message="no">trace
             goes on</failure></testcase>
          <testcase name="breaks"><error type="Boom"/></testcase>
          <testcase classname="a.B" name="skips" time="nan"><skipped message="later"/></testcase>
        </testsuite></testsuites>""")

    assert outcomes(report) == {
        "a.B::passes": "passed", "a.B::fails": "failed", "breaks": "failed", "a.B::skips": "skipped",
    }  # fmt: skip
    first, second, third, fourth = report.results
    assert (first.duration_ms, second.duration_ms, fourth.duration_ms) == (250, 1_000_500, 0)
    assert (second.message, second.trace.split()) == ("no", ["trace", "goes", "on"])
    assert third.message == "Boom"
    assert (report.finished, report.planned, report.broken) == (True, 4, "")


def test_a_flaky_test_passed_and_says_so() -> None:
    report = read('<testsuite><testcase name="a"><flakyFailure message="once"/></testcase></testsuite>')

    assert [(r.outcome, r.message) for r in report.results] == [(Outcome.PASSED, "once")]


def test_a_name_that_comes_twice_counts_twice() -> None:
    report = read('<testsuite><testcase name="a"><failure/></testcase><testcase name="a"/></testsuite>')

    assert outcomes(report) == {"a": "failed", "a #2": "passed"}


@pytest.mark.parametrize(
    "text",
    [
        '<testsuite name="s" errors="1"><testcase name="a"/></testsuite>',
        '<testsuites><testsuite name="s" failures="2"><testcase name="a"/></testsuite></testsuites>',
        '<testsuite name="s"><testcase name="a"/><error message="request failed"/></testsuite>',
    ],
)
def test_a_suite_that_counts_failures_and_shows_none_has_failed(text: str) -> None:
    """newman writes a refused connection so, and Playwright some of its errors."""
    assert outcomes(read(text)) == {"a": "passed", "s (suite)": "failed"}


def test_an_empty_report_plans_nothing() -> None:
    report = read("<testsuites/>")

    assert (report.results, report.planned, report.finished) == ((), 0, True)


BOMB = '<!DOCTYPE x [<!ENTITY a "' + "b" * 1000 + '">]>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_a_document_type_is_refused_in_any_encoding(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>{BOMB}<testsuite><testcase name="&a;"/></testsuite>'

    report = read(text.encode(encoding))

    assert "DOCTYPE" in report.broken or "not supported" in report.broken
    assert report.results == ()


@pytest.mark.parametrize(
    "text",
    ["", "no xml", "<html/>", "<testsuite>", '<testsuite><testcase name="a"/>', "<testsuite>&undefined;</testsuite>",
     "<testsuite></testsuites>", "<testsuite>" + "<a>" * 100 + "</a>" * 100 + "</testsuite>", "\x00\x00"],
)  # fmt: skip
def test_what_is_not_whole_is_broken(text: str) -> None:
    report = read(text)

    assert "broken" in report.broken
    assert not report.finished


def test_a_cut_file_keeps_what_was_whole() -> None:
    report = read('<testsuite><testcase name="a"/><testcase name="b"><failu')

    assert outcomes(report) == {"a": "passed"}
    assert report.broken


def test_too_many_tests_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(junit_reader, "MOST_TESTS", 2)

    report = read("<testsuite>" + '<testcase name="a"/>' * 3 + "</testsuite>")

    assert len(report.results) == 2
    assert "more than 2 tests" in report.broken


def test_names_and_texts_are_cut() -> None:
    report = read(f'<testsuite><testcase name="{"n" * 9000}"><failure>{"t" * 90_000}</failure></testcase></testsuite>')

    assert len(report.results[0].name) <= 500
    assert len(report.results[0].trace) <= 16_000


@given(st.binary(max_size=200))
def test_any_bytes_are_a_report_of_some_kind(data: bytes) -> None:
    assert read(data).broken


@given(st.text(alphabet="<>/testcaseuilnrofm \"'=&;!", max_size=200))
def test_anything_like_xml_is_a_report_of_some_kind(text: str) -> None:
    read(f"<testsuite>{text}</testsuite>")
