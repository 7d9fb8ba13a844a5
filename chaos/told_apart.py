"""What the tests of a suite say about its experiment: a weakness under the fault, or a plain failure (028).

What failed under the fault runs once more without it. If it passes then, it failed under the fault only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from model.execution import Reason, Status, Verdict
from model.fault import exit_code, worst
from model.suite_windows import During

BY_THE_TEST = frozenset({1, 5, 124})
"""The exit codes of what a test itself found: a failure, no tests, its time-out. Others say nothing of the target."""


class Conclusion(StrEnum):
    """What is known of one test."""

    OPEN = "not known yet"
    PASSED = "passed"
    FAILED = "failed, and no fault was active"
    UNDER_FAULT_ONLY = "failed under the fault only"
    ALSO_WITHOUT_FAULT = "failed under the fault and without it"
    NOT_TOLD_APART = "failed under the fault, and has no result without it"
    NOT_UNDER_FAULT = "passed, but no fault was active while it ran"
    NOT_RUN = "was cancelled"
    NO_RESULT = "has no result of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class RanTest:
    """A test of a suite. `again` is what ran once more, without the fault: its verdict, None before it has one.

    `again_under_fault`: a fault of another experiment was active in the same place meanwhile, so it tells nothing.
    """

    name: str
    during: During
    verdict: Verdict | None
    under_fault: bool = False
    ran_again: bool = False
    again: Verdict | None = None
    again_under_fault: bool = False


def needs_another_run(test: RanTest) -> bool:
    """Say whether a test failed under the fault, so that one more run without it tells the two apart."""
    under = test.during is During.FAULT and test.under_fault and test.verdict is not None
    return under and not test.ran_again and _by_the_test(test.verdict)


def conclusion(test: RanTest) -> Conclusion:
    """Return what is known of a test."""
    if test.verdict is None:
        return Conclusion.OPEN
    if test.verdict.status is Status.CANCELLED:
        return Conclusion.NOT_RUN
    if test.verdict.good:
        missed = test.during is During.FAULT and not test.under_fault
        return Conclusion.NOT_UNDER_FAULT if missed else Conclusion.PASSED
    if not _by_the_test(test.verdict):
        return Conclusion.NO_RESULT
    if test.during is not During.FAULT or not test.under_fault:
        return Conclusion.FAILED
    return _without_fault(test)


def suite_verdict(tests: Sequence[RanTest], experiment: Verdict, name: str) -> Verdict:
    """Return the verdict of a suite: the worst of its tests and its experiment. What ran once more changes nothing.

    A test that passed without meeting the fault counts as inconclusive. What was cancelled since the experiment ended
    early says nothing more than the experiment does. A baseline that did not pass says why its experiment was blocked.
    Each verdict says whose it is.
    """
    counted = [test for test in tests if experiment.good or conclusion(test) is not Conclusion.NOT_RUN]
    found = [_counted(test) for test in counted if test.verdict is not None]
    if experiment.reason is Reason.SAFETY_CHECK and any(_is_broken_baseline(test) for test in counted):
        return worst(found)
    detail = f"experiment {name!r}: {experiment.detail}" if experiment.detail else f"experiment {name!r}"
    return worst([*found, replace(experiment, detail=detail)])


def _is_broken_baseline(test: RanTest) -> bool:
    return test.during is During.BASELINE and test.verdict is not None and not test.verdict.good


def _without_fault(test: RanTest) -> Conclusion:
    if test.ran_again and test.again is None:
        return Conclusion.OPEN
    if test.again_under_fault:
        return Conclusion.NOT_TOLD_APART
    if test.again is not None and test.again.good:
        return Conclusion.UNDER_FAULT_ONLY
    if _by_the_test(test.again):
        return Conclusion.ALSO_WITHOUT_FAULT
    return Conclusion.NOT_TOLD_APART


def _counted(test: RanTest) -> Verdict:
    found = conclusion(test)
    if found is Conclusion.NOT_UNDER_FAULT:
        return Verdict(status=Status.FAILED, reason=Reason.INCONCLUSIVE, detail=f"{test.name} {found}")
    verdict = test.verdict or Verdict(status=Status.COMPLETED)
    if verdict.good:
        return verdict
    own = f": {verdict.detail}" if verdict.detail else ""
    return replace(verdict, detail=f"{test.name} {found}{own}")


def _by_the_test(verdict: Verdict | None) -> bool:
    return verdict is not None and not verdict.good and exit_code(verdict.status, verdict.reason) in BY_THE_TEST
