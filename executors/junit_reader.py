"""Reads JUnit XML that a test wrote: as a stream, with limits, and without document types, so without entities.

Tools differ in what they mean by the format. A failure must not get lost: a name that comes twice counts twice, and a
suite that counts failures but shows none is a failed test.
"""

import math
from typing import BinaryIO
from xml.parsers import expat

from executors.untrusted import LONGEST_MESSAGE, LONGEST_TRACE, clean, clean_name
from model.result import Outcome, Report, Result

LARGEST = 20 * 2**20
MOST_TESTS = 200_000
DEEPEST = 64
TEXT_BUDGET = 16 * 2**20
_BAD = {"failure", "error"}
_SUITES = {"testsuites", "testsuite"}
_CHUNK = 65_536


class _RefusedError(ValueError):
    """No sane tool writes such a document."""


def read(file: BinaryIO) -> Report:
    """Return the report in `file`. If it cannot be trusted, it is marked broken and holds what was read so far."""
    reader = _Reader()
    try:
        reader.parse(file)
    except (expat.ExpatError, _RefusedError, ValueError) as error:
        return Report(
            results=tuple(reader.results), planned=len(reader.results), broken=f"the JUnit file is broken: {error}"
        )
    return Report(results=tuple(reader.results), planned=len(reader.results), finished=True)


class _Reader:
    """The handlers of one document."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self._names: dict[str, int] = {}
        self._path: list[str] = []
        self._suites: list[_Suite] = []
        self._case: dict[str, str] | None = None
        self._outcome = Outcome.PASSED
        self._message = ""
        self._text: list[str] | None = None
        self._budget = TEXT_BUDGET

    def parse(self, file: BinaryIO) -> None:
        """Read to the end. Raises: ExpatError or ValueError where it is broken."""
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.buffer_text = True
        while chunk := file.read(_CHUNK):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)

    def _doctype(self, *_: object) -> None:
        raise _RefusedError("a DOCTYPE is not accepted")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._path and tag not in _SUITES:
            raise _RefusedError(f"it begins with <{tag[:50]}>, not with <testsuites> or <testsuite>")
        self._path.append(tag)
        if len(self._path) > DEEPEST:
            raise _RefusedError(f"it is nested deeper than {DEEPEST}")
        if tag in _SUITES:
            self._suites.append(_Suite(attributes))
        elif tag == "testcase":
            self._case, self._outcome, self._message, self._text = attributes, Outcome.PASSED, "", []
        elif self._case is not None:
            self._mark(tag, attributes)
        elif tag in _BAD:
            self._suites[-1].claimed += 1

    def _mark(self, tag: str, attributes: dict[str, str]) -> None:
        """Note the outcome that a child element of a test case tells."""
        if tag in _BAD:
            self._outcome = Outcome.FAILED
        elif tag == "skipped" and self._outcome is Outcome.PASSED:
            self._outcome = Outcome.SKIPPED
        elif tag not in {"flakyFailure", "flakyError", "rerunFailure", "rerunError"}:
            return
        self._message = self._message or attributes.get("message", "") or attributes.get("type", "")

    def _characters(self, text: str) -> None:
        if self._text is not None and self._path[-1] in _BAD | {"skipped"}:
            self._text.append(text[:LONGEST_TRACE])

    def _end(self, tag: str) -> None:
        self._path.pop()
        if tag == "testcase" and self._case is not None:
            self._add(_name(self._case), self._outcome, self._case.get("time", ""), "".join(self._text or ()))
            self._case = self._text = None
        elif tag in _SUITES:
            suite = self._suites.pop()
            if suite.claimed and not suite.failed:
                self._message = f"the suite counts {suite.claimed} failures and errors, and shows none"
                self._add(f"{suite.name} (suite)", Outcome.FAILED, "", "")

    def _add(self, name: str, outcome: Outcome, time: str, trace: str) -> None:
        if len(self.results) >= MOST_TESTS:
            raise _RefusedError(f"it has more than {MOST_TESTS} tests")
        for suite in self._suites:
            suite.failed |= outcome is Outcome.FAILED
        self._names[name] = again = self._names.get(name, 0) + 1
        message, trace = clean(self._message, LONGEST_MESSAGE), clean(trace.strip(), LONGEST_TRACE)
        self._budget -= len(message) + len(trace)
        if self._budget < 0:
            message, trace = message[:200], ""
        self.results.append(
            Result(
                name=clean_name(name if again == 1 else f"{name} #{again}"),
                outcome=outcome,
                duration_ms=_milliseconds(time),
                message=message or trace.partition("\n")[0][:LONGEST_MESSAGE],
                trace=trace,
            )
        )


class _Suite:
    """A suite whose end has not come."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self.name = attributes.get("name", "") or "the whole"
        self.claimed = _count(attributes.get("failures", "")) + _count(attributes.get("errors", ""))
        self.failed = False


def _name(case: dict[str, str]) -> str:
    """Return `class::name`, or what there is of it."""
    parts = [part for part in (case.get("classname", "").strip(), case.get("name", "").strip()) if part]
    return "::".join(parts) or "unnamed"


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004  no honest count


def _milliseconds(time: str) -> int:
    try:
        seconds = float(time.replace(",", ""))
    except ValueError:
        return 0
    return min(max(round(seconds * 1000), 0), 2**31 - 1) if math.isfinite(seconds) else 0
