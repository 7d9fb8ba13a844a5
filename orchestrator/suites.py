"""Suites: all tests are submitted in one transaction, and the worst verdict of them is that of the suite."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from uuid import UUID

from sqlalchemy import Connection

from chaos.experiment import Experiment
from chaos.told_apart import Conclusion
from db import notices, people, runs, suites
from db.errors import ConflictError
from db.gate.owner_limits import owners
from db.page import Page
from db.people import User
from db.suites import NewSuiteRun, SuiteRow
from model.execution import Door, Status, Verdict
from model.fault import worst
from model.ids import ExecutionId, GroupId, PoolName, RunId, SuiteRunId, UserId, short, uuid7
from model.notices import Ended
from model.problems import InvalidError, Problem
from model.runs import SKIPPED, RunKind
from model.suite import MOST_TESTS, Overlap, Start, Suite, suite_to_raw
from model.suite_windows import SuiteWindow
from orchestrator import cancel, submit, submit_feasibility, suite_experiments
from orchestrator.checking import check_suite
from orchestrator.content import KnownContent
from orchestrator.listing import Shown, Wanted, list_shown, report
from orchestrator.shown_suite import ShownSuite
from orchestrator.submission import Sender
from orchestrator.submit import DEFAULT_POOL, Order, OverQuota
from orchestrator.submit_feasibility import Feasibility
from orchestrator.suite_experiments import Carried
from reports.run import CarriedReport, RunReport
from scheduler.values.quota_limits import QuotaLimit, bound_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteOrder:
    """A valid suite and who it counts for.

    `scheduled`: the suite's `overlap` says what happens while the run before has not ended. `note`: what people shall
    know about this run.
    """

    suite: Suite
    suite_run_id: SuiteRunId
    user_id: UserId
    door: Door
    now: datetime
    pool: PoolName = DEFAULT_POOL
    flow_run_id: UUID | None = None
    scheduled: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteAgain:
    """A retry of an ended suite run: when, and the new run's id. Without a user it counts for the old run's.

    `flow_run_id`: the flow run that was restarted for it, and that moves to the new run.
    """

    now: datetime
    new_id: SuiteRunId
    flow_run_id: UUID | None = None
    user_id: UserId | None = None
    door: Door = Door.PREFECT


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSubmitted:
    """A suite run that was submitted. `new` is false if it had been submitted before."""

    suite_run_id: SuiteRunId
    execution_ids: tuple[ExecutionId, ...]
    new: bool = True
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSkipped:
    """A suite run that was not run, and why."""

    suite_run_id: SuiteRunId
    note: str


def submit_suite(
    conn: Connection, order: SuiteOrder, known_content: KnownContent | None = None
) -> SuiteSubmitted | SuiteSkipped | OverQuota:
    """Submit all tests of a suite, or none. Idempotent by flow run.

    Raises: InvalidError for references to secrets that nobody has set and content that nobody has sent, and for more
    than the nodes have where these are fixed, each at its test; NotFoundError for an unknown pool.
    """
    if (known := _known(conn, order)) is not None:
        return known
    before = _not_ended(conn, order) if order.scheduled and order.suite.overlap is not Overlap.QUEUE else []
    if before and order.suite.overlap is Overlap.SKIP:
        return skip(conn, order, f"skipped: suite run {short(before[0])} of {order.suite.name} has not ended")
    user = people.user(conn, order.user_id)
    experiment = suite_experiments.experiment_of(order.suite)
    orders = _orders(order, experiment)
    fits = _fitting(conn, order, orders, experiment, user)
    _refuse(fits.problems, [submit.refused(conn, one.request, user, known_content) for one in orders])
    taken = submit.take(conn, orders, order.user_id, order.now)
    if (known := _known(conn, order)) is not None:  # the same flow run, while we waited for the quota's lock
        return known
    if isinstance(taken, OverQuota):
        return taken
    for replaced in before:
        cancel_suite(conn, replaced, by=f"suite run {short(order.suite_run_id)} (overlap: replace)", now=order.now)
    suites.save(conn, _new(order, user, order.note))
    written = [submit.write(conn, one, user, known_as) for one, known_as in zip(orders, taken, strict=True)]
    if experiment is not None:
        _write_experiment(conn, order, experiment, orders)
    execution_ids = tuple(test.execution_id for test in written)
    return SuiteSubmitted(suite_run_id=order.suite_run_id, execution_ids=execution_ids, warnings=fits.warnings)


def skip(conn: Connection, order: SuiteOrder, note: str) -> SuiteSubmitted | SuiteSkipped:
    """Record that a suite run was not run, and why. Idempotent by flow run."""
    if (known := _known(conn, order)) is not None:
        return known
    suites.save(conn, replace(_new(order, people.user(conn, order.user_id), note), window=None))
    suites.skip(conn, order.suite_run_id)
    return SuiteSkipped(suite_run_id=order.suite_run_id, note=note)


def retry_suite(
    conn: Connection, suite_run_id: SuiteRunId, again: SuiteAgain, known_content: KnownContent | None = None
) -> SuiteSubmitted | OverQuota:
    """Run an ended or skipped suite run once more, as a new one.

    Raises: ConflictError while it is alive; InvalidError as `submit_suite` does.
    """
    old = suites.lock(conn, suite_run_id)
    if again.flow_run_id is not None and old.flow_run_id != again.flow_run_id:
        raise ConflictError(f"suite run {short(suite_run_id)} has been retried already")
    if old.completed_at is None:
        raise ConflictError(f"suite run {short(suite_run_id)} has not ended: cancel it first, or wait")
    order = SuiteOrder(
        suite=check_suite(dict(old.definition)),
        suite_run_id=again.new_id,
        user_id=again.user_id or old.submitted_by,
        door=again.door,
        now=again.now,
        pool=runs.find(conn, suite_run_id).pool,
        note=f"retry of suite run {short(suite_run_id)}",
    )
    outcome = submit_suite(conn, order, known_content)
    if isinstance(outcome, SuiteSubmitted) and again.flow_run_id is not None:
        runs.unlink_flow_run(conn, suite_run_id)
        runs.link_flow_run(conn, again.new_id, again.flow_run_id)
    if isinstance(outcome, SuiteSkipped):
        raise TypeError(outcome)
    return outcome


def outcome_of(conn: Connection, suite_run_id: SuiteRunId) -> SuiteSubmitted | SuiteSkipped:
    """Return the outcome of a suite run that was submitted before. Raises: NotFoundError."""
    run = suites.find(conn, suite_run_id)
    if run.status == SKIPPED:
        return SuiteSkipped(suite_run_id=suite_run_id, note=run.note)
    tests = _tests(conn, suite_run_id)
    return SuiteSubmitted(
        suite_run_id=suite_run_id, execution_ids=tuple(test.execution.execution_id for test in tests), new=False
    )


def _refuse(problems: Sequence[Problem], of_tests: Sequence[Sequence[Problem]]) -> None:
    """Raise InvalidError for `problems` of the suite, and those of its tests, each seen from the suite."""
    found = [*problems, *(problem for number, own in enumerate(of_tests) for problem in _in_test(number, own))]
    if found:
        raise InvalidError(found)


def _in_test(number: int, problems: Sequence[Problem]) -> Sequence[Problem]:
    return InvalidError(problems).under(f"tests[{number}]").problems


def _fitting(
    conn: Connection, order: SuiteOrder, orders: Sequence[Order], experiment: Experiment | None, user: User
) -> Feasibility:
    """Check whether the nodes are large enough for each test, and for all of them if they start together."""
    here = submit_feasibility.empty_pool(conn, order.pool)
    each = [submit_feasibility.feasibility(here, one.request) for one in orders]
    problems = [problem for number, own in enumerate(each) for problem in _in_test(number, own.problems)]
    warnings = [f"{one.request.name}: {text}" for one, own in zip(orders, each, strict=True) for text in own.warnings]
    if order.suite.start is Start.TOGETHER:
        group = submit_feasibility.feasibility_together(here, [(one.execution_id, one.request) for one in orders])
        problems, warnings = [*problems, *group.problems], [*warnings, *group.warnings]
    if experiment is not None:
        together = [orders[position] for position in suite_experiments.side_by_side(order.suite)]
        members = [(one.execution_id, one.request) for one in together]
        group = submit_feasibility.feasibility_under_fault(here, members, _owners(conn, order.pool, user))
        problems, warnings = [*problems, *group.problems], [*warnings, *group.warnings]
        problems += suite_experiments.problems(conn, order.suite, experiment, order.pool)
    return Feasibility(problems=tuple(problems), warnings=tuple(warnings))


def _owners(conn: Connection, pool: PoolName, user: User) -> list[QuotaLimit]:
    """Return the limits of a user and of the user's team."""
    found = owners(conn, pool, [user], several=False)
    return [bound_of(each, owner, team=each == user.team_id) for each, owner in found.items()]


def _write_experiment(conn: Connection, order: SuiteOrder, experiment: Experiment, orders: Sequence[Order]) -> None:
    """Write the experiment beside the tests, and hold those whose window comes later."""
    sender = Sender(
        run_id=suite_experiments.run_id_of(order.suite_run_id),
        user_id=order.user_id,
        door=Door.SUITE,
        now=order.now,
        pool=order.pool,
    )
    suite_experiments.hold(conn, order.suite, orders)
    suite_experiments.write(conn, order.suite, experiment, sender, order.suite_run_id)


def _orders(order: SuiteOrder, experiment: Experiment | None) -> list[Order]:
    random = Random(order.suite_run_id.int)
    one_group = GroupId(order.suite_run_id) if order.suite.start is Start.TOGETHER else None
    requests = order.suite.requests()
    groups = [one_group] * len(requests)
    if experiment is not None:
        groups = suite_experiments.groups(order.suite, order.suite_run_id)
    return [
        Order(
            request=request,
            execution_id=ExecutionId(RunId(uuid7(order.now, random))),
            user_id=order.user_id,
            door=Door.SUITE,
            now=order.now,
            pool=order.pool,
            suite_run_id=order.suite_run_id,
            group=group,
            beside=(experiment.target.place,) if experiment else (),
        )
        for request, group in zip(requests, groups, strict=True)
    ]


def _new(order: SuiteOrder, user: User, note: str) -> NewSuiteRun:
    return NewSuiteRun(
        suite_run_id=order.suite_run_id,
        name=order.suite.name,
        definition=suite_to_raw(order.suite),
        door=order.door,
        pool=order.pool,
        submitted_by=order.user_id,
        team_id=user.team_id,
        submitted_at=order.now,
        flow_run_id=order.flow_run_id,
        note=note,
        window=SuiteWindow.WAITING if order.suite.experiment is not None else None,
    )


def _not_ended(conn: Connection, order: SuiteOrder) -> list[SuiteRunId]:
    """Return the runs of this suite that have not ended. A run whose tests have all ended is closed here."""
    found = suites.unfinished(conn, order.suite.name, order.user_id)
    return [before for before in found if close(conn, before) is None]


def _known(conn: Connection, order: SuiteOrder) -> SuiteSubmitted | SuiteSkipped | None:
    found = None if order.flow_run_id is None else suites.by_flow_run(conn, order.flow_run_id)
    return None if found is None else outcome_of(conn, found)


def show_suite(conn: Connection, suite_run_id: SuiteRunId) -> ShownSuite:
    """Return a suite run with its tests, in the order of the suite. Raises: NotFoundError."""
    run = suites.find(conn, suite_run_id)
    carried = suite_experiments.carried(conn, suite_run_id) if run.window and run.status != SKIPPED else None
    return ShownSuite(run=run, tests=_tests(conn, suite_run_id), carried=carried)


def reports(conn: Connection, suite_run_id: SuiteRunId) -> list[RunReport]:
    """Return the tests of a suite run with their results, in the order of the suite. Raises: NotFoundError."""
    shown = show_suite(conn, suite_run_id)
    found = [report(conn, test.execution.execution_id) for test in shown.tests]
    return found if shown.carried is None else [_in_window(one, shown.carried) for one in found]


def _in_window(report: RunReport, carried: Carried) -> RunReport:
    """Return the report of a test with what it says about the experiment of its suite."""
    run_id = report.execution.execution_id
    during = {test.execution_id: test.during.value for test in carried.tests}
    known = carried.conclusions.get(run_id, "")
    return replace(report, during=during[run_id], conclusion=known, met_no_fault=known == Conclusion.NOT_UNDER_FAULT)


def carried_report(conn: Connection, suite_run_id: SuiteRunId) -> CarriedReport | None:
    """Return the experiment of a suite run, None if it carries none. Raises: NotFoundError."""
    if suites.find(conn, suite_run_id).window is None:
        return None
    found = suite_experiments.carried(conn, suite_run_id).experiment
    return CarriedReport(name=found.name, run_id=found.run_id, verdict=found.verdict)


def list_suites(conn: Connection, page: Page) -> tuple[list[ShownSuite], int]:
    """Return a page of suite runs, newest first, and how many there are; ended ones without their tests."""
    found, total = suites.list_suite_runs(conn, page)
    ended = suites.kinds_of_verdicts(conn, [run.suite_run_id for run in found if run.completed_at is not None])
    counted = suites.counts(conn, list(ended))
    shown = [
        show_suite(conn, run.suite_run_id)
        if run.completed_at is None
        else ShownSuite(
            run=run,
            ended=tuple(ended.get(run.suite_run_id, ())),
            counted=counted.get(run.suite_run_id, Counter()),
        )
        for run in found
    ]
    return shown, total


def cancel_suite(conn: Connection, suite_run_id: SuiteRunId, *, by: str, now: datetime) -> bool:
    """Cancel all tests of a suite run that have not ended. False when there was nothing to change.

    They are locked in order of id, as by the experiment of the suite when it changes their claims or their turn.
    """
    changed = runs.request_cancel(conn, suite_run_id, by, now)
    if suites.find(conn, suite_run_id).window is not None:
        changed |= suite_experiments.cancel_experiment(conn, suite_run_id, by=by, now=now)
    for execution_id in sorted(test.execution.execution_id for test in _tests(conn, suite_run_id)):
        changed |= cancel.cancel(conn, execution_id, by=by, now=now).changed
    close(conn, suite_run_id)
    return changed


def close(conn: Connection, suite_run_id: SuiteRunId) -> Verdict | None:
    """End the suite run once all its tests have ended. Returns: its verdict, None while a test is alive."""
    run = suites.find(conn, suite_run_id)
    if run.status == SKIPPED:
        return Verdict(status=Status.COMPLETED, detail=run.note)
    verdict = _worst(conn, run) if run.window is None or run.completed_at else _settled(conn, suite_run_id)
    if verdict is None:
        return None
    if suites.finish(conn, suite_run_id, verdict):
        ended = Ended(run_id=suite_run_id, kind=RunKind.SUITE, status=verdict.status, reason=verdict.reason)
        notices.tell(conn, [ended])
    return verdict


def _worst(conn: Connection, run: SuiteRow) -> Verdict | None:
    """Return the verdict of a suite without an experiment, or of one that has ended; None while a test is alive."""
    if run.window is not None:
        return Verdict(status=Status(run.status), reason=run.failure_reason, detail=run.detail)
    found = suites.verdicts(conn, run.suite_run_id)
    verdicts = [verdict for verdict in found if verdict is not None]
    return worst(verdicts) if verdicts and len(verdicts) == len(found) else None


def _settled(conn: Connection, suite_run_id: SuiteRunId) -> Verdict | None:
    """Return the verdict of a suite with an experiment; None while something is left to do. One at a time does that."""
    return suite_experiments.settle(conn, suites.lock(conn, suite_run_id))


def standing(conn: Connection, suite_run_id: SuiteRunId) -> ShownSuite:
    """Return a suite run as it stands. Raises: NotFoundError."""
    return show_suite(conn, suite_run_id)


def _tests(conn: Connection, suite_run_id: SuiteRunId) -> tuple[Shown, ...]:
    """Return the tests in the order of the suite. Within a suite, names are unique."""
    found, _ = list_shown(conn, Wanted(suite_run=suite_run_id), Page(limit=2 * MOST_TESTS))
    place = {
        test["name"]: position for position, test in enumerate(suites.find(conn, suite_run_id).definition["tests"])
    }
    return tuple(sorted(found, key=lambda test: (place[test.execution.name], test.execution.submitted_at)))
