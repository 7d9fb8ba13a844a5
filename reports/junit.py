"""Write a run, or all runs of a suite, as JUnit XML for CI systems.

Each run is one `testsuite` with the tests of its last attempt. Failures of earlier attempts are added in the form of
Surefire: `flakyFailure` if the test passed in the last attempt, `rerunFailure` if it failed again. A run that did not
pass although no test failed has one more entry, an `error`. Else a reader that counts failures would see success.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from model.execution import Reason
from model.result import Failure, Outcome, Result, ResultKind, Summary, summarise
from model.runs import RunKind
from reports.run import AttemptReport, CarriedReport, RunReport
from reports.texts import for_xml

_COUNTS = ("tests", "failures", "errors", "skipped")
_PHASES = {"setup", "teardown"}
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'


def junit(report: RunReport) -> str:
    """Return the run as an XML document."""
    return _document(report.execution.name, [_suite(report)])


def junit_of_suite(name: str, reports: Sequence[RunReport], carried: CarriedReport | None = None) -> str:
    """Return the runs of a suite as one XML document, with one `testsuite` for each run, and one for its experiment."""
    experiment = [_experiment(carried)] if carried is not None else []
    return _document(name, [*(_suite(report) for report in reports), *experiment])


def _experiment(carried: CarriedReport) -> Element:
    """Return an experiment as one test: a failure if its hypothesis did not hold, an error if it was not tested."""
    verdict = carried.verdict
    ended = verdict is not None
    failed = verdict is not None and not verdict.good
    refuted = verdict is not None and verdict.reason in {Reason.HYPOTHESIS_NOT_MET, Reason.HALTED}
    numbers = {"tests": 1, "failures": failed and refuted, "errors": failed and not refuted, "skipped": not ended}
    name = for_xml(carried.name)
    suite = Element(
        "testsuite", {"name": name, **{key: str(int(value)) for key, value in numbers.items()}, "time": "0.000"}
    )
    properties = SubElement(suite, "properties")
    SubElement(properties, "property", {"name": "assay.run", "value": str(carried.run_id)})
    SubElement(properties, "property", {"name": "assay.kind", "value": RunKind.EXPERIMENT.value})
    case = SubElement(suite, "testcase", {"classname": "experiment", "name": name, "time": "0.000"})
    if verdict is None:
        SubElement(case, "skipped", {"message": "the experiment has not ended"})
    elif failed:
        tag = "failure" if refuted else "error"
        _failure(case, tag, Failure(message=verdict.detail, trace="", error=not refuted))
    return suite


def _document(name: str, suites: Sequence[Element]) -> str:
    """Return a document of `suites`. Its counts are their sums."""
    sums = {key: str(sum(int(suite.attrib[key]) for suite in suites)) for key in _COUNTS}
    seconds = sum(float(suite.attrib["time"]) for suite in suites)
    root = Element("testsuites", {"name": for_xml(name), **sums, "time": f"{seconds:.3f}"})
    root.extend(suites)
    indent(root)
    return _DECLARATION + tostring(root, encoding="unicode") + "\n"


def _suite(report: RunReport) -> Element:
    last = report.last
    results = last.results if last else ()
    error = _error(report, results)
    counts = summarise(results)
    errors = sum(result.kind is ResultKind.ERROR for result in results)
    seconds = sum(result.duration_ms for result in results) / 1000
    numbers = _numbers(counts, errors=errors, unreported=error is not None)
    suite = Element("testsuite", {"name": for_xml(_title(report)), **numbers, "time": f"{seconds:.3f}"})
    _describe(suite, report, last)
    for result in results:
        _test(suite, result, report)
    if error is not None:
        suite.append(error)
    return suite


def _title(report: RunReport) -> str:
    ran_again = report.during and not report.conclusion
    return f"{report.execution.name} (without the fault)" if ran_again else report.execution.name


def _numbers(counts: Summary, *, errors: int, unreported: bool) -> dict[str, str]:
    """Return the counts of a suite. What was planned and did not run is written as skipped."""
    return {
        "tests": str(counts.total + unreported),
        "failures": str(counts.failed - errors),
        "errors": str(errors + unreported),
        "skipped": str(counts.total - counts.passed - counts.failed),
    }


def _describe(suite: Element, report: RunReport, last: AttemptReport | None) -> None:
    if last and last.attempt.started_at:
        suite.set("timestamp", last.attempt.started_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    properties = SubElement(suite, "properties")
    for name, value in _properties(report, last).items():
        SubElement(properties, "property", {"name": name, "value": for_xml(value)})


def _properties(report: RunReport, last: AttemptReport | None) -> Mapping[str, str]:
    execution = report.execution
    properties = {
        "assay.run": str(execution.execution_id),
        "assay.definition": str(execution.definition_id),
        "assay.status": str(execution.status),
        "assay.attempt": str(last.attempt.number) if last else "",
        "assay.node": (last.attempt.node if last else None) or "",
        "assay.reason": str(execution.failure_reason or ""),
        "assay.commit": execution.provenance.commit or "",
        "assay.content": execution.provenance.content or "",
        "assay.during": report.during,
        "assay.conclusion": report.conclusion,
    }
    return {name: value for name, value in properties.items() if value}


def _test(suite: Element, result: Result, report: RunReport) -> None:
    classname, name = _split(result.name, report.execution.name)
    case = SubElement(suite, "testcase", {"classname": classname, "name": name, "time": _seconds(result)})
    if result.outcome is Outcome.FAILED:
        _failure(case, "error" if result.kind is ResultKind.ERROR else "failure", _first(result))
    elif result.outcome is Outcome.SKIPPED:
        SubElement(case, "skipped", {**_skip_type(result), "message": for_xml(result.message)})
    reruns = [failure for failure in result.other_failures if failure.rerun]
    for failure in result.other_failures:
        if not failure.rerun and result.outcome is Outcome.FAILED:
            _failure(case, "error" if failure.error else "failure", failure)
    for failure in (*_earlier_failures(result, report), *reruns):
        _failure(case, _rerun_tag(result, failure), failure)


def _first(result: Result) -> Failure:
    return Failure(message=result.message, trace=result.trace, error=result.kind is ResultKind.ERROR)


def _skip_type(result: Result) -> dict[str, str]:
    return {"type": "pytest.xfail"} if result.kind is ResultKind.XFAIL else {}


def _rerun_tag(result: Result, failure: Failure) -> str:
    """Return Surefire's name for the failure of an earlier run."""
    run = "rerun" if result.outcome is Outcome.FAILED else "flaky"
    return f"{run}{'Error' if failure.error else 'Failure'}"


def _earlier_failures(result: Result, report: RunReport) -> Iterator[Failure]:
    for earlier in report.attempts:
        if earlier is report.last:
            return
        if earlier.counts:
            yield from (_first(r) for r in earlier.results if r.key == result.key and r.outcome is Outcome.FAILED)


def _failure(case: Element, tag: str, failure: Failure) -> None:
    kind = _kind(failure)
    element = SubElement(case, tag, {"message": for_xml(failure.message), "type": kind})
    element.text = for_xml(failure.trace or failure.message)


def _kind(failure: Failure) -> str:
    """Return the exception's name where a message begins with one, behind the phase of pytest that it came from."""
    words = [word.strip() for word in failure.message.split(":", 2)]
    word = words[1] if len(words) > 1 and words[0] in _PHASES else words[0]
    return word if word.isidentifier() else "error" if failure.error else "failure"


def _error(report: RunReport, results: tuple[Result, ...]) -> Element | None:
    execution = report.execution
    failed = any(result.outcome is Outcome.FAILED for result in results)
    explained = failed and execution.failure_reason == "tests_failed"
    if report.met_no_fault:
        return _error_case(execution.name, str(Reason.INCONCLUSIVE), report.conclusion)
    if not execution.status.terminal or execution.status == "completed" or explained:
        return None
    reason = str(execution.failure_reason or execution.status)
    return _error_case(execution.name, reason, execution.detail or reason)


def _error_case(name: str, reason: str, message: str) -> Element:
    case = Element("testcase", {"classname": "assay", "name": for_xml(name), "time": "0.000"})
    SubElement(case, "error", {"type": reason, "message": for_xml(message)})
    return case


def _split(name: str, run: str) -> tuple[str, str]:
    """Split a name of pytest into class and test: tests/a.py::TestB::test_c[x] -> tests.a.TestB, test_c[x]."""
    path, bracket, parameters = for_xml(name).partition("[")
    *owners, test = path.split("::")
    classname = ".".join(owners).removesuffix(".py").replace(".py.", ".").replace("/", ".")
    return classname or for_xml(run), test + bracket + parameters


def _seconds(result: Result) -> str:
    return f"{result.duration_ms / 1000:.3f}"
