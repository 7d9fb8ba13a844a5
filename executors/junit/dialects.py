"""What real tools mean by JUnit XML: the rule for each deviation, beside its source.

`RULES` is the list that `docs/results.md` shows; the tables and functions below it carry the rules out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from model.result import Outcome, ResultKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One deviation: who writes it, and what is made of it."""

    writes: str
    means: str
    source: str


RULES = (
    Rule(
        writes="`failure` or `error` in a test case",
        means="failed; `error` is kept as kind `error`. Of several the first is the result's, the others are kept too",
        source="Jenkins' schema; Catch2, doctest and PHPUnit write several",
    ),
    Rule(
        writes="`skipped`, `ignored`, `disabled`, `pending` in a test case",
        means="skipped, unless a failure stands beside it",
        source="all; `ignored` NUnit converters, `disabled` CTest before 3.21",
    ),
    Rule(
        writes='`skipped type="pytest.xfail"`',
        means="skipped, of kind `xfail`",
        source="pytest, `_pytest/junitxml.py`",
    ),
    Rule(
        writes='`failure message="[XPASS(strict)] ..."`',
        means="failed, of kind `xpass`",
        source="pytest, strict xfail",
    ),
    Rule(
        writes='`status="notrun"`, `result="suppressed"`, `status="disabled"`, `executed="false"`, without a child',
        means="skipped: what did not run has not passed. A child element that says more wins",
        source="GoogleTest, CTest, Bazel, NUnit converters",
    ),
    Rule(
        writes='`status="failed"`, `status="error"`, `result="Failure"` and the like, without a child',
        means="failed. A child element that says more wins",
        source="CTest, NUnit converters, home-made writers",
    ),
    Rule(
        writes="`flakyFailure`, `flakyError` in a test case",
        means="passed, after failed runs that stand beside it",
        source="Surefire `rerunFailingTestsCount`, cargo-nextest, Gradle `mergeReruns`, Playwright `includeRetries`",
    ),
    Rule(
        writes="`rerunFailure`, `rerunError` in a test case",
        means="failed, with the further failed runs beside it",
        source="as before",
    ),
    Rule(
        writes="`failures` and `errors` of a suite that count runs, not tests",
        means="explained by the `flaky...` and `rerun...` elements inside; no result of the suite",
        source="Maven Surefire 3",
    ),
    Rule(
        writes='`failures` that are merged: `message="Failed 2 times."`',
        means="explained by that number",
        source="newman, several iterations",
    ),
    Rule(
        writes="`failures` and `errors` of a suite that its elements do not explain, or a failure of the suite itself",
        means="one failed result `SUITE (suite)`: no failure is lost",
        source="newman and jest for what kept a file from running, Playwright for errors outside of tests",
    ),
    Rule(
        writes='`hostname` that names a project: `hostname="webkit"`',
        means="the project of the result, shown behind its name",
        source="Playwright",
    ),
    Rule(
        writes="`hostname` that names a machine",
        means="left out, unless nothing else tells two results apart",
        source="pytest, Ant, Gradle, vitest, go-junit-report",
    ),
    Rule(
        writes="`device`, `browser` or `platform` of a suite, as attribute or property; suites named like one",
        means="the project of the result",
        source="Maestro, Android Gradle plugin, Flank, Karma, WebdriverIO",
    ),
    Rule(
        writes='`time="1,234.5"`, `time="0,160"`, `time="1 234,5"`, `time="00:00:01.5"`, digits of other scripts',
        means="seconds, see `durations.py`",
        source="Surefire 2, .NET, tools that format by locale",
    ),
    Rule(
        writes="control characters, raw or as references, colours of a terminal",
        means="replaced, colours left out",
        source="tools that write XML by hand",
    ),
    Rule(
        writes="bytes that the encoding does not know, a declared encoding that is not the real one, a byte order mark",
        means="decoded by what the bytes are; single bytes as Windows-1252",
        source='.NET (`encoding="utf-16"` above UTF-8), tools on Windows',
    ),
    Rule(
        writes="an ampersand that begins no reference, names of HTML (`&nbsp;`)",
        means="taken as written",
        source="tools that write XML by hand",
    ),
    Rule(
        writes="several documents in one file, blank lines before the declaration",
        means="read one after the other",
        source="`cat *.xml`, template engines",
    ),
    Rule(
        writes="suites in suites, test cases below `testsuites` or in one another, prefixes of namespaces",
        means="all test cases are read",
        source="PHPUnit, Robot Framework, node:test, home-made writers",
    ),
    Rule(
        writes="two results of one name",
        means="told apart by suite, host, file and report where these differ, else `name #2`",
        source="pytest-rerunfailures, parametrised tests of many tools",
    ),
    Rule(
        writes="no `name`, no `classname`",
        means="named by the other one, `unnamed` without either",
        source="home-made writers",
    ),
)

SUITES = {"testsuites", "testsuite"}
CASE = "testcase"


class Child(StrEnum):
    """What a child element of a test case says."""

    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"
    FLAKY = "flaky"
    RERUN = "rerun"


CHILDREN: Mapping[str, Child] = {
    "failure": Child.FAILURE,
    "error": Child.ERROR,
    "skipped": Child.SKIPPED,
    "ignored": Child.SKIPPED,
    "disabled": Child.SKIPPED,
    "pending": Child.SKIPPED,
    "flakyfailure": Child.FLAKY,
    "flakyerror": Child.FLAKY,
    "rerunfailure": Child.RERUN,
    "rerunerror": Child.RERUN,
}
"""By the name of the element in small letters."""

_STATE_ATTRIBUTES = ("status", "result", "outcome", "executed")
_NOT_RUN = frozenset(
    [
        "notrun", "notexecuted", "notrunnable", "suppressed", "disabled", "skipped", "skip", "ignored", "ignore",
        "pending", "todo", "inconclusive", "blocked", "undefined", "cancelled", "canceled", "filtered", "omitted",
        "false",
    ]
)  # fmt: skip
_FAILED = frozenset(
    [
        "failed", "fail", "failure", "failing", "error", "errored", "erred", "broken", "crashed", "crash", "timeout",
        "timedout", "aborted", "killed",
    ]
)  # fmt: skip
_TIMES = re.compile(r"Failed (\d{1,6}) times\.")
_PROJECT_NAMES = ("project", "browser", "browsername", "device", "devicename", "platform", "platformname")
"""Attributes and properties of a suite that say where its tests ran. `project` counts as an attribute only."""


def outcome_by_attribute(attributes: Mapping[str, str]) -> tuple[Outcome, str]:
    """Return the outcome that the attributes of a test case tell, and their word; passed where they tell none."""
    found = {}
    for name in _STATE_ATTRIBUTES:
        word = re.sub(r"[\s_-]", "", attributes.get(name, "").lower())
        if word in _FAILED:
            found[Outcome.FAILED] = f"{name}: {attributes[name]}"
        elif word in _NOT_RUN:
            found.setdefault(Outcome.SKIPPED, f"{name}: {attributes[name]}")
    outcome = next((one for one in (Outcome.FAILED, Outcome.SKIPPED) if one in found), Outcome.PASSED)
    return outcome, found.get(outcome, "")


def kind_of(child: Child, attributes: Mapping[str, str]) -> ResultKind | None:
    """Return what a child says beyond the outcome."""
    if child is Child.ERROR:
        return ResultKind.ERROR
    if child is Child.SKIPPED and attributes.get("type") == "pytest.xfail":
        return ResultKind.XFAIL
    if child is Child.FAILURE and attributes.get("message", "").startswith("[XPASS(strict)]"):
        return ResultKind.XPASS
    return None


def failures_in(message: str) -> int:
    """Return how many failures of a suite's count one element stands for."""
    match = _TIMES.fullmatch(message.strip())
    return int(match[1]) if match else 1


def project_by_attribute(attributes: Mapping[str, str]) -> str:
    """Return the project, browser, device or platform that the attributes of a suite name."""
    lower = {name.lower(): value.strip() for name, value in attributes.items()}
    return next((lower[name] for name in _PROJECT_NAMES if lower.get(name)), "")


def is_project_property(name: str) -> bool:
    """Say whether a property of a suite names a browser, a device or a platform."""
    return re.sub("[._-]", "", name.lower()) in _PROJECT_NAMES[1:]


def count(text: str) -> int:
    """Return a suite's count of something; 0 for what is no honest count."""
    digits = re.sub(r"[\s.,'_]", "", text)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0  # noqa: PLR2004
