"""Tests of Markdown: it is readable, and untrusted text in it is escaped."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.execution import Door, Phase, Reason, Status, TestExecution, Verdict
from model.ids import DefinitionId, ExecutionId
from model.result import Outcome, Result, ResultKind
from reports.markdown import suite_summary, summary
from reports.texts import for_markdown

RUN = ExecutionId(UUID(int=0xABCDEF01))
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PASSED = Verdict(status=Status.COMPLETED)
PASS = Result(name="test_a", outcome=Outcome.PASSED, duration_ms=1500)
FAIL = Result(name="test_b", outcome=Outcome.FAILED, message="boom")


def test_a_summary_says_the_verdict_the_counts_and_the_run() -> None:
    text = summary("checkout", RUN, 2, PASSED, [PASS])

    assert text.startswith("# checkout: completed\n")
    assert f"1 test: 1 passed, 0 failed, 0 skipped · 1.5 s in tests · attempt 2 · run `{RUN}`" in text


def test_failures_come_first_with_their_reason() -> None:
    verdict = Verdict(status=Status.FAILED, reason=Reason.TESTS_FAILED, detail="1 of 2 failed")

    lines = summary("checkout", RUN, 1, verdict, [PASS, FAIL]).splitlines()

    assert lines[0] == "# checkout: failed (tests\\_failed)".replace("\\", "")
    assert "1 of 2 failed" in lines
    assert [line for line in lines if line.startswith("| test\\_")] == [
        "| test\\_b | failed | 0 | boom |",
        "| test\\_a | passed | 1500 |  |",
    ]


def test_what_did_not_run_is_counted_by_itself_and_kinds_are_shown() -> None:
    verdict = Verdict(status=Status.TIMEOUT, detail="reached its time limit")
    results = [
        Result(name="a", outcome=Outcome.PASSED),
        Result(name="b", outcome=Outcome.FAILED, kind=ResultKind.ERROR),
        Result(name="c", outcome=Outcome.SKIPPED, kind=ResultKind.NOT_RUN),
    ]

    text = summary("suite", RUN, 1, verdict, results)

    assert "3 tests: 1 passed, 1 failed, 0 skipped, 1 not run" in text
    assert "| b | error |" in text
    assert "| c | not_run |" in text


def test_a_run_without_results_has_no_table() -> None:
    assert "|" not in summary("checkout", RUN, 1, PASSED, [])


def test_a_long_table_is_cut_and_says_so() -> None:
    text = summary("checkout", RUN, 1, PASSED, [PASS] * 205)

    assert text.count("| test\\_a |") == 200
    assert "5 more are not shown here." in text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert\\(1\\)&gt;"),
        ("[click](javascript:x)", "\\[click\\]\\(javascript:x\\)"),
        ("a | b\n| c", "a \\| b \\| c"),
        ("```\n# big", "\\`\\`\\` \\# big"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\\", "a\\\\"),
    ],
)
def test_untrusted_text_is_escaped(hostile: str, shown: str) -> None:
    assert for_markdown(hostile, 100) == shown


def test_long_text_is_cut() -> None:
    assert for_markdown("x" * 100, 10) == "x" * 9 + "…"


@given(st.text())
def test_no_text_breaks_the_table(text: str) -> None:
    shown = for_markdown(text, 300)

    assert "\n" not in shown
    assert "|" not in shown.replace("\\\\", "").replace("\\|", "")


@dataclass(frozen=True)
class Row:
    name: str
    note: str = ""


@dataclass(frozen=True)
class Shown:
    execution: TestExecution


@dataclass(frozen=True)
class Standing:
    run: Row
    tests: tuple[Shown, ...]
    status: str = "failed"
    experiment_lines: tuple[str, ...] = ()


EXECUTION = TestExecution(
    execution_id=RUN,
    definition_id=DefinitionId(UUID(int=2)),
    name="orders",
    type="pytest",
    priority=5,
    status=Status.COMPLETED,
    phase=Phase.ENDED,
    door=Door.SUITE,
    submitted_at=NOON,
    started_at=NOON,
    completed_at=NOON + timedelta(seconds=2),
)


def test_a_suite_is_a_table_of_its_tests() -> None:
    broken = replace(
        EXECUTION, name="flaky|one", status=Status.FAILED, failure_reason=Reason.NO_TESTS, detail="none", retry_count=1
    )

    text = suite_summary(Standing(run=Row("shop"), tests=(Shown(EXECUTION), Shown(broken))))

    assert text.splitlines()[0] == "# shop: failed"
    assert "| orders | completed | 2.0 | 0 |  | `abcdef01` |" in text
    assert "| flaky\\|one | failed | 2.0 | 1 | no\\_tests: none | `abcdef01` |" in text


def test_a_test_of_a_suite_links_its_page_where_there_is_one() -> None:
    text = suite_summary(Standing(run=Row("shop"), tests=(Shown(EXECUTION),)), {RUN: "http://prefect/runs/1"})

    assert "| [orders](http://prefect/runs/1) | completed |" in text


def test_a_skipped_suite_says_why() -> None:
    text = suite_summary(Standing(run=Row("shop", note="the one before runs still"), tests=(), status="skipped"))

    assert "the one before runs still" in text


def test_a_suite_with_an_experiment_tells_of_it_before_its_tests() -> None:
    lines = ("experiment slow: completed", "checkout (fault): failed under the fault only")
    text = suite_summary(Standing(run=Row("shop"), tests=(Shown(EXECUTION),), experiment_lines=lines))

    assert text.index("failed under the fault only") < text.index("| orders |")
    assert "- experiment slow: completed" in text
