"""The elements of a JUnit document: suites, test cases and what they say, in the order of the file."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from executors.identity import Reported
from executors.junit import dialects
from executors.junit.characters import REPLACEMENT, RefusedError
from executors.junit.dialects import CHILDREN, Child
from executors.untrusted import LONGEST_MESSAGE, LONGEST_TRACE
from model.result import Outcome

DEEPEST = 64
_LONGEST_NAME = 20_000
_ROOT = "report"
"""Our own root, around all documents of a file."""
_OTHER_TEXT = {"system-out", "system-err", "systemout", "systemerr"}


@dataclass(slots=True)
class Part:
    """A child of a test case that says something about its outcome."""

    child: Child
    attributes: Mapping[str, str]
    texts: list[str] = field(default_factory=list)
    message: list[str] = field(default_factory=list)
    length: int = 0

    def add(self, text: str, *, message: bool) -> None:
        """Take in a piece of its text, as long as there is room."""
        text = text[: LONGEST_TRACE * 2 - self.length]
        self.length += len(text)
        (self.message if message else self.texts).append(text)

    @property
    def summary(self) -> str:
        """What it says in short."""
        given = self.attributes.get("message", "") or "".join(self.message).strip()
        return (given or self.attributes.get("type", ""))[: LONGEST_MESSAGE * 4]

    @property
    def trace(self) -> str:
        """Its text."""
        return "".join(self.texts).strip()


@dataclass(slots=True)
class Case:
    """A test case whose end has come."""

    attributes: Mapping[str, str]
    reported: Reported
    parts: list[Part] = field(default_factory=list)

    def all(self, *children: Child) -> list[Part]:
        """Return the parts that are one of `children`."""
        return [part for part in self.parts if part.child in children]

    @property
    def failed(self) -> bool:
        """Say whether it failed in the end."""
        if self.all(Child.FAILURE, Child.ERROR, Child.RERUN):
            return True
        return not self.parts and dialects.outcome_by_attribute(self.attributes)[0] is Outcome.FAILED


@dataclass(slots=True)
class Suite:
    """A suite: what it claims, and what the elements in it show."""

    attributes: Mapping[str, str]
    collection: bool
    """True for `testsuites`, which is not a suite itself."""
    project: str
    claimed: int
    failed_cases: int = 0
    failures: int = 0
    reruns: int = 0
    own_failures: int = 0
    note: str = ""

    @property
    def name(self) -> str:
        """Its name, empty without one."""
        return self.attributes.get("name", "").strip()[:_LONGEST_NAME]

    @property
    def unexplained(self) -> int:
        """Return how many failures it has beyond those that its test cases show, counted in any way that tools do."""
        return max(self.own_failures, self.claimed - max(self.failed_cases, self.failures) - self.reruns)

    def take(self, case: Case) -> None:
        """Count what a test case shows."""
        elements = case.all(Child.FAILURE, Child.ERROR)
        self.failed_cases += case.failed
        self.failures += sum(dialects.failures_in(part.summary) for part in elements)
        self.reruns += len(case.all(Child.FLAKY, Child.RERUN))

    def take_inner(self, inner: "Suite") -> None:
        """Count what a suite in this one shows, its own failure too."""
        self.failed_cases += inner.failed_cases + inner.unexplained
        self.failures += inner.failures + inner.unexplained
        self.reruns += inner.reruns


class Reader:
    """The handlers of one file. `add` is called with each test case, also with one for a suite that failed itself."""

    def __init__(self, report: str, add: Callable[[Case], None]) -> None:
        self._report = report
        self._add = add
        self._path: list[str] = []
        self._suites: list[Suite] = []
        self._cases: list[Case] = []
        self._part: Part | None = None
        self._part_depth = 0
        self._roots = 0

    def parse(self, pieces: Iterable[str]) -> None:
        """Read to the end. Raises: ExpatError or RefusedError where the file is broken."""
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.buffer_text = True
        parser.Parse(f"<{_ROOT}>", False)
        for piece in pieces:
            parser.Parse(piece, False)
        if len(self._path) > 1:
            raise RefusedError(f"it ends inside of <{self._path[-1][:50]}>")
        if not self._roots:
            raise RefusedError("there is no <testsuites> and no <testsuite> in it")
        parser.Parse(f"</{_ROOT}>", True)

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        tag = element.rpartition(":")[2].lower()
        if not self._path:
            self._path.append(_ROOT)
            return
        self._enter(tag, element)
        if tag in dialects.SUITES:
            self._suites.append(_suite(tag, attributes))
        elif tag == dialects.CASE:
            self._cases.append(Case(attributes, self._reported(attributes)))
        elif tag == "property":
            self._take_property(attributes)
        elif tag in CHILDREN and self._part is None:
            self._take_child(CHILDREN[tag], attributes)

    def _enter(self, tag: str, element: str) -> None:
        if len(self._path) == 1:
            if tag not in dialects.SUITES:
                raise RefusedError(f"it begins with <{element[:50]}>, not with <testsuites> or <testsuite>")
            self._roots += 1
        self._path.append(tag)
        if len(self._path) > DEEPEST + 1:
            raise RefusedError(f"it is nested deeper than {DEEPEST}")

    def _take_child(self, child: Child, attributes: dict[str, str]) -> None:
        if self._cases:
            self._part, self._part_depth = Part(child, attributes), len(self._path)
            self._cases[-1].parts.append(self._part)
        elif child in {Child.FAILURE, Child.ERROR}:
            suite = self._suites[-1]
            suite.own_failures += 1
            suite.note = suite.note or attributes.get("message", "")[:LONGEST_MESSAGE]

    def _take_property(self, attributes: dict[str, str]) -> None:
        """Note a property of a suite that tells where its tests ran."""
        suite = self._suites[-1]
        if not self._cases and not suite.project and dialects.is_project_property(attributes.get("name", "")):
            suite.project = attributes.get("value", "").strip()[:_LONGEST_NAME]

    def _characters(self, text: str) -> None:
        if self._part is not None:
            if not _OTHER_TEXT & set(self._path[-3:]):
                self._part.add(text, message=self._path[-1] == "message")
        elif len(self._path) == 1 and text.strip(f" \t\r\n{REPLACEMENT}"):
            raise RefusedError("there is text outside of its elements")
        elif self._path[-1] == "system-err" and self._suites and not self._cases and not self._suites[-1].note:
            self._suites[-1].note = text.strip()[:LONGEST_MESSAGE]

    def _end(self, _: str) -> None:
        tag = self._path.pop()
        if tag == dialects.CASE:
            self._end_case(self._cases.pop())
        elif tag in dialects.SUITES:
            self._end_suite(self._suites.pop())
        elif len(self._path) < self._part_depth:
            self._part, self._part_depth = None, 0

    def _end_case(self, case: Case) -> None:
        self._suites[-1].take(case)
        self._add(case)

    def _end_suite(self, suite: Suite) -> None:
        if self._suites:
            self._suites[-1].take_inner(suite)
        if not suite.unexplained:
            return
        shown = max(suite.failed_cases, suite.failures)
        message = f"the suite counts {suite.claimed} failures and errors, its test cases show {shown or 'none'}"
        part = Part(Child.ERROR, {"message": f"{message}: {suite.note}" if suite.note else message})
        name = f"{suite.name or 'the whole'} (suite)"
        reported = Reported(name=name, suites=self._names(), project=suite.project, report=self._report)
        self._add(Case({}, reported, [part]))

    def _reported(self, attributes: Mapping[str, str]) -> Reported:
        return Reported(
            name=attributes.get("name", "").strip()[:_LONGEST_NAME],
            classname=attributes.get("classname", "").strip()[:_LONGEST_NAME],
            suites=self._names(),
            root=next((suite.name for suite in self._suites if suite.collection), ""),
            project=next((suite.project for suite in reversed(self._suites) if suite.project), ""),
            host=self._nearest("hostname"),
            file=attributes.get("file", "").strip() or self._nearest("file"),
            report=self._report,
        )

    def _nearest(self, attribute: str) -> str:
        """Return an attribute of the innermost suite that has it."""
        told = (suite.attributes.get(attribute, "").strip() for suite in reversed(self._suites))
        return next((text[:_LONGEST_NAME] for text in told if text), "")

    def _names(self) -> tuple[str, ...]:
        """Return the names of the suites that are open, the outermost first."""
        return tuple(suite.name for suite in self._suites if suite.name and not suite.collection)


def _suite(tag: str, attributes: dict[str, str]) -> Suite:
    claimed = dialects.count(attributes.get("failures", "")) + dialects.count(attributes.get("errors", ""))
    return Suite(
        attributes=attributes,
        collection=tag == "testsuites",
        project=dialects.project_by_attribute(attributes),
        claimed=claimed,
    )
