"""The state of runs in words: one run, the sum of many, and the time that is left."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cli.output import away, seconds, span
from model.plural import counted

TERMINAL = frozenset({"completed", "failed", "cancelled", "timeout", "skipped"})
STATUS_WORDS = {
    "completed": "passed",
    "failed": "failed",
    "timeout": "timed out",
    "cancelled": "cancelled",
    "skipped": "skipped",
    "running": "running",
    "queued": "waiting",
}
_LEAST_DONE = 0.02
_LEAST_ELAPSED = 2.0
"""Below these, the rate of the first moments says nothing about the rest."""


def describe(run: Any) -> str:
    """Return the state of a run in a few words."""
    if run["status"] == "queued":
        place = f" at {run['queuePosition']}" if run["queuePosition"] else ""
        told = starts(run)
        soon = f", {told}" if told else ""
        return f"{run['phase']}{place}{soon}{': ' + run['waitReason'] if run['waitReason'] else ''}"
    if run["status"] == "running":
        held_up = f": {run['detail']}" if run.get("detail") else ""
        return f"{run['phase']}, {counts(run['progress'])}{held_up}"
    cause = f" ({run['failureReason']})" if run["failureReason"] else ""
    took = f" in {seconds(run['durationSeconds'])}" if run["durationSeconds"] is not None else ""
    return f"{counts(run['progress'])}{cause}{took}"


def starts(run: Any) -> str:
    """Return the estimated start of a waiting run in words; an empty text while it is unknown."""
    p50, p90 = run.get("estimatedStartTime"), run.get("estimatedStartTimeP90")
    if p50 is None:
        return ""
    likely = f" (90%: {away(p90)})" if p90 else ""
    return f"starts in about {away(p50)}{likely}"


def counts(progress: Any) -> str:
    """Return a progress in words."""
    if not progress["totalTests"]:
        return "no tests yet" if not progress["completed"] else counted(progress["completed"], "test")
    parts = [f"{progress['completed']}/{counted(progress['totalTests'], 'test')}"]
    parts += [f"{progress[kind]} {kind}" for kind in ("failed", "skipped") if progress[kind]]
    return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overall:
    """The sum of several runs: how many have each status, the share that is done, and the time that is left."""

    statuses: Counter[str]
    done: float
    left_seconds: float | None

    @property
    def total(self) -> int:
        """The number of runs."""
        return self.statuses.total()

    @property
    def ended(self) -> int:
        """The number of runs that have ended."""
        return sum(number for status, number in self.statuses.items() if status in TERMINAL)

    def __str__(self) -> str:
        left = "" if self.left_seconds is None else f", about {span(self.left_seconds)} left"
        return f"{self.ended}/{self.total} ended{left}: {by_status(self.statuses)}"


def overall(runs: Sequence[Any], now: datetime) -> Overall:
    """Return the sum of `runs` at the time `now`."""
    return Overall(
        statuses=Counter(run["status"] for run in runs),
        done=sum(map(fraction, runs)) / len(runs) if runs else 0.0,
        left_seconds=seconds_left(runs, now),
    )


def by_status(statuses: Counter[str]) -> str:
    """Return numbers of runs in words: '58 passed, 2 failed'."""
    return ", ".join(f"{statuses[status]} {word}" for status, word in STATUS_WORDS.items() if statuses[status])


def fraction(run: Any) -> float:
    """Return the share of a run that is done, from 0 to 1."""
    if run["status"] in TERMINAL:
        return 1.0
    return float(run["progress"]["percentComplete"]) / 100 if run["status"] == "running" else 0.0


def seconds_left(runs: Sequence[Any], now: datetime) -> float | None:
    """Return an estimate of the time until all runs have ended. None while too little is done to tell.

    The rest takes as long for its share as what is done took; and nothing ends before its estimated start.
    """
    done = sum(map(fraction, runs))
    begun = [datetime.fromisoformat(run["startedAt"]) for run in runs if run.get("startedAt")]
    if not begun or done >= len(runs):
        return None
    elapsed = (now - min(begun)).total_seconds()
    if elapsed < _LEAST_ELAPSED or done < _LEAST_DONE * len(runs):
        return None
    later = [datetime.fromisoformat(run["estimatedStartTime"]) for run in runs if run.get("estimatedStartTime")]
    return max([elapsed * (len(runs) - done) / done, *((start - now).total_seconds() for start in later)])


def about_experiment(answer: Any) -> list[str]:
    """Return how the experiment of a suite run stands, and what its tests say about it; nothing without one."""
    experiment = answer.get("experiment")
    if not experiment:
        return []
    detail = f": {experiment['detail']}" if experiment["detail"] else ""
    ended = experiment["status"] in TERMINAL
    words = experiment["status"] if ended else f"{experiment['status']}, window {experiment['window']}"
    first = f"experiment {experiment['name']} ({experiment['shortId']}): {words}{detail}"
    return [first, *(f"  {test['name']} ({test['during']}): {test['conclusion']}" for test in experiment["tests"])]


def closing(name: str, answer: Any) -> str:
    """Return the last line about a suite run: 'orders: 58 passed, 2 failed in 3m12s'."""
    runs = answer["executions"]
    if not runs:
        return f"{name}: {answer['status']}{': ' + answer['note'] if answer['note'] else ''}"
    ends = [datetime.fromisoformat(run["completedAt"]) for run in runs if run.get("completedAt")]
    firsts = [run for run in runs if not (answer.get("experiment") and run["retriedFrom"])]
    words = by_status(Counter(run["status"] for run in firsts))
    took = (max(ends) - datetime.fromisoformat(answer["submittedAt"])).total_seconds() if ends else None
    return f"{name}: {words}" + ("" if took is None else f" in {seconds(took)}")
