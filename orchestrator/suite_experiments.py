"""Suites that carry an experiment: submit both as one, let tests begin in their windows, tell failures apart (028).

submit      all runs are written together; the experiment and the tests that begin with it are one group
enter       the experiment is in a window now: the tests of it may begin
settle      the experiment has ended: what never had its turn is cancelled, what failed under the fault runs again
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid5

from sqlalchemy import Connection

from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment
from chaos.told_apart import RanTest, conclusion, needs_another_run, suite_verdict
from db import chaos_runs, executions, pools, runs, suite_windows, suites
from db.gate import queue
from db.gate.queue import Requeue
from db.suite_windows import CarriedExperiment, SuiteTest
from db.suites import SuiteRow
from model.claims import Claim, conflict
from model.execution import Door, Status, Verdict
from model.ids import ExecutionId, GroupId, PoolName, RunId, SuiteRunId
from model.problems import InvalidError, Problem
from model.suite import Suite
from model.suite_windows import During, SuiteWindow
from orchestrator import cancel, companions, experiments, suite_claims
from orchestrator.experiments import Carrier, Prepared
from orchestrator.submission import Sender
from orchestrator.submit import Order, OverQuota, submit

HELD = timedelta(days=30)
"""For so long a test waits for its window. Its turn comes much earlier, or it is cancelled."""
WAITS_FOR = {
    During.BASELINE: "waits for the experiment of its suite to begin",
    During.FAULT: "waits until the tests of the baseline have begun",
    During.RECOVERY: "waits until the faults of its suite's experiment are reverted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The experiment that a suite carries, its tests, and in words what is known of each that is no further run."""

    experiment: CarriedExperiment
    tests: tuple[SuiteTest, ...]
    conclusions: Mapping[ExecutionId, str]


def experiment_of(suite: Suite) -> Experiment | None:
    """Return the experiment that a suite carries."""
    return None if suite.experiment is None else check_experiment(dict(suite.experiment))


def groups(suite: Suite, suite_run_id: SuiteRunId) -> list[GroupId | None]:
    """Return the group of each test: with the experiment, with the other tests under the fault, or none (028.2)."""
    first = suite.during.index(During.BASELINE) if During.BASELINE in suite.during else None
    with_experiment = GroupId(suite_run_id)
    under_fault = with_experiment if first is None else _group_under_fault(suite_run_id)
    found: list[GroupId | None] = [under_fault if during is During.FAULT else None for during in suite.during]
    if first is not None:
        found[first] = with_experiment
    return found


def problems(conn: Connection, suite: Suite, experiment: Experiment, pool: PoolName) -> list[Problem]:
    """Return what keeps a suite from being carried out, whatever else runs."""
    found: list[Problem] = []
    if pools.read(conn, pool).max_concurrent_experiments == 0:
        message = f"the pool {pool!r} starts none: `assay pool set {pool} --max-concurrent-experiments 1`"
        found.append(Problem(path="experiment", message=message))
    found += _beside(suite, experiment, pools.read(conn, pool).max_concurrent_tests)
    place = experiment.target.place
    for position, test in enumerate(suite.tests):
        for index, path in enumerate(test.config.exclusive):
            if conflict(Claim(path=path), Claim(path=place)):
                message = f"the suite's experiment has {place} to itself, with all its tests: name it in `uses`"
                found.append(Problem(path=f"tests[{position}].config.exclusive[{index}]", message=message))
    return found


def _beside(suite: Suite, experiment: Experiment, most: int) -> list[Problem]:
    """Find that what the experiment starts itself has no place beside the tests that hold theirs (028.4)."""
    own, needed = companions.number_of(experiment), max(1, len(side_by_side(suite)))
    if not own or own + needed <= most:
        return []
    message = (
        f"its load test and its health checks of type command take {own} of the pool's places beside {needed} of the "
        f"tests, and the pool runs {most} at once: use `load.url`, or other health checks"
    )
    return [Problem(path="experiment", message=message)]


def side_by_side(suite: Suite) -> list[int]:
    """Return the positions of the tests that must run at the same time: those under the fault."""
    return [position for position, during in enumerate(suite.during) if during is During.FAULT]


def write(conn: Connection, suite: Suite, experiment: Experiment, sender: Sender, suite_run_id: SuiteRunId) -> None:
    """Write the experiment of a suite whose tests are written, and hold the tests whose window comes later.

    Raises: as `experiments.submit`.
    """
    requests = suite.requests()
    longest = sum((timedelta(seconds=test.config.timeout) for test in requests), timedelta())
    carrier = Carrier(suite_run_id=suite_run_id, longest_tests=longest)
    wanted = Prepared(experiment=experiment, carrier=carrier)
    experiments.submit(conn, experiments.create(conn, experiment, sender.user_id), wanted, sender)


def hold(conn: Connection, suite: Suite, orders: Sequence[Order]) -> None:
    """Hold the tests of a suite, just written, that are not admitted with its experiment."""
    for order, during in zip(orders, suite.during, strict=True):
        if during is not None and order.group != order.suite_run_id:
            queue.hold_until(conn, order.execution_id, order.now + HELD, WAITS_FOR[during])


def enter(conn: Connection, suite_run_id: SuiteRunId, window: SuiteWindow, turns: Iterable[During]) -> None:
    """Note in which window the experiment of a suite is, and let the tests of these windows start."""
    suite_windows.enter(conn, suite_run_id, window)
    give_turn(conn, suite_run_id, turns)


def give_turn(conn: Connection, suite_run_id: SuiteRunId, turns: Iterable[During]) -> None:
    """Let the tests of these windows have their places. They begin when the experiment enters their window."""
    wanted = frozenset(turns)
    found = suite_windows.tests(conn, suite_run_id)
    suite_windows.give_turn(conn, [test.execution_id for test in found if test.during in wanted])


def take_back(conn: Connection, suite_run_id: SuiteRunId) -> None:
    """Have the tests under the fault wait for their turn again, and free their places (028.5).

    A test of the baseline waits for another attempt, and could get no place that one of them has.
    """
    found = sorted(suite_windows.tests(conn, suite_run_id), key=lambda test: test.execution_id)
    for test in (test for test in found if test.during is During.FAULT and test.retried_from is None):
        row = runs.lock(conn, test.execution_id)
        if row is None or row.status is not Status.QUEUED:
            continue
        if (epoch := queue.fence_off(conn, test.execution_id)) is not None:
            queue.requeue(conn, test.execution_id, epoch, Requeue())
        why, group = WAITS_FOR[During.FAULT], _group_under_fault(suite_run_id)
        suite_windows.hold(conn, test.execution_id, HELD, why, group)


def _group_under_fault(suite_run_id: SuiteRunId) -> GroupId:
    return GroupId(uuid5(suite_run_id, During.FAULT))


def ran_tests(tests: Sequence[SuiteTest]) -> list[RanTest]:
    """Return what the tests of a suite found, each with what ran once more of it."""
    again = {test.retried_from: test for test in tests if test.retried_from is not None}
    return [
        RanTest(
            name=test.name,
            during=test.during,
            verdict=test.verdict,
            under_fault=test.under_fault,
            ran_again=test.execution_id in again,
            again=again[test.execution_id].verdict if test.execution_id in again else None,
            again_under_fault=test.execution_id in again and again[test.execution_id].disturbed,
        )
        for test in tests
        if test.retried_from is None
    ]


def conclusions(tests: Sequence[SuiteTest]) -> dict[ExecutionId, str]:
    """Return in words what is known of each test of a suite that did not run once more."""
    firsts = [test for test in tests if test.retried_from is None]
    return {one.execution_id: conclusion(what).value for one, what in zip(firsts, ran_tests(tests), strict=True)}


def settle(conn: Connection, row: SuiteRow) -> Verdict | None:
    """Do what is left to do once the experiment of a suite has ended. The caller holds the suite's row.

    Return the verdict of the suite, None before it has one.
    """
    experiment = suite_windows.experiment(conn, row.suite_run_id)
    if experiment.verdict is None:
        return None
    found = suite_windows.tests(conn, row.suite_run_id)
    if any(test.verdict is None for test in found):
        _free_or_cancel(conn, row, found, experiment)
        found = suite_windows.tests(conn, row.suite_run_id)
    if any(test.verdict is None for test in found):
        return None
    if experiment.reverted and not row.cancel_requested and _run_again(conn, row, found, experiment.run_id):
        return None
    return suite_verdict(ran_tests(found), experiment.verdict, experiment.name)


def _free_or_cancel(conn: Connection, row: SuiteRow, tests: Sequence[SuiteTest], experiment: CarriedExperiment) -> None:
    """Cancel what never had its turn. The tests of the recovery have it if a fault was active, and is reverted."""
    recovers = suite_claims.recovers(conn, row.suite_run_id)
    if recovers:
        enter(conn, row.suite_run_id, SuiteWindow.RECOVERY, [During.RECOVERY])
    by = f"the experiment {experiment.name!r}, which ended before"
    for test in sorted(tests, key=lambda test: test.execution_id):
        waits = test.status is Status.QUEUED and test.started_at is None and test.retried_from is None
        if waits and not (recovers and test.during is During.RECOVERY):
            cancel.cancel(conn, test.execution_id, by=by, now=suites.now(conn))


def _run_again(conn: Connection, row: SuiteRow, tests: Sequence[SuiteTest], experiment: RunId) -> bool:
    """Submit once more what failed under the fault, without it. Return whether anything was submitted.

    What is refused, such as by the daily quota, stays as it is: it is not told apart then.
    """
    firsts = [test for test in tests if test.retried_from is None]
    failed = [one for one, what in zip(firsts, ran_tests(tests), strict=True) if needs_another_run(what)]
    if not failed:
        return False
    place = experiments.read(conn, chaos_runs.experiment_of(conn, experiment)).target.place
    submitted = [_submitted(conn, row, test, place) for test in failed]
    return any(submitted)


def _submitted(conn: Connection, row: SuiteRow, test: SuiteTest, place: str) -> bool:
    old = executions.find(conn, test.execution_id)
    order = Order(
        request=executions.request_of(conn, test.execution_id),
        execution_id=without_fault(test.execution_id),
        user_id=row.submitted_by,
        door=Door.SUITE,
        now=suites.now(conn),
        pool=old.pool,
        suite_run_id=row.suite_run_id,
        retried_from=test.execution_id,
        place=place,
    )
    try:
        return not isinstance(submit(conn, order), OverQuota)
    except InvalidError:
        return False


def without_fault(execution_id: ExecutionId) -> ExecutionId:
    """Return the id of the run of a test without the fault, so that it is submitted once."""
    return ExecutionId(RunId(uuid5(execution_id, "without the fault")))


def run_id_of(suite_run_id: SuiteRunId) -> RunId:
    """Return the id of the run of a suite's experiment."""
    return RunId(uuid5(suite_run_id, "experiment"))


def carried(conn: Connection, suite_run_id: SuiteRunId) -> Carried:
    """Return the experiment of a suite and what its tests found. Raises: NotFoundError."""
    found = suite_windows.tests(conn, suite_run_id)
    known = conclusions(found)
    return Carried(experiment=suite_windows.experiment(conn, suite_run_id), tests=tuple(found), conclusions=known)


def cancel_experiment(conn: Connection, suite_run_id: SuiteRunId, *, by: str, now: datetime) -> bool:
    """Ask for the end of the experiment of a suite: its faults are reverted at once. False if nothing changed."""
    experiment = suite_windows.experiment(conn, suite_run_id)
    return cancel.cancel(conn, ExecutionId(experiment.run_id), by=by, now=now).changed
