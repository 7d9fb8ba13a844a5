"""What a person sees who watches a run: each verdict once, and how to come back after letting go."""

import json
import sys
from itertools import pairwise
from typing import Any

import pytest

from cli import found_run, runs, watch
from cli.failure import DetachedError, UnreachableError
from cli.screen import Screen
from cli.stack import samples
from cli.watch import detachable
from cli.words import about_experiment, closing

PASSED: dict[str, Any] = {
    "waitReason": "",
    "queuePosition": None,
    "startedAt": None,
    "executionId": "01a20b9b-9979-7f70-bad9-737415a34c47",
    "shortId": "15a34c47",
    "name": "checkout",
    "status": "completed",
    "phase": "ended",
    "failureReason": None,
    "durationSeconds": 1.5,
    "progress": {"totalTests": 5, "completed": 5, "failed": 0, "skipped": 0, "percentComplete": 100},
}


class Terminal:
    """A stream that says that it is a terminal."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have these streams be a terminal, one that draws nothing twice. Not in a fixture: capsys would undo it."""
    monkeypatch.setenv("TERM", "dumb")
    for name in names:
        monkeypatch.setattr(sys, name, Terminal(getattr(sys, name)))


def test_verdicts_that_are_on_the_screen_are_not_written_below_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch, "stdout", "stderr")

    with Screen() as screen:
        screen.show([PASSED])
    runs._verdicts([PASSED])
    samples._print_verdicts([{"name": "orders", "executions": [PASSED]}])

    out, err = capsys.readouterr()
    assert (out, err.count("checkout")) == ("", 1)


def test_a_picture_leaves_room_for_what_the_terminal_echoes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else Ctrl-C moves the cursor to the next line, and the last picture is drawn one line too low."""
    on_a_terminal(monkeypatch, "stderr")
    long = {**PASSED, "status": "queued", "queuePosition": 1, "waitReason": "the pool runs 2 of 2 " * 5}

    with Screen() as screen:
        screen.show([long])

    assert max(map(len, capsys.readouterr().err.splitlines())) <= 77  # of 80


def test_verdicts_go_to_a_file_also_when_the_screen_showed_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch, "stderr")

    runs._verdicts([PASSED])

    assert capsys.readouterr().out == "15a34c47\tcompleted\tcheckout\t5/5 tests in 1.5s\n"


def test_the_reasons_of_many_failures_do_not_fill_the_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch, "stdout", "stderr")
    failed = {**PASSED, "status": "cancelled", "detail": "cancelled by anna", "suiteRunId": "abc"}

    runs._verdicts([failed] * 60)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 40 more that did not pass: assay list --suite abc"


def test_verdicts_of_the_samples_are_a_json_object_a_line_also_beside_the_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch, "stdout", "stderr")

    samples._print_verdicts([{"name": "orders", "executions": [PASSED, PASSED]}], json=True)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{"suite": "orders", **PASSED}] * 2


def test_an_outage_is_told_at_once_and_then_at_least_every_15_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With pauses of up to 10 seconds between two requests, which here take no time."""
    slept: list[float] = []
    told: list[float] = []
    monkeypatch.setattr(watch.time, "sleep", slept.append)
    monkeypatch.setattr(watch, "say", lambda _: told.append(sum(slept)))

    def ask() -> str:
        if sum(slept) < 120:
            raise UnreachableError("no answer")
        return "back"

    assert watch.patiently(ask) == "back"
    assert told[0] == 0.0
    assert max(after - before for before, after in pairwise([*told, sum(slept)])) <= 15


def test_letting_go_names_commands_that_know_the_run() -> None:
    with pytest.raises(DetachedError) as told, detachable("7f70"):
        raise KeyboardInterrupt

    assert all(word in str(told.value) for word in ("`assay wait 7f70`", "`assay cancel 7f70`"))
    assert told.value.exit_code == 3


EXPERIMENT: dict[str, Any] = {
    "shortId": "38fcebba",
    "name": "slow",
    "status": "completed",
    "window": "recovery",
    "step": "record",
    "detail": "orders stayed well",
    "tests": [{"name": "checkout", "during": "fault", "conclusion": "failed under the fault only"}],
}


def test_what_ran_once_more_without_the_fault_is_named_so_and_counts_as_no_further_test() -> None:
    first = PASSED | {"status": "failed", "retriedFrom": None, "completedAt": None}
    again = PASSED | {"retriedFrom": first["executionId"], "completedAt": None}
    answer = {"executions": [first, again], "experiment": EXPERIMENT, "submittedAt": "2026-11-24T10:00:00Z"}

    found = found_run.tests_of(found_run.suite("5f"), answer)

    assert [test["name"] for test in found] == ["checkout", "checkout (without the fault)"]
    assert closing("game day", answer) == "game day: 1 failed"
    assert about_experiment(answer) == [
        "experiment slow (38fcebba): completed: orders stayed well",
        "  checkout (fault): failed under the fault only",
    ]
    assert about_experiment({"executions": []}) == []


def test_the_window_of_the_experiment_of_a_suite_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    told = ""
    for experiment in (None, EXPERIMENT, EXPERIMENT, EXPERIMENT | {"status": "running", "window": "fault"}):
        told = watch._say_window(experiment, told)

    assert capsys.readouterr().err.splitlines() == [
        "38fcebba experiment slow: completed, window recovery, step record",
        "38fcebba experiment slow: running, window fault, step record",
    ]
