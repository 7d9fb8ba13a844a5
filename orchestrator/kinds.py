"""The kinds of runs: what REST, the command and the worker ask of a run without knowing what it is (008).

A kind is one value of `KINDS`; its flow stands in `flows.kinds`. A kind that needs no node and has no details of its
own needs no entry: it is submitted as a `GateRequest`, and is a row of `runs` (012.1).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial

from sqlalchemy import Connection

from db import executions, runs, suites
from db.errors import ConflictError
from db.page import Page
from db.people import OverQuota
from db.runs import Run, RunRef
from model.execution import Status, Verdict
from model.fault import exit_code
from model.gate_request import check_gate_request
from model.ids import ExecutionId, PoolName, RunId, SuiteRunId, short
from model.runs import SKIPPED, RunKind
from orchestrator import cancel, experiments, gate_runs, lifecycle, retry, submit
from orchestrator import suites as suite_cases
from orchestrator.checking import check, check_suite
from orchestrator.shown_suite import EXIT_SKIPPED
from orchestrator.submission import Accepted, Sender, Write


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


class Needs(StrEnum):
    """What a run of a kind is placed on by the gate."""

    NODE = "node"
    BACKEND = "backend"
    """A backend as a whole, such as a cluster."""
    LIMITS = "limits"
    """Nothing: limits and exclusive names alone decide when it starts."""
    NOTHING = "nothing"
    """It is never queued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a kind of run can do.

    `prepare` checks what was sent, outside of a transaction, and returns what writes it; it raises InvalidError with
    all problems. `retry` submits an ended run once more. `title` names a run for people. `cancel` asks for its end and
    returns whether that changed something. `judge` returns how it ended, None while it has not.
    """

    name: RunKind
    needs: Needs
    prepare: Callable[[object, Sender], Write]
    retry: Callable[[Connection, RunId, Sender], Accepted | OverQuota]
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
            return EXIT_SKIPPED
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


def retry_run(conn: Connection, run: RunRef, sender: Sender) -> Accepted | OverQuota:
    """Submit an ended run of any kind once more, as a new run.

    Raises: ConflictError while it is alive, and for a kind that cannot be retried; else as its submit does.
    """
    return of(run).retry(conn, run.id, sender)


def cancel_run(conn: Connection, run: RunRef, wish: Wish) -> Cancelled:
    """Ask for the end of a run of any kind. The second time changes nothing. Raises: NotFoundError."""
    pool = runs.find(conn, run.id).pool
    return Cancelled(run=run, pool=pool, changed=of(run).cancel(conn, run.id, wish))


def _prepare_test(raw: object, sender: Sender) -> Write:
    request = check(raw)

    def write(conn: Connection) -> Accepted | OverQuota:
        order = submit.Order(
            request=request,
            execution_id=ExecutionId(sender.run_id),
            user_id=sender.user_id,
            door=sender.door,
            now=sender.now,
            pool=sender.pool,
            once=sender.once,
        )
        return _accepted_test(submit.submit(conn, order, sender.known_content))

    return write


def _prepare_suite(raw: object, sender: Sender) -> Write:
    suite = check_suite(raw)

    def write(conn: Connection) -> Accepted | OverQuota:
        order = suite_cases.SuiteOrder(
            suite=suite,
            suite_run_id=SuiteRunId(sender.run_id),
            user_id=sender.user_id,
            door=sender.door,
            now=sender.now,
            pool=sender.pool,
        )
        return _accepted_suite(suite_cases.submit_suite(conn, order, sender.known_content), sender.pool)

    return write


def _prepare_gate_run(kind: RunKind, raw: object, sender: Sender) -> Write:
    request = check_gate_request(raw)
    return lambda conn: gate_runs.submit(conn, kind, request, sender)


def _retry_test(conn: Connection, run_id: RunId, sender: Sender) -> Accepted | OverQuota:
    again = retry.Again(now=sender.now, new_id=ExecutionId(sender.run_id), user_id=sender.user_id, door=sender.door)
    return _accepted_test(retry.retry(conn, ExecutionId(run_id), again, sender.known_content))


def _retry_suite(conn: Connection, run_id: RunId, sender: Sender) -> Accepted | OverQuota:
    again = suite_cases.SuiteAgain(
        now=sender.now, new_id=SuiteRunId(sender.run_id), user_id=sender.user_id, door=sender.door
    )
    outcome = suite_cases.retry_suite(conn, SuiteRunId(run_id), again, sender.known_content)
    return _accepted_suite(outcome, runs.find(conn, run_id).pool)


def _retry_gate_run(conn: Connection, run_id: RunId, sender: Sender) -> Accepted | OverQuota:  # noqa: ARG001
    kind = runs.find(conn, run_id).kind
    raise ConflictError(f"a run of kind {kind} cannot be retried: submit a new one")


def _accepted_test(outcome: submit.Submitted | OverQuota) -> Accepted | OverQuota:
    if isinstance(outcome, OverQuota):
        return outcome
    return Accepted(
        run=RunRef(id=outcome.execution_id, kind=RunKind.TEST),
        pool=outcome.pool,
        new=outcome.new,
        warnings=outcome.warnings,
    )


def _accepted_suite(
    outcome: suite_cases.SuiteSubmitted | suite_cases.SuiteSkipped | OverQuota, pool: PoolName
) -> Accepted | OverQuota:
    if isinstance(outcome, OverQuota):
        return outcome
    run = RunRef(id=outcome.suite_run_id, kind=RunKind.SUITE)
    if isinstance(outcome, suite_cases.SuiteSkipped):
        return Accepted(run=run, pool=pool)
    return Accepted(run=run, pool=pool, new=outcome.new, warnings=outcome.warnings)


def _title_of_test(conn: Connection, run_id: RunId) -> str:
    return f"{executions.find(conn, ExecutionId(run_id)).name} {short(run_id)}"


def _title_of_suite(conn: Connection, run_id: RunId) -> str:
    return f"{suites.find(conn, SuiteRunId(run_id)).name} {short(run_id)}"


def _title_of_experiment(conn: Connection, run_id: RunId) -> str:
    return f"{experiments.title(conn, run_id)} {short(run_id)}"


def _title_of_gate_run(conn: Connection, run_id: RunId) -> str:
    return f"{runs.find(conn, run_id).kind} {short(run_id)}"


def _cancel_queued(conn: Connection, run_id: RunId, wish: Wish) -> bool:
    return cancel.cancel(conn, ExecutionId(run_id), by=wish.by, now=wish.now).changed


def _cancel_suite(conn: Connection, run_id: RunId, wish: Wish) -> bool:
    return suite_cases.cancel_suite(conn, SuiteRunId(run_id), by=wish.by, now=wish.now)


def _judge_queued(conn: Connection, run_id: RunId) -> Ending | None:
    verdict = lifecycle.verdict_of(conn, ExecutionId(run_id))
    return None if verdict is None else Ending(verdict=verdict)


def _judge_suite(conn: Connection, run_id: RunId) -> Ending | None:
    verdict = suite_cases.close(conn, SuiteRunId(run_id))
    return None if verdict is None else Ending(verdict=verdict, skipped=runs.find(conn, run_id).status is SKIPPED)


def _gate_run(kind: RunKind) -> Kind:
    """Return what a kind can do that has nothing of its own here."""
    return Kind(
        name=kind,
        needs=Needs.LIMITS,
        prepare=partial(_prepare_gate_run, kind),
        retry=_retry_gate_run,
        title=_title_of_gate_run,
        cancel=_cancel_queued,
        judge=_judge_queued,
    )


_TEST = Kind(
    name=RunKind.TEST,
    needs=Needs.NODE,
    prepare=_prepare_test,
    retry=_retry_test,
    title=_title_of_test,
    cancel=_cancel_queued,
    judge=_judge_queued,
)
_SUITE = Kind(
    name=RunKind.SUITE,
    needs=Needs.NOTHING,
    prepare=_prepare_suite,
    retry=_retry_suite,
    title=_title_of_suite,
    cancel=_cancel_suite,
    judge=_judge_suite,
)
_EXPERIMENT = Kind(
    name=RunKind.EXPERIMENT,
    needs=Needs.LIMITS,
    prepare=experiments.prepare,
    retry=experiments.retry,
    title=_title_of_experiment,
    cancel=_cancel_queued,
    judge=_judge_queued,
)
KINDS: Mapping[RunKind, Kind] = {kind: _gate_run(kind) for kind in RunKind} | {
    kind.name: kind for kind in (_TEST, _SUITE, _EXPERIMENT)
}
