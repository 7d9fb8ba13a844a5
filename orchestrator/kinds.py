"""The kinds of runs: what REST, the command and the worker ask of a run without knowing what it is (008).

A kind is one value. A new kind is one more entry of `KINDS`; its flow stands in `flows.kinds`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from db import executions, runs, suites
from db.page import Page
from db.runs import Run, RunRef
from model.execution import Status, Verdict, exit_code
from model.ids import ExecutionId, PoolName, RunId, SuiteRunId, short
from model.runs import SKIPPED, RunKind
from orchestrator import cancel, lifecycle
from orchestrator import suites as suite_cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who asks for something, and when."""

    by: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended. `skipped`: it was not run, by decision; then the detail of the verdict says why."""

    verdict: Verdict
    skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a kind of run can do.

    `title` names a run for people. `cancel` asks for its end and returns whether that changed something. `judge`
    returns how it ended, None while it has not.
    """

    name: RunKind
    title: Callable[[Connection, RunId], str]
    cancel: Callable[[Connection, RunId, Wish], bool]
    judge: Callable[[Connection, RunId], Ending | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRun:
    """A run of any kind for people: its row, its title, and how it ended."""

    run: Run
    title: str
    ended: Ending | None

    @property
    def exit_code(self) -> int | None:
        """The exit code of a command that waited for this run, None until it has ended.

        A skipped run counts as a cancelled one.
        """
        if self.ended is None:
            return None
        if self.ended.skipped:
            return suite_cases.EXIT_SKIPPED
        return exit_code(self.ended.verdict.status, self.ended.verdict.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """What a cancel did, and whose gate should look at once."""

    run: RunRef
    pool: PoolName
    changed: bool


def of(run: RunRef) -> Kind:
    """Return the kind of a run."""
    return KINDS[run.kind]


def show(conn: Connection, run: RunRef) -> ShownRun:
    """Return a run of any kind. Raises: NotFoundError."""
    kind = of(run)
    ended = kind.judge(conn, run.id)
    return ShownRun(run=runs.find(conn, run.id), title=kind.title(conn, run.id), ended=ended)


def listed(conn: Connection, kind: RunKind | None, status: Status | None, page: Page) -> tuple[list[ShownRun], int]:
    """Return a page of the runs of all kinds, newest first, and how many there are."""
    found, total = runs.list_runs(conn, kind, status, page)
    return [show(conn, run) for run in found], total


def cancel_run(conn: Connection, run: RunRef, wish: Wish) -> Cancelled:
    """Ask for the end of a run of any kind. The second time changes nothing. Raises: NotFoundError."""
    pool = runs.find(conn, run.id).pool
    return Cancelled(run=run, pool=pool, changed=of(run).cancel(conn, run.id, wish))


def _title_of_test(conn: Connection, run_id: RunId) -> str:
    return f"{executions.find(conn, ExecutionId(run_id)).name} {short(run_id)}"


def _title_of_suite(conn: Connection, run_id: RunId) -> str:
    return f"{suites.find(conn, SuiteRunId(run_id)).name} {short(run_id)}"


def _cancel_test(conn: Connection, run_id: RunId, wish: Wish) -> bool:
    return cancel.cancel(conn, ExecutionId(run_id), by=wish.by, now=wish.now).changed


def _cancel_suite(conn: Connection, run_id: RunId, wish: Wish) -> bool:
    return suite_cases.cancel_suite(conn, SuiteRunId(run_id), by=wish.by, now=wish.now)


def _judge_test(conn: Connection, run_id: RunId) -> Ending | None:
    verdict = lifecycle.verdict_of(conn, ExecutionId(run_id))
    return None if verdict is None else Ending(verdict=verdict)


def _judge_suite(conn: Connection, run_id: RunId) -> Ending | None:
    verdict = suite_cases.close(conn, SuiteRunId(run_id))
    return None if verdict is None else Ending(verdict=verdict, skipped=runs.find(conn, run_id).status is SKIPPED)


KINDS: Mapping[RunKind, Kind] = {
    kind.name: kind
    for kind in (
        Kind(name=RunKind.TEST, title=_title_of_test, cancel=_cancel_test, judge=_judge_test),
        Kind(name=RunKind.SUITE, title=_title_of_suite, cancel=_cancel_suite, judge=_judge_suite),
    )
}
