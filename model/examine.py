"""Examine one test in three steps: plain data (`plain`), single fields (`reading`), rules across fields (`rules`).

Every step runs, also after an earlier one has found problems, so that the sender gets all problems at once.
"""

from dataclasses import dataclass

from model.lenient import mapping
from model.plain import Plain
from model.problems import Finding, InvalidError
from model.reading import Reader, Reading
from model.request import LocalTest, TestRequest
from model.rules import ToolRules, broken_rules

REQUEST = Reader(TestRequest)
LOCAL_TEST = Reader(LocalTest)
MOST_PROBLEMS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """The result of examining a test. `value` is None if there are findings."""

    value: TestRequest | LocalTest | None
    findings: tuple[Finding, ...]

    def test(self) -> TestRequest | LocalTest:
        """Return the value. Raises: ValueError if there is none."""
        if self.value is None:
            raise ValueError("there is no test here")
        return self.value

    def request(self) -> TestRequest:
        """Return the value as a request. Raises: ValueError if there is none, or its content is local."""
        if not isinstance(self.value, TestRequest):
            raise ValueError("there is no request here")  # noqa: TRY004  the input is wrong, not a Python type
        return self.value


def examine(raw: object, tools: ToolRules, *, allow_local: bool = False) -> Examined:
    """Examine one test, given as plain data. Content of type local is accepted only with `allow_local`."""
    reading: Reading[LocalTest] | Reading[TestRequest] = REQUEST.read(raw)
    if allow_local and mapping(mapping(reading.raw).get("content")).get("type") == "local":  # its keys are spelt right
        reading = LOCAL_TEST.read(raw)
    broken = [reading.as_sent(finding) for finding in broken_rules(reading.raw, tools)]
    return Examined(value=None if broken else reading.value, findings=(*reading.findings, *broken))


def refuse(seen: Plain, findings: tuple[Finding, ...]) -> None:
    """Raise InvalidError if there are findings.

    A finding about a value that `plain` replaced is left out, because it is only a consequence.
    """
    reported = [*seen.findings, *(finding for finding in findings if not seen.hides(finding.location))]
    if len(reported) > MOST_PROBLEMS:
        message = f"has {len(reported):,} problems; these are the first {MOST_PROBLEMS:,}"
        reported = [Finding(location=(), message=message), *reported[:MOST_PROBLEMS]]
    if reported:
        raise InvalidError(finding.problem() for finding in reported)
