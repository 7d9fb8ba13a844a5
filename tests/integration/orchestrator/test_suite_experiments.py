"""Suites with an experiment: one group, whose turn it is, and what is refused at the submit (028.1 to 028.5)."""

from datetime import UTC, datetime, timedelta

import pytest
from harness.carried_suites import (
    EXPERIMENT,
    PASSED,
    TEST,
    Suite,
    new_id,
    order,
    slots,
)
from sqlalchemy import text

from db import chaos_switch, people, pools
from db.engine import Database
from db.errors import ConflictError
from db.gate import queue
from db.people import Quota
from db.pools import PoolChange
from db.seeds import DEFAULT_POOL, LOCAL_USER
from model.execution import Door, Reason, Status, Verdict
from model.ids import ExecutionId
from model.problems import InvalidError
from model.suite_windows import During, SuiteWindow
from orchestrator import lifecycle, suite_experiments
from orchestrator import suites as cases
from orchestrator.checking import check
from orchestrator.lifecycle import Begun, Finished, NotYet, Superseded
from orchestrator.submit import Order, submit
from orchestrator.suites import SuiteOrder, SuiteSubmitted


def test_the_experiment_and_the_first_test_of_the_baseline_are_admitted_in_one_pass(wide: Database) -> None:
    suite = Suite(wide, "baseline", "baseline", "fault", "fault", "recovery")

    assert suite.admitted() == {"experiment", "baseline-0"}
    assert suite.admitted() == set()
    suite.enter(SuiteWindow.BASELINE)
    assert suite.admitted() == {"baseline-1"}
    wide.call(lambda conn: suite_experiments.give_turn(conn, suite.id, [During.FAULT]))
    assert suite.admitted() == {"fault-2", "fault-3"}
    suite.enter(SuiteWindow.RECOVERY)
    assert suite.admitted() == {"recovery-4"}


def test_in_a_pool_that_is_full_neither_the_experiment_nor_its_tests_are_admitted(wide: Database) -> None:
    slots(wide, 1)
    other = Order(
        request=check(TEST | {"name": "other", "config": {"uses": ["elsewhere"]}}),
        execution_id=ExecutionId(new_id()),
        user_id=LOCAL_USER,
        door=Door.REST,
        now=datetime.now(UTC),  # noqa: TID251
    )
    wide.call(lambda conn: submit(conn, other))
    suite = Suite(wide, "fault")

    assert suite.admitted() == {"another"}
    assert suite.admitted() == set()
    wide.call(lambda conn: queue.release(conn, other.execution_id, 1))
    assert suite.admitted() == {"experiment", "fault-0"}


def test_tests_under_the_fault_start_together_or_not_at_all(wide: Database) -> None:
    slots(wide, 2)
    suite = Suite(wide, "baseline", "fault", "fault")
    assert suite.admitted() == {"experiment", "baseline-0"}
    suite.enter(SuiteWindow.BASELINE)
    wide.call(lambda conn: suite_experiments.give_turn(conn, suite.id, [During.FAULT]))

    assert suite.admitted() == set()
    suite.end("baseline-0", PASSED)
    assert suite.admitted() == {"fault-1", "fault-2"}


def test_a_test_with_a_place_begins_in_its_phase_and_not_before(wide: Database) -> None:
    suite = Suite(wide, "baseline", "fault")
    suite.admitted()
    assert isinstance(suite.begin("baseline-0"), NotYet)
    suite.enter(SuiteWindow.BASELINE)
    assert isinstance(suite.begin("baseline-0"), Begun)
    wide.call(lambda conn: suite_experiments.give_turn(conn, suite.id, [During.FAULT]))
    suite.admitted()

    assert isinstance(suite.begin("fault-1"), NotYet)
    suite.enter(SuiteWindow.FAULT)
    assert isinstance(suite.begin("fault-1"), Begun)


def test_a_test_of_the_baseline_that_waits_again_gets_the_place_of_the_one_under_the_fault(wide: Database) -> None:
    """Both would wait for each other for ever, in a pool of one slot."""
    slots(wide, 1)
    suite = Suite(wide, "baseline", "fault")
    assert suite.admitted() == {"experiment", "baseline-0"}
    suite.enter(SuiteWindow.BASELINE)
    assert isinstance(suite.begin("baseline-0"), Begun)
    wide.call(lambda conn: suite_experiments.give_turn(conn, suite.id, [During.FAULT]))
    suite.end("baseline-0", Verdict(status=Status.FAILED, reason=Reason.INFRASTRUCTURE))
    assert suite.admitted() == {"fault-1"}
    assert isinstance(suite.begin("fault-1"), NotYet)

    wide.call(lambda conn: suite_experiments.take_back(conn, suite.id))
    over = text("UPDATE queue SET not_before = NULL WHERE execution_id = :run")
    wide.call(lambda conn: conn.execute(over, {"run": suite.tests["baseline-0"]}))

    assert isinstance(suite.begin("fault-1"), Superseded)
    assert suite.admitted() == {"baseline-0"}
    wide.call(lambda conn: lifecycle.begin(conn, suite.grants[suite.tests["baseline-0"]]))
    second = Finished(number=2, verdict=PASSED)
    wide.call(lambda conn: lifecycle.finish(conn, suite.grants[suite.tests["baseline-0"]], second))
    wide.call(lambda conn: suite_experiments.give_turn(conn, suite.id, [During.FAULT]))
    assert suite.admitted() == {"fault-1"}


def test_the_window_never_goes_back(wide: Database) -> None:
    """A worker that stood still, or the experiment begun anew, must not shut out tests that have their turn."""
    suite = Suite(wide, "fault")
    suite.admitted()
    suite.enter(SuiteWindow.FAULT)
    suite.enter(SuiteWindow.BASELINE)

    assert isinstance(suite.begin("fault-0"), Begun)


def test_a_group_that_waits_for_a_time_waits_as_a_whole(wide: Database) -> None:
    suite = Suite(wide, "baseline", "fault")
    later = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251
    wide.call(lambda conn: queue.hold_until(conn, suite.experiment, later, "waits for an approval"))

    assert suite.admitted() == set()
    wide.call(lambda conn: queue.let_go(conn, suite.experiment))
    assert suite.admitted() == {"experiment", "baseline-0"}


def test_tests_of_others_are_kept_out_of_the_place_and_those_elsewhere_are_not(wide: Database) -> None:
    suite = Suite(wide, "fault")
    suite.admitted()
    runs_of = {}
    for name, uses in (("inside", "local/shop/inventory"), ("outside", "local/bakery")):
        raw = TEST | {"name": name, "config": {"uses": [uses]}}
        runs_of[name] = ExecutionId(new_id())
        wanted = Order(
            request=check(raw),
            execution_id=runs_of[name],
            user_id=LOCAL_USER,
            door=Door.REST,
            now=datetime.now(UTC),  # noqa: TID251
        )
        wide.call(lambda conn, one=wanted: submit(conn, one))

    assert suite.admitted() == {"another"}
    assert runs_of["outside"] in suite.grants
    suite.judged()
    assert suite.admitted() == {"another"}
    assert runs_of["inside"] in suite.grants


def problems(db: Database, wanted: SuiteOrder) -> dict[str, str]:
    with pytest.raises(InvalidError) as caught:
        db.call(lambda conn: cases.submit_suite(conn, wanted))
    assert db.call(lambda conn: conn.execute(text("SELECT count(*) FROM runs")).scalar_one()) == 0
    return {one.path: one.message for one in caught.value.problems}


def test_more_tests_under_the_fault_than_the_pool_or_the_user_may_run_are_refused(wide: Database) -> None:
    slots(wide, 1)
    assert "let fewer say `during: fault`" in problems(wide, order("fault", "fault"))["tests"]
    slots(wide, 100)
    narrow, before = Quota(max_concurrent_tests=1, max_daily_tests=9), Quota(max_concurrent_tests=9, max_daily_tests=9)
    wide.call(lambda conn: people.set_quota(conn, "user", "local", narrow))
    assert "user local runs 1 at once" in problems(wide, order("fault", "fault"))["tests"]
    little = Quota(max_concurrent_tests=9, max_daily_tests=9, max_cpu_milli=1500)
    wide.call(lambda conn: people.set_quota(conn, "user", "local", little))
    large = order("fault", "fault", defaults={"resources": {"cpuRequest": "1"}})
    assert "need 2000m CPU; user local may use 1500m CPU" in problems(wide, large)["tests"]
    wide.call(lambda conn: people.set_quota(conn, "user", "local", before))
    wide.call(lambda conn: people.set_quota(conn, "team", "default", narrow))
    assert "team default runs 1 at once" in problems(wide, order("fault", "fault"))["tests"]
    wide.call(lambda conn: people.set_quota(conn, "team", "default", before))
    assert Suite(wide, "fault", "fault").admitted() == {"experiment", "fault-0", "fault-1"}


def test_a_pool_without_experiments_and_a_name_in_the_place_are_refused_together(wide: Database) -> None:
    wide.call(lambda conn: pools.update_pool(conn, DEFAULT_POOL, PoolChange(max_concurrent_experiments=0)))
    config = {"config": {"exclusive": ["printer", "local/shop/orders"]}}
    wanted = order("fault", tests=[TEST | config | {"name": "a", "during": "fault"}])

    found = problems(wide, wanted)

    assert set(found) == {"experiment", "tests[0].config.exclusive[1]"}
    assert "--max-concurrent-experiments 1" in found["experiment"]


def test_what_the_experiment_starts_itself_must_have_a_place_beside_the_tests(wide: Database) -> None:
    check = {"name": "well", "type": "command", "command": ["true"]}
    commands = {"hypothesis": {"healthChecks": [check]}, "load": None, "haltConditions": [{"healthCheck": "well"}]}
    slots(wide, 1)

    assert "use `load.url`" in problems(wide, order("fault", experiment=EXPERIMENT | commands))["experiment"]
    slots(wide, 2)
    assert isinstance(
        wide.call(lambda conn: cases.submit_suite(conn, order("fault", experiment=EXPERIMENT | commands))),
        SuiteSubmitted,
    )


def test_while_experiments_are_stopped_no_test_of_such_a_suite_is_written(wide: Database) -> None:
    wide.call(lambda conn: chaos_switch.stop(conn, "an incident", "local"))

    with pytest.raises(ConflictError, match="an incident"):
        wide.call(lambda conn: cases.submit_suite(conn, order("fault")))
    assert wide.call(lambda conn: conn.execute(text("SELECT count(*) FROM runs")).scalar_one()) == 0
