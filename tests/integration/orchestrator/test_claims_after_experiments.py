"""Who may have the place of a suite when its experiment has ended: the tests that are left share it (028.8, 028.11)."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from harness.carried_suites import EXPERIMENT, FAILED, PASSED, Suite, claimed, new_id, slow_payments, uses
from sqlalchemy import text

from chaos.experiment_reading import check_experiment
from chaos.verdict import End
from db import chaos_faults
from db.engine import Database
from db.seeds import LOCAL_USER
from model.execution import Door
from model.ids import ExecutionId, UserId
from model.suite_windows import SuiteWindow
from orchestrator import experiments, suite_experiments
from orchestrator.experiments import Prepared
from orchestrator.submission import Sender


class Others:
    """An experiment on the place of the suite, of another team, or of the team of the suite."""

    def __init__(self, suite: Suite, user: UserId) -> None:
        self.suite, self.run = suite, ExecutionId(new_id())
        wanted = Prepared(experiment=check_experiment(EXPERIMENT | {"name": "of others"}))
        sender = Sender(run_id=self.run, user_id=user, door=Door.REST, now=datetime.now(UTC))  # noqa: TID251
        suite.names[self.run] = "of others"
        suite.db.call(
            lambda conn: experiments.submit(
                conn, experiments.create(conn, wanted.experiment, sender.user_id), wanted, sender
            )
        )

    def fault(self) -> None:
        """Have a fault from now on."""
        self.suite.db.call(lambda conn: chaos_faults.write_down(conn, [slow_payments(self.run, "of others")]))


@pytest.fixture
def stranger(wide: Database) -> UserId:
    team, user = uuid4(), UserId(uuid4())
    made = (
        "INSERT INTO teams (team_id, team_name) VALUES (:team, 'strangers')",
        "INSERT INTO users (user_id, username, email, password_hash, team_id) VALUES (:user, 's', 's', '!', :team)",
    )
    for statement in made:
        wide.call(lambda conn, one=statement: conn.execute(text(one), {"team": team, "user": user}))
    return user


def again_without_the_fault(db: Database, user: UserId) -> tuple[Suite, ExecutionId, Others]:
    """Have a test that names nothing run once more after a fault, and an experiment that waits."""
    suite = Suite(db, "fault", tests=uses(None))
    suite.admitted()
    suite.enter(SuiteWindow.FAULT)
    suite.end("fault-0", FAILED)
    suite.under_fault()
    suite.judged()
    assert suite.close() is None
    rerun = suite_experiments.without_fault(suite.tests["fault-0"])
    suite.names[rerun] = "rerun"
    others = Others(suite, user)
    assert suite.admitted() == {"rerun"}
    return suite, rerun, others


def test_what_runs_once_more_keeps_the_next_experiment_of_its_own_team_out(wide: Database) -> None:
    suite, rerun, _ = again_without_the_fault(wide, LOCAL_USER)

    assert suite.admitted() == set()
    suite.finish(rerun, FAILED)
    assert suite.admitted() == {"of others"}
    assert suite.close() is not None
    assert suite.shown() == {"fault-0": "failed under the fault and without it"}


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("shop", "failed under the fault, and has no result without it"),
        ("bakery", "failed under the fault and without it"),
    ],
)
def test_what_met_the_fault_of_another_experiment_in_the_same_place_is_not_told_apart(
    wide: Database, stranger: UserId, place: str, said: str
) -> None:
    suite, rerun, others = again_without_the_fault(wide, stranger)
    moved = text(
        "UPDATE chaos_experiments SET definition = jsonb_set(definition, '{target,environment}',"
        " to_jsonb(CAST(:place AS text))) WHERE name = 'of others'"
    )
    wide.call(lambda conn: conn.execute(moved, {"place": place}))

    suite.begin_run(rerun)
    others.fault()
    suite.finish(rerun, FAILED)

    assert suite.close() is not None
    assert suite.shown() == {"fault-0": said}


@pytest.mark.parametrize("end", [End.ABORTED, End.INFRASTRUCTURE])
def test_no_experiment_is_admitted_until_the_tests_under_the_fault_and_of_the_recovery_have_ended(
    wide: Database, stranger: UserId, end: End
) -> None:
    suite = Suite(wide, "fault", "recovery", tests=uses("local/shop/payments", "local/shop"))
    assert suite.admitted() == {"experiment", "fault-0"}
    suite.enter(SuiteWindow.FAULT)
    suite.begin("fault-0")
    suite.under_fault()
    others = Others(suite, stranger)
    assert suite.admitted() == set()

    suite.judged(end)

    assert suite.admitted() == {"recovery-1"}
    suite.close()
    assert suite.admitted() == set()
    suite.end("fault-0", PASSED)
    assert suite.admitted() == set()
    suite.end("recovery-1", PASSED)
    assert suite.admitted() == {"of others"}
    assert others.run in suite.grants


def test_the_tests_of_the_baseline_keep_others_out_when_the_experiment_is_blocked(
    wide: Database, stranger: UserId
) -> None:
    tests = uses("local/shop/payments", "local/shop", "local/shop")
    suite = Suite(wide, "baseline", "baseline", "fault", tests=tests)
    suite.admitted()
    suite.enter(SuiteWindow.BASELINE)
    assert suite.admitted() == {"baseline-1"}
    suite.begin("baseline-0")
    suite.end("baseline-1", FAILED)
    Others(suite, stranger)

    suite.judged(End.BLOCKED)

    assert suite.admitted() == set()
    suite.close()
    assert suite.statuses() == {"baseline-0": "running", "baseline-1": "failed", "fault-2": "cancelled"}
    assert suite.admitted() == set()
    suite.end("baseline-0", PASSED)
    assert suite.admitted() == {"of others"}


def test_a_test_that_names_nothing_keeps_the_experiments_of_its_own_team_out_too(wide: Database) -> None:
    suite = Suite(wide, "fault", tests=uses(None))
    suite.admitted()
    suite.enter(SuiteWindow.FAULT)
    suite.begin("fault-0")
    suite.under_fault()
    Others(suite, LOCAL_USER)

    suite.judged(End.ABORTED)

    assert suite.admitted() == set()
    suite.end("fault-0", PASSED)
    assert suite.admitted() == {"of others"}


def test_when_the_experiment_ends_each_test_claims_what_it_uses_or_else_the_place_shared(
    wide: Database,
) -> None:
    suite = Suite(wide, "fault", "fault", "recovery", tests=uses("local/shop/orders", None, "local/shop/orders"))
    suite.admitted()
    [unknown] = claimed(suite)["fault-1"]
    assert unknown.startswith(".unknown/")
    assert claimed(suite) == {"fault-0": [], "fault-1": [unknown], "recovery-2": []}

    suite.judged(End.INFRASTRUCTURE)

    orders = ["local#is", "local/shop#is", "local/shop/orders#s"]
    assert claimed(suite) == {
        "fault-0": orders,
        "fault-1": [unknown, "local#is", "local/shop#s"],
        "recovery-2": orders,
    }
