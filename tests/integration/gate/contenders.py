"""Many processes at one gate, some of them killed: submitters, admitters and holders in one.

    python contenders.py <url> <plan as JSON>

Forks `processes` contenders. Each submits runs, some that need an exclusive name and some in pairs that start together,
makes passes, claims, holds for a few milliseconds and releases. The parent kills some of them with SIGKILL (always only
its own children) and severs connections. After `seconds` a contender submits nothing more, and goes on until all runs
have ended. What happened stands in `journal`, one line an event, written with one write, so that it is whole whoever
dies: `event run user team pool node names epoch time`, and `member run group` before runs are submitted together.
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

from db import executions, leases, runs, workers
from db.engine import Database
from db.errors import UnavailableError
from db.executions import NewExecution
from db.gate import queue
from db.gate.queue import Waiting
from db.runs import Become, Fenced
from model.execution import Door, Phase, Status
from model.ids import DefinitionId, ExecutionId, GroupId, PoolName, TeamId, UserId, WorkerId, uuid7
from model.resources import Resources
from orchestrator import admission
from scheduler.values.node import DEFAULT_BACKEND


@dataclass(frozen=True)
class Plan:
    """What shall happen. `people`: user and team of who submits, as hex. `names`: what one run at a time may have.

    `seconds` for how long there are submissions; `ttl` of a lease; `pause` at most without work, `hold` at most;
    `eager`: how often, of all turns, a contender submits; `burst`: how often at once to begin with.
    """

    journal: str
    definition: str
    people: list[list[str]]
    pools: list[str]
    names: list[str]
    processes: int
    seconds: float
    kill_every: float
    kills: int
    sever: bool
    runs: int
    ttl: float = 1.0
    pause: float = 0.05
    hold: float = 0.05
    eager: float = 0.3
    burst: int = 5


class Contender:
    """One process."""

    def __init__(self, url: str, plan: Plan, number: int, end: float) -> None:
        self.plan = plan
        self.end = end
        self.ttl = timedelta(seconds=plan.ttl)
        self.random = random.Random(number)
        self.db = Database(url, size=1)
        self.pool = PoolName(plan.pools[number % len(plan.pools)])
        self.worker = WorkerId(f"w{number}")
        self.journal = os.open(plan.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.burst = plan.burst if number < plan.processes else 0
        self.submitted = 0
        self.parent = os.getppid()

    def run(self) -> None:
        self.patiently(lambda conn: workers.register(conn, self.worker, self.pool, self.ttl, [DEFAULT_BACKEND]))
        for _ in range(self.burst):
            self.submit()
        while True:
            submitting = time.monotonic() < self.end and self.submitted < self.plan.runs
            if submitting and self.random.uniform(0, 1) < self.plan.eager:
                self.submit()
            self.patiently(lambda conn: leases.renew(conn, self.worker, self.ttl))
            claimed = self.patiently(lambda conn: leases.claim(conn, self.worker, self.ttl, 3, known=()))
            for place in claimed or ():
                self.hold(place)
            if not claimed:
                time.sleep(self.random.uniform(0.0, self.plan.pause))
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
        self.patiently(lambda conn: admission.request(conn, self.pool, blocking=True))

    def submit(self) -> None:
        """Let one run wait, or two that shall start together."""
        user, team = self.random.choice(self.plan.people)
        number = self.random.choice([1, 1, 1, 2])
        now = datetime.now(UTC)  # noqa: TID251  this is a program of its own
        group = GroupId(uuid7(now, random.Random(os.urandom(16)))) if number > 1 else None
        named = number == 1 and self.random.uniform(0, 1) < 0.3
        runs = [
            Waiting(
                execution_id=ExecutionId(uuid7(now, random.Random(os.urandom(16)))),
                pool=self.pool,
                priority=self.random.randrange(10),
                enqueued_at=now,
                user_id=UserId(UUID(user)),
                team_id=TeamId(UUID(team)),
                resources=Resources(cpu_milli=self.random.choice([100, 500, 1000])),
                exclusive=(self.random.choice(self.plan.names),) if named else (),
                group=group,
            )
            for _ in range(number)
        ]
        for run in runs if group else ():
            self.say("member", run.execution_id, group)
        self.patiently(lambda conn: [self.insert(conn, run) for run in runs])
        self.submitted += 1
        self.passing()

    def insert(self, conn: Connection, run: Waiting) -> None:
        """Write a run with its execution; once, however often it is tried."""
        new = NewExecution(
            execution_id=run.execution_id,
            definition_id=DefinitionId(UUID(self.plan.definition)),
            priority=run.priority,
            door=Door.REST,
            pool=run.pool,
            submitted_by=run.user_id,
            team_id=run.team_id,
            submitted_at=run.enqueued_at,
        )
        if executions.insert(conn, new):
            queue.enqueue(conn, run)

    def hold(self, place: leases.Claimed) -> None:
        run, epoch = place.execution_id, place.epoch
        fence = Fenced(run_id=run, epoch=epoch)
        begin = Become(status=Status.RUNNING, phase=Phase.LAUNCHING)
        began = self.patiently(lambda conn: runs.transition(conn, fence, Status.QUEUED, begin))
        held = self.patiently(lambda conn: _owners(conn, run, epoch))
        if not began and held is None:
            return
        row = held or self.patiently(lambda conn: _owners(conn, run, None))
        if row is None:
            return
        self.write("start", row, epoch)
        time.sleep(self.random.uniform(0.005, self.plan.hold))
        self.write("end", row, epoch)
        done = Become(status=Status.COMPLETED, phase=Phase.ENDED)

        def finish(conn: Connection) -> bool:
            if not runs.transition(conn, fence, Status.RUNNING, done):
                return False
            released = queue.release(conn, run, epoch)
            assert released, "a fenced end and its release go together"
            return True

        while (ended := self.patiently(finish)) is None:
            pass
        if ended:
            self.write("done", row, epoch)
        self.passing()

    def write(self, event: str, row: Any, epoch: int) -> None:
        names = ",".join(row.exclusive) or "-"
        owners = (row.submitted_by, row.team_id, row.pool, row.node, names)
        self.say(event, row.execution_id, *owners, epoch, time.monotonic_ns())

    def say(self, *fields: object) -> None:
        os.write(self.journal, (" ".join(map(str, fields)) + "\n").encode())

    def over(self) -> bool:
        return self.patiently(lambda conn: conn.execute(text("SELECT count(*) FROM queue")).scalar_one()) == 0


def _owners(conn: Connection, run: ExecutionId, epoch: int | None) -> Any:
    query = """
        SELECT e.execution_id, e.submitted_by, e.team_id, e.pool, q.node, q.exclusive
        FROM test_executions e JOIN queue q USING (execution_id)
        WHERE execution_id = :run AND (CAST(:epoch AS int) IS NULL OR e.epoch = :epoch) AND e.status = 'running'
    """
    return conn.execute(text(query), {"run": run, "epoch": epoch}).one_or_none()


def _fork(url: str, plan: Plan, number: int, end: float) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        Contender(url, plan, number, end).run()
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
    end = time.monotonic() + plan.seconds
    alive = {_fork(url, plan, next(numbers), end) for _ in range(plan.processes)}
    killed = severed = 0
    while killed < plan.kills:
        time.sleep(plan.kill_every)
        victim = chance.choice(sorted(alive))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        alive.remove(victim)
        killed += 1
        alive.add(_fork(url, plan, next(numbers), end))
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
