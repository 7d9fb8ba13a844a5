"""Suites that carry an experiment, in a database without any worker: each step is taken by the test."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from secrets import token_bytes
from typing import Any

import yaml
from sqlalchemy import text

from chaos.judge import Judgement
from chaos.provider import FaultId, FaultStatus
from chaos.targets import Target
from chaos.verdict import End
from db import chaos_faults, pools, runs
from db.chaos_faults import NewFault
from db.chaos_runs import Findings
from db.engine import Database
from db.pools import PoolChange
from db.seeds import DEFAULT_POOL, LOCAL_USER
from harness.experiments import EXAMPLES
from model.execution import Door, Reason, Status, Verdict
from model.ids import ExecutionId, RunId, SuiteRunId, uuid7
from model.suite_windows import During, SuiteWindow
from orchestrator import admission, experiments, lifecycle, suite_experiments
from orchestrator import suites as cases
from orchestrator.checking import check_suite
from orchestrator.lifecycle import Begun, Finished, Grant
from orchestrator.suites import SuiteOrder, SuiteSubmitted

TEST: dict[str, Any] = {
    "type": "custom",
    "command": ["true"],
    "content": {"type": "inline", "files": {"a": "b"}},
    "config": {"uses": ["local/shop"]},
}
EXPERIMENT = yaml.safe_load((EXAMPLES / "payments-slow.yaml").read_text(encoding="utf-8"))
FAILED = Verdict(status=Status.FAILED, reason=Reason.TESTS_FAILED, detail="too slow")
PASSED = Verdict(status=Status.COMPLETED)
LOST = Verdict(status=Status.FAILED, reason=Reason.START_ERROR)


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
