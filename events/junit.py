"""Write the result of an event-driven test as JUnit XML: one `testcase` for each assertion.

Inconclusive and vacuous are errors: a reader that counts failures and errors must not see success.

Source: junit-10.xsd of Jenkins' xUnit plugin, whose `testsuites` has no `skipped`; and readers that want `system-out`
behind the failure.
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from events.driven_test import EventTestResult
from events.event import describe
from events.outcomes import AssertionResult, Outcome
from reports.texts import for_xml

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'


def junit(result: EventTestResult) -> str:
    """Return the document."""
    outcomes = [assertion.outcome for assertion in result.results]
    failures = outcomes.count(Outcome.FAILED)
    counts = {
        "tests": str(len(outcomes)),
        "failures": str(failures),
        "errors": str(len(outcomes) - failures - outcomes.count(Outcome.PASSED)),
        "time": f"{result.ended_at / 1000:.3f}",
    }
    root = Element("testsuites", {"name": for_xml(result.name), **counts})
    suite = SubElement(root, "testsuite", {"name": for_xml(result.name), **counts, "skipped": "0"})
    for assertion in result.results:
        _case(suite, result.name, assertion)
    indent(root)
    return _DECLARATION + tostring(root, encoding="unicode") + "\n"


def _case(suite: Element, name: str, assertion: AssertionResult) -> None:
    attributes = {"classname": for_xml(name), "name": for_xml(assertion.name), "time": f"{assertion.at / 1000:.3f}"}
    case = SubElement(suite, "testcase", attributes)
    if assertion.outcome is not Outcome.PASSED:
        tag = "failure" if assertion.outcome is Outcome.FAILED else "error"
        problem = SubElement(case, tag, {"type": assertion.outcome, "message": for_xml(assertion.message)})
        problem.text = for_xml("\n".join([*map(describe, assertion.witnesses), *assertion.notes]))
    if assertion.phases is not None:
        SubElement(case, "system-out").text = for_xml(str(assertion.phases))
