"""Look at one test: three questions in turn, and the later ones are asked also where the earlier ones found something.

Is it plain data (`plain`), is each field right (`reading`), do the fields fit together (`rules`)?
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
    """A test that was looked at; `value` is None where `findings` has anything."""

    value: TestRequest | LocalTest | None
    findings: tuple[Finding, ...]

    def test(self) -> TestRequest | LocalTest:
        """Return the value. Raises: ValueError if there is none."""
        if self.value is None:
            raise ValueError("there is no test here")
        return self.value

    def request(self) -> TestRequest:
        """Return the value. Raises: ValueError if there is none, or its content is still local."""
        if not isinstance(self.value, TestRequest):
            raise ValueError("there is no request here")  # noqa: TRY004  what was sent is wrong, not its Python type
        return self.value


def examine(raw: object, tools: ToolRules, *, allow_local: bool = False) -> Examined:
    """Look at one test in plain data; content of type local is a value only with `allow_local`."""
    local = allow_local and mapping(mapping(raw).get("content")).get("type") == "local"
    reading: Reading[LocalTest] | Reading[TestRequest] = LOCAL_TEST.read(raw) if local else REQUEST.read(raw)
    broken = [reading.as_sent(finding) for finding in broken_rules(reading.raw, tools)]
    return Examined(value=None if broken else reading.value, findings=(*reading.findings, *broken))


def refuse(seen: Plain, findings: tuple[Finding, ...]) -> None:
    """Raise InvalidError if anything was found, leaving out what is only a consequence of unplain values."""
    told = [*seen.findings, *(finding for finding in findings if not seen.hides(finding.location))]
    if len(told) > MOST_PROBLEMS:
        message = f"has {len(told):,} problems; these are the first {MOST_PROBLEMS:,}"
        told = [Finding(location=(), message=message), *told[:MOST_PROBLEMS]]
    if told:
        raise InvalidError(finding.problem() for finding in told)
