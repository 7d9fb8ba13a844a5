"""What the tests of a suite say about its experiment (028): every combination that a person can meet."""

import pytest

from chaos.told_apart import Conclusion, RanTest, conclusion, needs_another_run, suite_verdict
from model.execution import Reason, Status, Verdict
from model.suite_windows import During, SuiteWindow, may_begin

PASSED = Verdict(status=Status.COMPLETED)
FAILED = Verdict(status=Status.FAILED, reason=Reason.TESTS_FAILED, detail="too slow")
TIMEOUT = Verdict(status=Status.TIMEOUT)
LOST = Verdict(status=Status.FAILED, reason=Reason.INFRASTRUCTURE, detail="its node is gone")
CANCELLED = Verdict(status=Status.CANCELLED)
BLOCKED = Verdict(status=Status.FAILED, reason=Reason.SAFETY_CHECK, detail="an incident")
NOT_MET = Verdict(status=Status.FAILED, reason=Reason.HYPOTHESIS_NOT_MET, detail="99 % were wanted")


def ran(verdict: Verdict | None, during: During = During.FAULT, **more: object) -> RanTest:
    return RanTest(name="checkout", during=during, verdict=verdict, **({"under_fault": True} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("test", "wanted"),
    [
        (ran(None), Conclusion.OPEN),
        (ran(PASSED), Conclusion.PASSED),
        (ran(PASSED, under_fault=False), Conclusion.NOT_UNDER_FAULT),
        (ran(FAILED, under_fault=False), Conclusion.FAILED),
        (ran(FAILED), Conclusion.NOT_TOLD_APART),
        (ran(FAILED, ran_again=True), Conclusion.OPEN),
        (ran(FAILED, ran_again=True, again=PASSED), Conclusion.UNDER_FAULT_ONLY),
        (ran(TIMEOUT, ran_again=True, again=PASSED), Conclusion.UNDER_FAULT_ONLY),
        (ran(FAILED, ran_again=True, again=FAILED), Conclusion.ALSO_WITHOUT_FAULT),
        (ran(FAILED, ran_again=True, again=TIMEOUT), Conclusion.ALSO_WITHOUT_FAULT),
        (ran(FAILED, ran_again=True, again=LOST), Conclusion.NOT_TOLD_APART),
        (ran(FAILED, ran_again=True, again=CANCELLED), Conclusion.NOT_TOLD_APART),
        (ran(FAILED, ran_again=True, again=FAILED, again_under_fault=True), Conclusion.NOT_TOLD_APART),
        (ran(FAILED, ran_again=True, again=PASSED, again_under_fault=True), Conclusion.NOT_TOLD_APART),
        (ran(FAILED, ran_again=True, again_under_fault=True), Conclusion.OPEN),
        (ran(LOST), Conclusion.NO_RESULT),
        (ran(CANCELLED), Conclusion.NOT_RUN),
        (ran(PASSED, During.BASELINE, under_fault=False), Conclusion.PASSED),
        (ran(FAILED, During.RECOVERY), Conclusion.FAILED),
    ],
)
def test_the_conclusion_of_a_test(test: RanTest, wanted: Conclusion) -> None:
    assert conclusion(test) is wanted


def test_only_what_failed_by_itself_under_the_fault_runs_once_more() -> None:
    wanted = [ran(FAILED), ran(TIMEOUT)]
    others = [
        ran(None),
        ran(PASSED),
        ran(LOST),
        ran(CANCELLED),
        ran(FAILED, under_fault=False),
        ran(FAILED, During.RECOVERY),
        ran(FAILED, ran_again=True),
    ]

    assert [needs_another_run(test) for test in (*wanted, *others)] == [True] * 2 + [False] * 7


@pytest.mark.parametrize(
    ("tests", "experiment", "wanted"),
    [
        ([ran(PASSED)], PASSED, (Status.COMPLETED, None, "experiment 'slow'")),
        (
            [ran(PASSED), ran(FAILED, ran_again=True, again=PASSED)],
            PASSED,
            (Status.FAILED, Reason.TESTS_FAILED, "checkout failed under the fault only: too slow"),
        ),
        ([ran(PASSED)], NOT_MET, (Status.FAILED, Reason.HYPOTHESIS_NOT_MET, "experiment 'slow': 99 % were wanted")),
        (
            [ran(PASSED, under_fault=False), ran(PASSED)],
            PASSED,
            (Status.FAILED, Reason.INCONCLUSIVE, "checkout passed, but no fault was active while it ran"),
        ),
        (
            [ran(PASSED, under_fault=False), ran(FAILED)],
            PASSED,
            (
                Status.FAILED,
                Reason.TESTS_FAILED,
                "checkout failed under the fault, and has no result without it: too slow",
            ),
        ),
        (
            [ran(FAILED, during=During.BASELINE, under_fault=False), ran(CANCELLED)],
            BLOCKED,
            (Status.FAILED, Reason.TESTS_FAILED, "checkout failed, and no fault was active: too slow"),
        ),
        (
            [ran(LOST, during=During.BASELINE, under_fault=False), ran(CANCELLED)],
            BLOCKED,
            (Status.FAILED, Reason.INFRASTRUCTURE, None),
        ),
        (
            [ran(PASSED, during=During.BASELINE, under_fault=False), ran(CANCELLED)],
            BLOCKED,
            (Status.FAILED, Reason.SAFETY_CHECK, "experiment 'slow': an incident"),
        ),
        ([ran(CANCELLED)], PASSED, (Status.CANCELLED, None, None)),
        ([ran(LOST), ran(FAILED)], NOT_MET, (Status.FAILED, Reason.INFRASTRUCTURE, None)),
    ],
)
def test_a_suite_ends_with_the_worst_verdict_and_says_whose_it_is(
    tests: list[RanTest], experiment: Verdict, wanted: tuple[Status, Reason | None, str | None]
) -> None:
    found = suite_verdict(tests, experiment, "slow")

    assert (found.status, found.reason) == wanted[:2]
    assert wanted[2] is None or found.detail == wanted[2] or found == PASSED


def test_a_test_may_begin_in_its_own_window_and_in_later_ones() -> None:
    allowed = {during: [window for window in SuiteWindow if may_begin(during, window)] for during in During}

    assert allowed == {
        During.BASELINE: [SuiteWindow.BASELINE, SuiteWindow.FAULT, SuiteWindow.RECOVERY],
        During.FAULT: [SuiteWindow.FAULT, SuiteWindow.RECOVERY],
        During.RECOVERY: [SuiteWindow.RECOVERY],
    }
