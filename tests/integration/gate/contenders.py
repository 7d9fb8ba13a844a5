"""Many processes at one gate, some of them killed: submitters, admitters and holders in one.

    python contenders.py <url> <plan as JSON>

Forks `processes` contenders. Each submits runs, makes passes, claims, holds for a few milliseconds and releases. The
parent kills some of them with SIGKILL (always only its own children) and severs connections. After `seconds` a
contender submits nothing more, and goes on until all runs have ended. What happened stands in `journal`: one line an
event, written with one write each, so that it is whole whoever dies: `event run user team pool node time`.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from db import executions, gate, leases, workers
from db.engine import Database
from db.errors import UnavailableError
from db.executions import Become, Fenced, NewExecution
from db.gate import Waiting
from model.execution import Door, Phase, Status
from model.ids import DefinitionId, ExecutionId, PoolName, TeamId, UserId, WorkerId, uuid7
from model.resources import Resources

TTL = timedelta(seconds=1)


@dataclass(frozen=True)
class Plan:
    """What shall happen. `people`: user and team of who submits, as hex."""

    journal: str
    definition: str
    people: list[list[str]]
    pools: list[str]
    processes: int
    seconds: float
    kill_every: float
    kills: int
    sever: bool
    runs: int


class Contender:
    """One process."""

    def __init__(self, url: str, plan: Plan, number: int) -> None:
        self.plan = plan
        self.random = random.Random(number)
        self.db = Database(url, size=1)
        self.pool = PoolName(plan.pools[number % len(plan.pools)])
        self.worker = WorkerId(f"w{number}")
        self.journal = os.open(plan.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.submitted = 0
        self.parent = os.getppid()
        self.end = time.monotonic() + plan.seconds

    def run(self) -> None:
        self.patiently(lambda conn: workers.register(conn, self.worker, self.pool, TTL))
        while True:
            submitting = time.monotonic() < self.end and self.submitted < self.plan.runs
            if submitting and self.random.uniform(0, 1) < 0.3:
                self.submit()
            self.patiently(lambda conn: leases.renew(conn, self.worker, TTL))
            claimed = self.patiently(lambda conn: leases.claim(conn, self.worker, TTL, 3, known=()))
            for place in claimed or ():
                self.hold(place)
            if not claimed:
                time.sleep(self.random.uniform(0.0, 0.05))
                self.passing()
            if not submitting and time.monotonic() > self.end and self.over():
                return

    def patiently(self, work: Any) -> Any:
        """Try until it works; None when that takes a second, since the others go on too."""
        for _ in range(20):
            if os.getppid() != self.parent:
                raise SystemExit("the parent is gone, nobody judges this any more")
            try:
                return self.db.call(work)
            except (UnavailableError, DBAPIError):
                time.sleep(0.05)
        return None

    def passing(self) -> None:
        self.patiently(lambda conn: gate.run_pass(conn, self.pool, blocking=True))

    def submit(self) -> None:
        user, team = self.random.choice(self.plan.people)
        now = datetime.now(UTC)  # noqa: TID251  this is a program of its own
        run = ExecutionId(uuid7(now, random.Random(os.urandom(16))))
        priority, cpu = self.random.randrange(10), self.random.choice([100, 500, 1000])

        def work(conn: Connection) -> None:
            new = NewExecution(
                execution_id=run,
                definition_id=DefinitionId(UUID(self.plan.definition)),
                priority=priority,
                door=Door.REST,
                pool=self.pool,
                submitted_by=UserId(UUID(user)),
                team_id=TeamId(UUID(team)),
                submitted_at=now,
            )
            if executions.insert(conn, new):
                waiting = Waiting(
                    execution_id=run,
                    pool=self.pool,
                    priority=priority,
                    enqueued_at=now,
                    user_id=UserId(UUID(user)),
                    team_id=TeamId(UUID(team)),
                    resources=Resources(cpu_milli=cpu),
                )
                gate.enqueue(conn, waiting)

        self.patiently(work)
        self.submitted += 1
        self.passing()

    def hold(self, place: leases.Claimed) -> None:
        run, epoch = place.execution_id, place.epoch
        fence = Fenced(execution_id=run, epoch=epoch)
        begin = Become(status=Status.RUNNING, phase=Phase.LAUNCHING)
        began = self.patiently(lambda conn: executions.transition(conn, fence, Status.QUEUED, begin))
        held = self.patiently(lambda conn: _owners(conn, run, epoch))
        if not began and held is None:
            return
        row = held or self.patiently(lambda conn: _owners(conn, run, None))
        if row is None:
            return
        self.write("start", row)
        time.sleep(self.random.uniform(0.005, 0.05))
        self.write("end", row)
        done = Become(status=Status.COMPLETED, phase=Phase.ENDED)

        def finish(conn: Connection) -> bool:
            if not executions.transition(conn, fence, Status.RUNNING, done):
                return False
            released = gate.release(conn, run, epoch)
            assert released, "a fenced end and its release go together"
            return True

        while (ended := self.patiently(finish)) is None:
            pass
        if ended:
            self.write("done", row)
        self.passing()

    def write(self, event: str, row: Any) -> None:
        fields = (event, row.execution_id, row.submitted_by, row.team_id, row.pool, row.node, time.monotonic_ns())
        os.write(self.journal, (" ".join(map(str, fields)) + "\n").encode())

    def over(self) -> bool:
        return self.patiently(lambda conn: conn.execute(text("SELECT count(*) FROM queue")).scalar_one()) == 0


def _owners(conn: Connection, run: ExecutionId, epoch: int | None) -> Any:
    query = """
        SELECT e.execution_id, e.submitted_by, e.team_id, e.pool, q.node
        FROM test_executions e JOIN queue q USING (execution_id)
        WHERE execution_id = :run AND (CAST(:epoch AS int) IS NULL OR e.epoch = :epoch) AND e.status = 'running'
    """
    return conn.execute(text(query), {"run": run, "epoch": epoch}).one_or_none()


def _fork(url: str, plan: Plan, number: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        Contender(url, plan, number).run()
        code = 0
    except BaseException:  # noqa: BLE001  told, then the process ends as a failure
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    url, plan = sys.argv[1], Plan(**json.loads(sys.argv[2]))
    chance = random.Random(5)
    numbers = iter(range(100_000))
    alive = {_fork(url, plan, next(numbers)) for _ in range(plan.processes)}
    killed = severed = 0
    while killed < plan.kills:
        time.sleep(plan.kill_every)
        victim = chance.choice(sorted(alive))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        alive.remove(victim)
        killed += 1
        alive.add(_fork(url, plan, next(numbers)))
        if plan.sever and killed % 3 == 0:
            severed += _sever(url)
    failed = sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0 for pid in sorted(alive))
    Path(plan.journal + ".summary").write_text(json.dumps({"killed": killed, "severed": severed, "failed": failed}))


def _sever(url: str) -> int:
    """End one of the contenders' connections; a process of its own, so that no fork inherits ours."""
    pid = os.fork()
    if pid:
        return int(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0)
    try:
        query = """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'assay'
            ORDER BY random() LIMIT 2
        """
        Database(url, size=1).call(lambda conn: conn.execute(text(query)).all())
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
