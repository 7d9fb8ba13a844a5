"""Many runs on few rows, the sum of all of them, and lines where there is no terminal."""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from cli import screen
from cli.screen import Lines, Screen, choose
from cli.words import closing, overall, seconds_left

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
FAILED, RUNNING, WAITING, PASSED = "failed", "running", "queued", "completed"


def run(number: int, status: str, percent: int = 50, **more: Any) -> dict[str, Any]:
    """Return a run as the API shows it."""
    return {
        "executionId": f"id-{number}",
        "shortId": f"{number:08x}",
        "name": f"test-{number}-of-a-suite-with-long-names",
        "status": status,
        "phase": {RUNNING: "running", WAITING: "waiting"}.get(status, "ended"),
        "failureReason": "tests_failed" if status == FAILED else None,
        "durationSeconds": 3.0 if status in {FAILED, PASSED} else None,
        "waitReason": "waits for 500m CPU; the pool has 100m free" if status == WAITING else "",
        "queuePosition": number if status == WAITING else None,
        "startedAt": None if status == WAITING else NOW.isoformat(),
        "progress": {"totalTests": 40, "completed": 20, "failed": 0, "skipped": 0, "percentComplete": percent},
        **more,
    }


def sixty() -> list[dict[str, Any]]:
    """Return a suite of 60 tests on its way: 20 passed, 3 failed, 4 running, 33 waiting."""
    statuses = [PASSED] * 10 + [FAILED] + [PASSED] * 10 + [FAILED] * 2 + [RUNNING] * 4 + [WAITING] * 33
    return [run(number, status) for number, status in enumerate(statuses)]


class Terminal:
    """A stream that says that it is a terminal."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def drawn(
    runs: list[dict[str, Any]],
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> list[str]:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", str(size[0]))
    monkeypatch.setenv("LINES", str(size[1]))
    monkeypatch.setattr(sys, "stderr", Terminal(sys.stderr))
    monkeypatch.setattr(screen, "now", lambda: NOW + timedelta(minutes=2))
    with Screen() as shown:
        shown.show(runs)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err).splitlines()


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_sixty_runs_fit_on_a_terminal_with_failures_running_ones_and_a_total(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = drawn(sixty(), size, monkeypatch, capsys)

    assert len(lines) < size[1]
    assert max(map(len, lines)) <= size[0] - screen.ECHO
    assert [sum(f" {status} " in line for line in lines) for status in (FAILED, RUNNING)] == [3, 4]
    assert re.fullmatch(r"and \d+ more: .*(passed|waiting)\s*", lines[-2])
    assert "23/60 ended, about 3 min left: 20 passed, 3 failed, 4 running, 33 waiting" in lines[-1]


def test_runs_that_fit_are_drawn_in_the_order_of_the_suite() -> None:
    runs = [run(1, PASSED), run(2, FAILED), run(3, RUNNING)]

    assert choose(runs, 3).shown == tuple(runs)
    assert choose(runs, 3).hidden == ()


def test_failures_leave_half_of_the_rows_to_runs_that_are_alive() -> None:
    runs = [*(run(n, FAILED) for n in range(50)), *(run(n, RUNNING) for n in range(50, 60))]

    chosen = choose(runs, 11)

    assert [r["status"] for r in chosen.shown] == [FAILED] * 5 + [RUNNING] * 5
    assert len(chosen.hidden) == 50


def test_each_run_is_either_drawn_or_counted() -> None:
    chosen = choose(sixty(), 10)

    assert len(chosen.shown) == 9
    assert sorted(r["executionId"] for r in (*chosen.shown, *chosen.hidden)) == sorted(
        r["executionId"] for r in sixty()
    )


def test_the_time_left_follows_from_the_rate_so_far() -> None:
    runs = [*(run(n, PASSED) for n in range(30)), *(run(n, WAITING) for n in range(30, 60))]

    assert seconds_left(runs, NOW + timedelta(seconds=60)) == pytest.approx(60)
    assert seconds_left([run(1, RUNNING, 25)], NOW + timedelta(seconds=10)) == pytest.approx(30)


def test_no_end_is_expected_before_the_start_of_the_last_run() -> None:
    late = (NOW + timedelta(hours=1)).isoformat()
    runs = [run(1, PASSED), run(2, WAITING, estimatedStartTime=late)]

    assert seconds_left(runs, NOW + timedelta(seconds=60)) == pytest.approx(3540)


@pytest.mark.parametrize("runs", [[run(1, WAITING)], [run(1, RUNNING, 0)], [run(1, PASSED)], []])
def test_nothing_is_estimated_before_something_is_done_nor_afterwards(runs: list[dict[str, Any]]) -> None:
    assert seconds_left(runs, NOW + timedelta(seconds=60)) is None
    assert "left" not in str(overall(runs, NOW))


class Clock:
    """A clock that is set by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    monkeypatch.setattr(screen, "now", lambda: NOW + timedelta(minutes=1))
    return Clock()  # type: ignore[return-value]


def test_without_a_terminal_something_is_written_each_15_seconds(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """For two minutes in which nothing changes, polled as often as the watcher polls."""
    lines = Lines(clock=clock)
    written = []
    for tenth in range(1200):
        clock.now = tenth / 10
        lines.show([run(1, RUNNING, 25), run(2, WAITING)])
        if capsys.readouterr().err:
            written.append(clock.now)

    pauses = [after - before for before, after in pairwise(written)]
    assert len(written) >= 8
    assert max(pauses) <= 15.1


def test_the_regular_line_has_the_sum_and_the_estimate(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(clock=clock)
    lines.show(sixty())
    capsys.readouterr()

    clock.now = 16.0
    lines.show(sixty())

    assert "23/60 ended, about 1 min left: 20 passed, 3 failed, 4 running, 33 waiting" in capsys.readouterr().err


def test_the_regular_line_of_a_single_run_has_its_tests(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(clock=clock)
    lines.show([run(1, RUNNING, 50)])
    capsys.readouterr()

    clock.now = 16.0
    lines.show([run(1, RUNNING, 50)])

    assert "20/40 tests, about 1 min left" in capsys.readouterr().err


def test_the_closing_line_counts_the_tests_and_has_the_time() -> None:
    runs = [*(run(n, PASSED) for n in range(58)), run(58, FAILED), run(59, FAILED)]
    for test in runs:
        test["completedAt"] = (NOW + timedelta(minutes=3, seconds=12)).isoformat()

    answer = {"executions": runs, "submittedAt": NOW.isoformat(), "status": "failed", "note": ""}

    assert closing("orders", answer) == "orders: 58 passed, 2 failed in 3m12s"


def test_the_closing_line_of_a_skipped_suite_run_has_its_note() -> None:
    answer = {"executions": [], "submittedAt": NOW.isoformat(), "status": "skipped", "note": "the run before is alive"}

    assert closing("orders", answer) == "orders: skipped: the run before is alive"
