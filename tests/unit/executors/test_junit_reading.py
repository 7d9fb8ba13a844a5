"""JUnit files that tools write, and those that nobody should."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.junit import reader as junit_reader
from executors.junit.reader import ReportFile
from model.result import Outcome, Report, ResultKind


def read(text: str | bytes) -> Report:
    data = text.encode() if isinstance(text, str) else text
    return junit_reader.read([ReportFile(path="report.xml", file=io.BytesIO(data))])


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


def case(*children: str, **attributes: str) -> str:
    told = "".join(f' {name}="{value}"' for name, value in ({"name": "a"} | attributes).items())
    return f"<testcase{told}>{''.join(children)}</testcase>"


def suite(*cases: str, **attributes: str) -> str:
    told = "".join(f' {name}="{value}"' for name, value in ({"name": "s"} | attributes).items())
    return f"<testsuite{told}>{''.join(cases)}</testsuite>"


@pytest.mark.parametrize(
    ("attributes", "child", "expected"),
    [
        ({"status": "notrun"}, "", "skipped"),
        ({"result": "suppressed"}, "", "skipped"),
        ({"status": "run", "result": "skipped"}, "", "skipped"),
        ({"status": "disabled"}, "", "skipped"),
        ({"status": "Not Run"}, "", "skipped"),
        ({"status": "NOT_EXECUTED"}, "", "skipped"),
        ({"executed": "False"}, "", "skipped"),
        ({"result": "Inconclusive"}, "", "skipped"),
        ({"status": "pending"}, "", "skipped"),
        ({"status": "failed"}, "", "failed"),
        ({"result": "Failure"}, "", "failed"),
        ({"status": "timed out"}, "", "failed"),
        ({"status": "notrun", "result": "error"}, "", "failed"),
        ({"status": "run", "result": "completed"}, "", "passed"),
        ({"status": "passed"}, "", "passed"),
        ({"executed": "True"}, "", "passed"),
        ({"status": "passed"}, "<failure/>", "failed"),
        ({"status": "notrun"}, "<failure/>", "failed"),
        ({"status": "notrun"}, "<error/>", "failed"),
        ({"status": "failed"}, "<skipped/>", "skipped"),
        ({"status": "passed"}, "<skipped/>", "skipped"),
        ({"status": "failed"}, "<flakyFailure/>", "passed"),
        ({"status": "notrun"}, "<system-out>text</system-out>", "skipped"),
        ({}, "<ignored/>", "skipped"),
        ({}, "<disabled/>", "skipped"),
        ({}, "<skipped/><failure/>", "failed"),
        ({}, "<failure/><skipped/>", "failed"),
        ({}, "<flakyFailure/><failure/>", "failed"),
        ({}, "<rerunFailure/>", "failed"),
        ({}, "<system-out>only</system-out>", "passed"),
        ({}, "<system-err>only</system-err>", "passed"),
    ],
)
def test_what_an_attribute_says_yields_to_a_child(attributes: dict[str, str], child: str, expected: str) -> None:
    assert outcomes(read(suite(case(child, **attributes)))) == {"a": expected}


FLAKY, RERUN = '<flakyFailure message="once"/>', '<failure message="no"/><rerunFailure message="again"/>'


@pytest.mark.parametrize(
    ("claims", "cases"),
    [
        ({"tests": "3", "failures": "1"}, [case(FLAKY)]),
        ({"tests": "3", "failures": "1", "errors": "1"}, [case(FLAKY, "<flakyError/>")]),
        ({"tests": "3", "failures": "2"}, [case(RERUN)]),
        ({"tests": "2", "failures": "1"}, [case(RERUN)]),
        ({"failures": "3"}, [case("<failure/><failure/><error/>")]),
        ({"failures": "1"}, [case("<failure/><failure/>")]),
        ({"failures": "2"}, [case('<failure message="Failed 2 times."/>')]),
        ({"failures": "1"}, [case(status="failed")]),
        ({"failures": "0"}, [case("<failure/>")]),
        ({"failures": "many"}, [case()]),
    ],
)
def test_a_claim_that_the_elements_explain_adds_no_result(claims: dict[str, str], cases: list[str]) -> None:
    for document in (suite(*cases, **claims), f"<testsuites>{suite(*cases, **claims)}</testsuites>"):
        assert list(outcomes(read(document))) == ["a"]


@pytest.mark.parametrize(
    ("claims", "cases"),
    [
        ({"tests": "3", "failures": "2"}, [case(FLAKY)]),
        ({"failures": "1", "errors": "1"}, [case(FLAKY)]),
        ({"failures": "3"}, [case(RERUN)]),
        ({"errors": "2"}, [case("<error/>")]),
        ({"failures": "1,000"}, [case()]),
        ({}, [case("<failure/>"), "<error/>"]),
    ],
)
def test_a_claim_that_the_elements_do_not_explain_stays(claims: dict[str, str], cases: list[str]) -> None:
    """No failure may get lost."""
    found = outcomes(read(f"<testsuites>{suite(*cases, **claims)}</testsuites>"))

    assert found.pop("s (suite)") == "failed"
    assert list(found) == ["a"]


def test_a_claim_is_told_once_where_the_suites_around_claim_it_too() -> None:
    inner = suite(case(), name="inner", errors="1")

    report = read(f'<testsuites errors="1">{suite(inner, name="outer", errors="1")}</testsuites>')

    assert outcomes(report) == {"a": "passed", "inner (suite)": "failed"}


def test_a_claim_of_the_root_alone_is_told_too() -> None:
    assert outcomes(read(f'<testsuites failures="1">{suite(case())}</testsuites>')) == {
        "a": "passed",
        "the whole (suite)": "failed",
    }


def test_the_first_failure_is_the_results_and_the_others_stand_beside_it() -> None:
    (only,) = read(suite(case('<error message="one">1</error><failure message="two">2</failure>', RERUN))).results

    assert (only.message, only.trace, only.kind) == ("one", "1", ResultKind.ERROR)
    assert [(f.message, f.trace, f.error, f.rerun) for f in only.other_failures] == [
        ("two", "2", False, False), ("no", "", False, False), ("again", "", False, True),
    ]  # fmt: skip


def test_a_failure_with_elements_inside_is_read_without_the_output() -> None:
    nested = "<failure><message>short</message><stack-trace>at x</stack-trace><system-out>noise</system-out></failure>"

    (only,) = read(suite(case(nested))).results

    assert (only.message, only.trace) == ("short", "at x")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("<testsuites><testcase name='a'/></testsuites>", ["a"]),
        ("<testsuite><testsuite><testsuite><testcase name='a'/></testsuite></testsuite></testsuite>", ["a"]),
        ("<testsuite><testcase name='a'><testcase name='b'/></testcase></testsuite>", ["b", "a"]),
        ("<x:testsuite xmlns:x='u'><x:testcase name='a'/></x:testsuite>", ["a"]),
        ("<testsuite><group><testcase name='a'/></group></testsuite>", ["a"]),
        ("<testsuite><testcase/><testcase/></testsuite>", ["unnamed", "unnamed #2"]),
        ("<testsuite><testcase classname='C'/></testsuite>", ["C"]),
        ("<TestSuite><TestCase name='a'/></TestSuite>", ["a"]),
    ],
)
def test_test_cases_are_read_wherever_they_stand(document: str, expected: list[str]) -> None:
    report = read(document)

    assert (report.broken, [result.name for result in report.results]) == ("", expected)


@pytest.mark.parametrize("name", ["browser", "browserName", "browser.name", "device", "platform"])
def test_a_property_of_a_suite_names_the_project(name: str) -> None:
    told = f'<properties><property name="{name}" value="Pixel 8"/></properties>'

    assert list(outcomes(read(suite(told, case())))) == ["a [Pixel 8]"]
    assert list(outcomes(read(suite(case(told))))) == ["a"]


def test_the_reports_of_several_files_are_one() -> None:
    files = [
        ReportFile(path=f"{name}.xml", file=io.BytesIO(suite(case()).encode()), one_of_many=True)
        for name in ("chromium", "webkit", "shop", "depot")
    ]

    report = junit_reader.read(files)

    assert [result.name for result in report.results] == ["a [chromium]", "a [webkit]", "a [shop]", "a [depot]"]
    assert (report.planned, report.finished) == (4, True)


def test_a_broken_file_among_several_breaks_the_report_and_keeps_the_results_of_all() -> None:
    good, bad = suite(case()).encode(), b"<testsuite><testcase name='b'/>"

    report = junit_reader.read([ReportFile(path=p, file=io.BytesIO(d)) for p, d in (("bad", bad), ("good", good))])

    assert [result.name for result in report.results] == ["b", "a"]
    assert "the JUnit file bad is broken" in report.broken


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
