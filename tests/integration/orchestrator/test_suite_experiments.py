"""Suites with an experiment in the database: one group, whose turn it is, what runs once more, the verdict (028)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from secrets import token_bytes
from typing import Any
from uuid import uuid4

import pytest
import yaml
from harness.experiments import EXAMPLES
from sqlalchemy import text

from chaos.experiment_reading import check_experiment
from chaos.judge import Judgement
from chaos.provider import FaultId, FaultStatus
from chaos.targets import Target
from chaos.verdict import End
from db import chaos_faults, chaos_switch, nodes, people, pools, runs, suite_windows, workers
from db.chaos_faults import NewFault
from db.chaos_runs import Findings
from db.engine import Database
from db.errors import ConflictError
from db.gate import queue
from db.people import Quota
from db.pools import PoolChange
from db.seeds import DEFAULT_POOL, LOCAL_USER
from model.execution import Door, Reason, Status, Verdict
from model.fault import exit_code
from model.ids import EXPERIMENTS, ExecutionId, NodeName, RunId, SuiteRunId, UserId, WorkerId, uuid7
from model.problems import InvalidError
from model.resources import Resources
from model.suite_windows import During, SuiteWindow
from orchestrator import admission, experiments, lifecycle, suite_experiments
from orchestrator import suites as cases
from orchestrator.checking import check, check_suite
from orchestrator.experiments import Prepared
from orchestrator.lifecycle import Begun, Finished, Grant, NotYet, Superseded
from orchestrator.submission import Sender
from orchestrator.submit import Order, submit
from orchestrator.suites import SuiteOrder, SuiteSubmitted
from scheduler.values.node import DEFAULT_BACKEND, Node

TEST: dict[str, Any] = {
    "type": "custom",
    "command": ["true"],
    "content": {"type": "inline", "files": {"a": "b"}},
    "config": {"uses": ["local/shop"]},
}
EXPERIMENT = yaml.safe_load((EXAMPLES / "payments-slow.yaml").read_text(encoding="utf-8"))
FAILED = Verdict(status=Status.FAILED, reason=Reason.TESTS_FAILED, detail="too slow")
PASSED = Verdict(status=Status.COMPLETED)
LOST = Verdict(status=Status.CANCELLED)


@pytest.fixture
def wide(db: Database) -> Database:
    """A pool with room for many tests."""
    node = Node(name=NodeName("n"), capacity=Resources(cpu_milli=64_000, memory_bytes=2**40))
    db.call(lambda conn: nodes.record(conn, DEFAULT_POOL, [node]))
    served = [DEFAULT_BACKEND, EXPERIMENTS]
    db.call(lambda conn: workers.register(conn, WorkerId("w"), DEFAULT_POOL, timedelta(minutes=5), served))
    return db


def slots(db: Database, most: int) -> None:
    db.call(lambda conn: pools.update_pool(conn, DEFAULT_POOL, PoolChange(max_concurrent_tests=most)))


def new_id() -> RunId:
    return RunId(uuid7(datetime.now(UTC), Random(token_bytes(8))))  # noqa: TID251  the gate goes by the real time


def order(*during: str, own: Sequence[dict[str, Any]] = (), **more: Any) -> SuiteOrder:
    """Return a suite with a test for each of these windows, named after it and its position. `own`: keys of each."""
    tests = [TEST | {"name": f"{window}-{number}", "during": window} for number, window in enumerate(during)]
    tests = [test | keys for test, keys in zip(tests, own or [{}] * len(tests), strict=True)]
    return SuiteOrder(
        suite=check_suite({"name": "game day", "tests": tests, "experiment": EXPERIMENT} | more),
        suite_run_id=SuiteRunId(new_id()),
        user_id=LOCAL_USER,
        door=Door.REST,
        now=datetime.now(UTC),  # noqa: TID251
    )


def uses(*paths: str | None) -> list[dict[str, Any]]:
    """Return for each test what it says that it uses, None for nothing."""
    return [{"config": {} if path is None else {"uses": [path]}} for path in paths]


def slow_payments(run: ExecutionId, fault_id: str) -> NewFault:
    return NewFault(
        fault_id=FaultId(fault_id),
        execution_id=run,
        number=0,
        name="slow",
        type="network-latency",
        target=Target(place="shop", service="payments", name="payments", identity="boot:1:1"),
        expires_after=timedelta(minutes=5),
    )


class Suite:
    """A suite that was submitted, with the runs of its tests by name."""

    def __init__(self, db: Database, *during: str, tests: Sequence[dict[str, Any]] = ()) -> None:
        self.db, wanted = db, order(*during, own=tests)
        made = db.call(lambda conn: cases.submit_suite(conn, wanted))
        assert isinstance(made, SuiteSubmitted)
        self.id = wanted.suite_run_id
        self.tests = dict(zip((test.name for test in wanted.suite.tests), made.execution_ids, strict=True))
        self.experiment = ExecutionId(suite_experiments.run_id_of(self.id))
        self.names: dict[RunId, str] = {run: name for name, run in self.tests.items()} | {self.experiment: "experiment"}

    def admitted(self) -> set[str]:
        """Make a pass, and return by name which runs of the suite it admits."""
        made = self.db.call(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True))
        assert made is not None
        self.grants = {
            **getattr(self, "grants", {}),
            **{
                one.execution_id: Grant(execution_id=one.execution_id, epoch=one.epoch, node=one.node)
                for one in made.admitted
            },
        }
        return {self.names.get(one.execution_id, "another") for one in made.admitted}

    def enter(self, window: SuiteWindow) -> None:
        turns = [During(window.value)]
        self.db.call(lambda conn: suite_experiments.enter(conn, self.id, window, turns))

    def begin(self, name: str) -> object:
        return self.begin_run(self.tests[name])

    def begin_run(self, run: ExecutionId) -> object:
        grant = self.grants[run]
        return self.db.call(lambda conn: lifecycle.begin(conn, grant))

    def end(self, name: str, verdict: Verdict) -> None:
        self.finish(self.tests[name], verdict)

    def finish(self, run: ExecutionId, verdict: Verdict) -> None:
        grant = self.grants[run]
        assert isinstance(self.db.call(lambda conn: lifecycle.begin(conn, grant)), Begun)
        self.db.call(lambda conn: lifecycle.finish(conn, grant, Finished(number=1, verdict=verdict)))

    def under_fault(self, *, status: FaultStatus = FaultStatus.REVERTED) -> None:
        """Have had a fault for the last minute."""
        times = text(
            "UPDATE chaos_faults SET injected_at = clock_timestamp() - interval '1 minute', status = :status,"
            " reverted_at = clock_timestamp() + interval '1 minute'"
        )
        self.db.call(lambda conn: chaos_faults.write_down(conn, [slow_payments(self.experiment, "f")]))
        self.db.call(lambda conn: conn.execute(times, {"status": status}))

    def judged(self, end: End = End.JUDGED, judgement: Judgement = Judgement.MET, detail: str = "it held") -> None:
        """Let the experiment begin and end."""
        grant = self.grants[self.experiment]
        self.db.call(lambda conn: experiments.begin(conn, grant))
        found = Findings(ending=end, validated=None, metrics=(), journal={}, report="")
        verdict = experiments.verdict_of(end, judgement, detail)
        self.db.call(lambda conn: experiments.end(conn, grant, verdict, found))

    def close(self) -> Verdict | None:
        return self.db.call(lambda conn: cases.close(conn, self.id))

    def shown(self) -> dict[str, str]:
        found = self.db.call(lambda conn: suite_experiments.carried(conn, self.id))
        return {self.names[run]: said for run, said in found.conclusions.items()}

    def statuses(self) -> dict[str, str]:
        return {name: self.db.call(lambda conn, r=run: runs.find(conn, r)).status for name, run in self.tests.items()}


def claimed(suite: Suite) -> dict[str, list[str]]:
    """Return the entries of the tests that are queued."""
    found = suite.db.call(lambda conn: conn.execute(text("SELECT execution_id, exclusive FROM queue")).all())
    return {suite.names[row.execution_id]: row.exclusive for row in found if row.execution_id != suite.experiment}


def met_the_fault(db: Database, verdict: Verdict, **how: Any) -> Suite:
    """Have a suite whose test ended so under the fault, and whose experiment has ended since."""
    suite = Suite(db, "fault")
    assert suite.admitted() == {"experiment", "fault-0"}
    suite.enter(SuiteWindow.FAULT)
    suite.end("fault-0", verdict)
    suite.under_fault(**how)
    suite.judged()
    return suite


# -- one group, and whose turn it is ---------


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


# -- told apart ---------


@pytest.mark.parametrize(
    ("again", "said"),
    [
        (PASSED, "failed under the fault only"),
        (FAILED, "failed under the fault and without it"),
        (LOST, "failed under the fault, and has no result without it"),
    ],
)
def test_what_failed_under_the_fault_runs_once_more_without_it(wide: Database, again: Verdict, said: str) -> None:
    suite = met_the_fault(wide, FAILED)

    assert [suite.close(), suite.close()] == [None, None]
    rerun = suite_experiments.without_fault(suite.tests["fault-0"])
    suite.names[rerun] = "rerun"
    assert suite.shown() == {"fault-0": "not known yet"}
    assert suite.admitted() == {"rerun"}
    suite.finish(rerun, again)
    verdict = suite.close()

    assert verdict == replace(FAILED, detail=f"fault-0 {said}: too slow")
    assert suite.shown() == {"fault-0": said}
    shown = wide.call(lambda conn: cases.show_suite(conn, suite.id))
    assert (shown.exit_code, shown.counts) == (1, {Status.FAILED: 1})
    assert [test.execution.retried_from for test in shown.tests] == [None, suite.tests["fault-0"]]
    assert f"fault-0 (fault): {said}" in shown.experiment_lines
    listed, _ = wide.call(lambda conn: cases.list_suites(conn, cases.Page(limit=5)))
    assert (listed[0].exit_code, listed[0].counts) == (1, {Status.FAILED: 1})


def test_what_cannot_run_once_more_is_not_told_apart_and_the_suite_ends(wide: Database) -> None:
    suite = met_the_fault(wide, FAILED)
    wide.call(lambda conn: people.set_quota(conn, "user", "local", Quota(max_concurrent_tests=5, max_daily_tests=1)))

    verdict = suite.close()

    assert verdict is not None
    assert suite.shown() == {"fault-0": "failed under the fault, and has no result without it"}


def test_with_a_residual_nothing_runs_once_more(wide: Database) -> None:
    suite = met_the_fault(wide, FAILED, status=FaultStatus.RESIDUAL)

    assert suite.close() is not None
    assert len(wide.call(lambda conn: suite_windows.tests(conn, suite.id))) == 1


def test_a_test_that_passed_and_met_no_fault_makes_the_suite_inconclusive(wide: Database) -> None:
    suite = Suite(wide, "fault")
    suite.admitted()
    suite.enter(SuiteWindow.FAULT)
    suite.end("fault-0", PASSED)
    suite.judged()

    verdict = suite.close()

    assert verdict is not None
    assert (verdict.reason, exit_code(verdict.status, verdict.reason)) == (Reason.INCONCLUSIVE, 7)
    assert suite.shown() == {"fault-0": "passed, but no fault was active while it ran"}


@pytest.mark.parametrize(
    ("end", "judgement", "code"),
    [
        (End.JUDGED, Judgement.MET, 0),
        (End.JUDGED, Judgement.NOT_MET, 1),
        (End.JUDGED, Judgement.INCONCLUSIVE, 7),
        (End.HALTED, Judgement.INCONCLUSIVE, 1),
        (End.INFRASTRUCTURE, Judgement.INCONCLUSIVE, 3),
        (End.ABORTED, Judgement.INCONCLUSIVE, 2),
    ],
)
def test_a_suite_whose_tests_all_pass_ends_like_its_experiment(
    wide: Database, end: End, judgement: Judgement, code: int
) -> None:
    suite = Suite(wide, "fault")
    suite.admitted()
    suite.enter(SuiteWindow.FAULT)
    suite.end("fault-0", PASSED)
    suite.under_fault()
    suite.judged(end, judgement)

    assert suite.close() is not None
    assert wide.call(lambda conn: cases.show_suite(conn, suite.id)).exit_code == code


# -- ends that nobody wanted ---------


def test_what_never_had_its_turn_is_cancelled_when_the_experiment_has_ended(wide: Database) -> None:
    suite = Suite(wide, "baseline", "baseline", "fault", "recovery")
    suite.admitted()
    suite.judged(End.BLOCKED, detail="an incident is active")

    verdict = suite.close()

    assert verdict == Verdict(
        status=Status.FAILED,
        reason=Reason.SAFETY_CHECK,
        detail="experiment 'payments is slow': an incident is active",
    )
    assert set(suite.statuses().values()) == {"cancelled"}
    assert wide.call(lambda conn: conn.execute(text("SELECT count(*) FROM queue")).scalar_one()) == 0


def test_tests_of_the_recovery_run_when_a_worker_was_lost_and_the_revert_is_verified(wide: Database) -> None:
    suite = Suite(wide, "fault", "recovery")
    suite.admitted()
    suite.enter(SuiteWindow.FAULT)
    suite.end("fault-0", PASSED)
    suite.under_fault()
    suite.judged(End.INFRASTRUCTURE)

    assert suite.close() is None
    assert suite.admitted() == {"recovery-1"}
    suite.end("recovery-1", PASSED)
    verdict = suite.close()
    assert verdict is not None
    assert verdict.reason is Reason.INFRASTRUCTURE


def test_a_cancelled_suite_cancels_its_experiment_and_runs_nothing_once_more(wide: Database) -> None:
    suite = Suite(wide, "baseline", "fault")
    now = datetime.now(UTC)  # noqa: TID251
    wide.call(lambda conn: cases.cancel_suite(conn, suite.id, by="local", now=now))

    assert set(suite.statuses().values()) == {"cancelled"}
    assert wide.call(lambda conn: runs.find(conn, suite.experiment)).status == "cancelled"
    shown = wide.call(lambda conn: cases.show_suite(conn, suite.id))
    assert (shown.status, shown.exit_code) == ("cancelled", 2)


def test_a_run_that_was_skipped_can_be_shown_reported_and_cancelled(wide: Database) -> None:
    wanted = order("fault")
    made = wide.call(lambda conn: cases.skip(conn, wanted, "missed"))

    assert wide.call(lambda conn: cases.carried_report(conn, made.suite_run_id)) is None
    now = datetime.now(UTC)  # noqa: TID251
    wide.call(lambda conn: cases.cancel_suite(conn, made.suite_run_id, by="local", now=now))
    assert wide.call(lambda conn: cases.show_suite(conn, made.suite_run_id)).exit_code == 2


# -- who may have the place when the experiment has ended ---------


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


# -- refused at the submit ---------


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
