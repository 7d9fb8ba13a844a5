"""Tests of JUnit XML: its counts must agree with the verdict."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.junit import reader
from model.execution import Attempt, Cause, Door, Phase, Reason, Status, TestExecution, Verdict
from model.ids import DefinitionId, ExecutionId, RunId
from model.provenance import Provenance
from model.result import Failure, Outcome, Result, ResultIdentity, ResultKind
from reports.junit import junit, junit_of_suite
from reports.run import AttemptReport, CarriedReport, RunReport

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PASS = Result(name="tests/test_a.py::TestCart::test_b[x::y]", outcome=Outcome.PASSED, duration_ms=1234)
FAIL = Result(name=PASS.name, outcome=Outcome.FAILED, message="AssertionError: 1 != 2", trace="Traceback\n  line")
SKIP = Result(name="test_c", outcome=Outcome.SKIPPED, message="no gpu")
LOST = Verdict(status=Status.FAILED, reason=Reason.INFRASTRUCTURE)


def run(*attempts: AttemptReport, status: Status = Status.COMPLETED, reason: Reason | None = None) -> RunReport:
    execution = TestExecution(
        execution_id=ExecutionId(UUID(int=1)),
        definition_id=DefinitionId(UUID(int=2)),
        name="checkout",
        type="pytest",
        priority=5,
        status=status,
        phase=Phase.ENDED,
        door=Door.REST,
        submitted_at=NOON,
        failure_reason=reason,
        detail="3 of 4 failed",
    )
    return RunReport(execution=execution, attempts=attempts)


def tried(number: int, *results: Result, verdict: Verdict | None = None) -> AttemptReport:
    attempt = Attempt(number=number, epoch=1, cause=Cause.FIRST, node="local", started_at=NOON, verdict=verdict)
    return AttemptReport(attempt=attempt, results=results)


def suite_of(report: RunReport) -> ET.Element:
    suite = ET.fromstring(junit(report).encode()).find("testsuite")  # noqa: S314  written by ourselves
    assert suite is not None
    return suite


def test_counts_names_and_times_are_in_the_attributes_that_ci_systems_read() -> None:
    suite = suite_of(run(tried(1, PASS, SKIP)))

    assert {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped", "time", "timestamp")} == {
        "name": "checkout",
        "tests": "2",
        "failures": "0",
        "errors": "0",
        "skipped": "1",
        "time": "1.234",
        "timestamp": "2026-11-23T12:00:00",
    }
    assert [(case.get("classname"), case.get("name")) for case in suite.iter("testcase")] == [
        ("tests.test_a.TestCart", "test_b[x::y]"),
        ("checkout", "test_c"),
    ]


def test_the_commit_that_was_run_is_a_property() -> None:
    ran = run(tried(1, PASS))
    known = replace(ran, execution=replace(ran.execution, provenance=Provenance(commit="a" * 40)))

    properties = {p.get("name"): p.get("value") for p in suite_of(known).iter("property")}

    assert properties["assay.commit"] == "a" * 40
    assert "assay.content" not in properties


def test_the_run_the_attempt_and_the_node_are_properties() -> None:
    properties = {p.get("name"): p.get("value") for p in suite_of(run(tried(1, FAIL), tried(2, PASS))).iter("property")}

    assert properties["assay.run"] == str(UUID(int=1))
    assert (properties["assay.attempt"], properties["assay.node"]) == ("2", "local")


def test_a_failure_carries_message_type_and_trace() -> None:
    failure = suite_of(run(tried(1, FAIL), status=Status.FAILED, reason=Reason.TESTS_FAILED)).find(".//failure")

    assert failure is not None
    assert (failure.get("message"), failure.get("type")) == ("AssertionError: 1 != 2", "AssertionError")
    assert failure.text == "Traceback\n  line"


def test_a_test_that_passed_in_the_end_is_flaky() -> None:
    suite = suite_of(run(tried(1, FAIL), tried(2, PASS)))

    assert suite.get("failures") == "0"
    assert [child.tag for child in suite.iterfind("testcase/*")] == ["flakyFailure"]


def test_a_test_that_failed_again_was_rerun() -> None:
    suite = suite_of(run(tried(1, FAIL), tried(2, FAIL), status=Status.FAILED, reason=Reason.TESTS_FAILED))

    assert [child.tag for child in suite.iterfind("testcase/*")] == ["failure", "rerunFailure"]


def test_failures_of_an_attempt_that_the_infrastructure_ended_do_not_count() -> None:
    suite = suite_of(run(tried(1, FAIL, verdict=LOST), tried(2, PASS)))

    assert not list(suite.iterfind("testcase/*"))


def test_the_last_attempt_with_results_is_reported() -> None:
    assert suite_of(run(tried(1, PASS), tried(2, verdict=LOST))).get("tests") == "1"


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (Status.TIMEOUT, None, "timeout"),
        (Status.CANCELLED, None, "cancelled"),
        (Status.FAILED, Reason.REPORT_MISMATCH, "report_mismatch"),
        (Status.FAILED, Reason.NO_TESTS, "no_tests"),
        (Status.FAILED, Reason.TESTS_FAILED, "tests_failed"),
    ],
)
def test_a_bad_verdict_without_a_failed_test_is_an_error(status: Status, reason: Reason | None, kind: str) -> None:
    suite = suite_of(run(tried(1, PASS), status=status, reason=reason))

    error = suite.find(".//error")
    assert error is not None
    assert (error.get("type"), error.get("message")) == (kind, "3 of 4 failed")
    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")


def test_a_run_that_has_not_ended_is_no_error() -> None:
    assert suite_of(run(status=Status.RUNNING)).get("errors") == "0"


ERROR = Result(
    name="test_e", outcome=Outcome.FAILED, kind=ResultKind.ERROR, message="setup: RuntimeError: no database", trace="t"
)
BOTH = Result(
    name="test_both",
    outcome=Outcome.FAILED,
    message="AssertionError: first; teardown: OSError: left open",
    other_failures=(Failure(message="teardown: OSError: left open", error=True),),
)
FLAKY = Result(
    name="test_f",
    outcome=Outcome.PASSED,
    other_failures=(Failure(message="once", rerun=True), Failure(message="setup: x", error=True, rerun=True)),
)
XFAIL = Result(name="test_x", outcome=Outcome.SKIPPED, kind=ResultKind.XFAIL, message="known")
NOT_RUN = Result(name="test_n", outcome=Outcome.SKIPPED, kind=ResultKind.NOT_RUN, message="did not run")


def children(*results: Result) -> list[tuple[str, str | None, str | None]]:
    suite = suite_of(run(tried(1, *results), status=Status.FAILED, reason=Reason.TESTS_FAILED))
    return [(child.tag, child.get("type"), child.get("message")) for child in suite.iterfind("testcase/*")]


def test_an_error_outside_of_the_test_itself_is_an_error() -> None:
    suite = suite_of(run(tried(1, ERROR, FAIL), status=Status.FAILED, reason=Reason.TESTS_FAILED))

    assert children(ERROR) == [("error", "RuntimeError", "setup: RuntimeError: no database")]
    assert (suite.get("failures"), suite.get("errors")) == ("1", "1")


def test_a_failure_and_the_error_of_its_teardown_are_both_written() -> None:
    assert children(BOTH) == [
        ("failure", "AssertionError", BOTH.message),
        ("error", "OSError", "teardown: OSError: left open"),
    ]


def test_a_test_that_failed_as_expected_is_skipped_in_the_words_of_pytest() -> None:
    assert children(FAIL, XFAIL)[1:] == [("skipped", "pytest.xfail", "known")]


def test_earlier_runs_in_the_same_attempt_stand_beside_the_result() -> None:
    assert children(FAIL, FLAKY)[1:] == [("flakyFailure", "once", "once"), ("flakyError", "x", "setup: x")]


def test_what_did_not_run_is_written_as_skipped() -> None:
    suite = suite_of(run(tried(1, PASS, NOT_RUN)))

    assert (suite.get("tests"), suite.get("skipped")) == ("2", "1")
    assert [child.get("message") for child in suite.iterfind("testcase/skipped")] == ["did not run"]


def test_an_earlier_attempt_is_told_by_the_identity_of_the_test() -> None:
    """Two results of one name may change their numbers from attempt to attempt."""
    one, other = (ResultIdentity(name="a", project=project) for project in ("chromium", "webkit"))
    first = tried(1, replace(FAIL, name="a", identity=one), replace(PASS, name="a #2", identity=other))
    last = tried(2, replace(PASS, name="a", identity=other), replace(PASS, name="a #2", identity=one))

    cases = list(suite_of(run(first, last)).iter("testcase"))

    assert [[child.tag for child in case] for case in cases] == [[], ["flakyFailure"]]


def test_what_is_written_is_read_back_with_the_same_outcomes() -> None:
    kept = (PASS, ERROR, BOTH, FLAKY, XFAIL, NOT_RUN, SKIP)
    document = junit(run(tried(1, *kept), status=Status.FAILED, reason=Reason.TESTS_FAILED))

    report = reader.read([reader.ReportFile(path="x.xml", file=io.BytesIO(document.encode()))])

    assert [result.outcome for result in report.results] == [result.outcome for result in kept]
    assert [result.kind for result in report.results] == [
        result.kind if result.kind is not ResultKind.NOT_RUN else None for result in kept
    ]
    assert [len(result.other_failures) for result in report.results] == [len(result.other_failures) for result in kept]


@given(name=st.text(), message=st.text(), trace=st.text())
def test_the_document_is_well_formed_for_any_name_and_output(name: str, message: str, trace: str) -> None:
    wild = Result(name=name, outcome=Outcome.FAILED, message=message, trace=trace)

    suite = suite_of(run(tried(1, wild), status=Status.FAILED, reason=Reason.TESTS_FAILED))

    assert len(list(suite.iter("failure"))) == 1


def test_control_characters_and_colours_are_removed() -> None:
    text = junit(run(tried(1, Result(name="a\x00b", outcome=Outcome.FAILED, message="\x1b[31mred\x1b[0m \x07<&>"))))

    assert 'name="ab"' in text
    assert 'message="red &lt;&amp;&gt;"' in text


@pytest.mark.parametrize(
    ("verdict", "counts", "element"),
    [
        (Verdict(status=Status.COMPLETED), ("1", "0", "0", "0"), None),
        (Verdict(status=Status.FAILED, reason=Reason.HYPOTHESIS_NOT_MET, detail="no"), ("1", "1", "0", "0"), "failure"),
        (Verdict(status=Status.FAILED, reason=Reason.HALTED, detail="no"), ("1", "1", "0", "0"), "failure"),
        (Verdict(status=Status.FAILED, reason=Reason.INCONCLUSIVE, detail="no"), ("1", "0", "1", "0"), "error"),
        (None, ("1", "0", "0", "1"), "skipped"),
    ],
)
def test_the_experiment_of_a_suite_is_one_test_that_fails_if_its_hypothesis_did_not_hold(
    verdict: Verdict | None, counts: tuple[str, ...], element: str | None
) -> None:
    first = replace(run(status=Status.COMPLETED), during="fault", conclusion="failed under the fault only")
    again = replace(first, conclusion="")
    carried = CarriedReport(name="slow", run_id=RunId(UUID(int=9)), verdict=verdict)

    *tests, experiment = ET.fromstring(junit_of_suite("game day", [first, again], carried))  # noqa: S314  our own

    assert tuple(experiment.attrib[key] for key in ("tests", "failures", "errors", "skipped")) == counts
    assert [one.tag for one in experiment.findall("testcase/*")] == ([element] if element else [])
    assert [one.attrib["name"] for one in tests] == [
        first.execution.name,
        f"{first.execution.name} (without the fault)",
    ]
    found = {one.attrib["name"]: one.attrib["value"] for one in tests[0].findall("properties/property")}
    assert (found["assay.during"], found["assay.conclusion"]) == ("fault", "failed under the fault only")


def test_a_test_that_passed_and_met_no_fault_is_an_error() -> None:
    """Its suite is inconclusive: a reader that counts failures would see success."""
    said = "passed, but no fault was active while it ran"
    suite = suite_of(replace(run(tried(1, PASS)), during="fault", conclusion=said, met_no_fault=True))

    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "1")
    [error] = suite.iter("error")
    assert (error.get("type"), error.get("message")) == ("inconclusive", said)
