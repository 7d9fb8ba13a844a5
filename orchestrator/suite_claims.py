"""What the tests of a suite claim when its experiment ends, and its claim with it (028.3, 028.11)."""

from sqlalchemy import Connection

from db import executions, people, runs, suite_windows
from db.gate import claim_changes, pass_locks
from db.runs import Run
from db.suite_windows import SuiteTest
from model.ids import ExecutionId, RunId, SuiteRunId
from model.suite_windows import During
from orchestrator import claiming


def hold_passes(conn: Connection, run_id: RunId) -> None:
    """Let no pass of the pool be made until the transaction ends, if a suite carries this run. Call it before any lock.

    A pass that has read a waiting test with its old claim would start it with none, while another pool starts an
    experiment on the same place.
    """
    run = runs.find(conn, run_id)
    if run.parent_id is not None:
        pass_locks.hold_all(conn, [run.pool])


def give_on(conn: Connection, experiment: Run, place: str) -> None:
    """Give the claim of an experiment that ends now to the tests of its suite that have not ended, shared.

    Those of the recovery have their turn now if a fault is reverted, so that the next pass can start them first. The
    caller has locked the experiment's run, and gives up its place in the same transaction.
    """
    if experiment.parent_id is None:
        return
    suite = SuiteRunId(experiment.parent_id)
    claim_changes.lock(conn, [test.execution_id for test in suite_windows.tests(conn, suite)])
    left = [test for test in suite_windows.tests(conn, suite) if test.verdict is None]
    claim_changes.change(conn, {test.execution_id: _claims(conn, test.execution_id, place) for test in left})
    if recovers(conn, suite):
        suite_windows.give_turn(conn, _waiting_for_recovery(left))


def recovers(conn: Connection, suite_run_id: SuiteRunId) -> bool:
    """Return whether the tests of the recovery are to run: a fault was injected, and is reverted."""
    experiment = suite_windows.experiment(conn, suite_run_id)
    return experiment.injected and experiment.reverted and not runs.find(conn, suite_run_id).cancel_requested


def _claims(conn: Connection, execution_id: ExecutionId, place: str) -> tuple[str, ...]:
    user = people.user(conn, runs.find(conn, execution_id).submitted_by)
    config = executions.request_of(conn, execution_id).config
    return claiming.of_test(config, user.team_id, claiming.uses_at(place, user.team_id, user.team_uses))


def _waiting_for_recovery(tests: list[SuiteTest]) -> list[ExecutionId]:
    return [test.execution_id for test in tests if test.during is During.RECOVERY]
