"""The API as it is: a real server on loopback, a real database, and a key."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import uvicorn
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from api.app import create_app
from api.settings import Settings
from db import executions, results, runs
from db.engine import Database
from db.gate import queue
from db.runs import Become, Fenced
from model.execution import Phase, Reason, Status, Verdict
from model.ids import ExecutionId
from model.result import Result

KEY = "key-of-this-test-alone"
REQUEST: dict[str, Any] = {
    "name": "checkout",
    "type": "custom",
    "command": ["true"],
    "content": {"type": "inline", "files": {"run.sh": "true"}},
}
TABLES = ("test_definitions", "test_executions", "queue", "test_tags", "suite_runs", "secrets", "deployment_users")


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A server that runs, and what stands behind it."""

    url: str
    db: Database
    state: Path

    def client(self, **headers: str) -> httpx.Client:
        known = {"Authorization": f"Bearer {KEY}"}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=known | headers, trust_env=False, timeout=30)

    def rows(self) -> dict[str, int]:
        """Count rows from outside: by a connection of its own, not through any code of ours."""
        conn = psycopg2.connect(
            make_url(self.db.url).set(drivername="postgresql").render_as_string(hide_password=False)
        )
        try:
            with conn.cursor() as cursor:
                return {table: _count(cursor, table) for table in TABLES}
        finally:
            conn.close()


def _count(cursor: Any, table: str) -> int:
    cursor.execute(f"SELECT count(*) FROM {table}")
    return int(cursor.fetchone()[0])


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Serve on a free port and yield the address."""
    config = uvicorn.Config(create_app(settings), port=0, log_level="warning", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def submitted(client: httpx.Client, **change: Any) -> ExecutionId:
    """Submit a test that only waits: no worker is there."""
    answer = client.post("/tests", json=REQUEST | change)
    assert answer.status_code == 202, answer.text
    return ExecutionId(answer.json()["executionId"])


def begin(db: Database, execution_id: ExecutionId) -> None:
    """Have a run running, as a worker would."""

    def change(conn: Connection) -> None:
        become = Become(status=Status.RUNNING, phase=Phase.RUNNING, node="here")
        assert runs.transition(conn, Fenced(run_id=execution_id, epoch=None), Status.QUEUED, become)
        executions.open_attempt(conn, execution_id, epoch=0, node="here")

    db.call(change)


def end(
    db: Database, execution_id: ExecutionId, status: Status = Status.COMPLETED, found: tuple[Result, ...] = ()
) -> None:
    """Have a running run ended, as a worker would."""
    reason = Reason.TESTS_FAILED if status is Status.FAILED else None

    def change(conn: Connection) -> None:
        attempt = executions.attempts(conn, execution_id)[-1].number
        results.replace(conn, execution_id, attempt, found)
        executions.close_attempt(conn, execution_id, attempt, Verdict(status=status, reason=reason), 0)
        become = Become(status=status, phase=Phase.ENDED, reason=reason)
        assert runs.transition(conn, Fenced(run_id=execution_id, epoch=None), Status.RUNNING, become)
        queue.withdraw(conn, execution_id)

    db.call(change)
