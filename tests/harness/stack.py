"""The whole stack as real processes under a test's control: no supervisor, so that a part that is killed stays dead."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import psycopg2.extras

from db.migrate import upgrade
from harness.stack_template import CopiedCluster, prepared

ROOT = Path(__file__).resolve().parents[2]
KEY = "key-of-the-test-stack"
PREFECT_CREDENTIAL = "tests:credential-of-the-test-stack"
START_SECONDS = 90.0
LEASE = 6.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(
    what: str,
    true: Callable[[], Any],
    seconds: float = 60.0,
    pause: float = 0.05,
    seen: Callable[[], Any] | None = None,
) -> Any:
    """Wait for an event; its name and the last answer stand in the error, and what is `seen` instead."""
    deadline = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < deadline:
        try:
            if last := true():
                return last
        except (httpx.HTTPError, psycopg2.Error, OSError, json.JSONDecodeError) as failed:
            last = failed
        time.sleep(pause)
    instead = f"; instead: {seen()!r}" if seen else ""
    raise AssertionError(f"{what}: not after {seconds:.0f} s; last seen: {last!r}{instead}")


class Stack:
    """PostgreSQL, Prefect, the API and any number of workers, in one folder. Each state folder is a node."""

    def __init__(self, folder: Path, *, lease: float = LEASE) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        self.states = [self.state]
        self.faults = folder / "faults"
        for name, secret in {"api-key": KEY, "prefect-credential": PREFECT_CREDENTIAL}.items():
            (self.state / name).write_text(secret)
            (self.state / name).chmod(0o600)
        self.cluster = CopiedCluster(self.state / "postgres")
        self.api_port, self.prefect_port = free_port(), free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lease = lease

    # -- life -------------------------------------------------------------------------------------------------

    def start(self, workers: Sequence[str] = ("worker-1",)) -> "Stack":
        template = prepared(lambda folder: Stack(folder)._prepare())
        if template is None:
            self._prepare()
        else:
            self.cluster.copy(template)
        self.cluster.start()
        self.start_prefect(wait=False)
        self.start_api()
        self.wait_for_prefect()
        for name in workers:
            self.start_worker(name)
        return self

    def _prepare(self) -> None:
        """Have PostgreSQL's data hold all that a stack needs to start, and stop what made them."""
        self.cluster.start()
        for name in ("assay", "prefect"):
            self.cluster.create_database(name)
        with self.connect("prefect") as conn, conn.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        upgrade(self.database_url)
        try:
            self.start_prefect()
            subprocess.run([sys.executable, "-m", "flows.deploying"], cwd=ROOT, env=self.environment(), check=True)
            self.kill("prefect", signal.SIGTERM)
        finally:
            self.stop()

    def stop(self) -> None:
        for name in list(self.processes):
            self.kill(name, signal.SIGKILL)
        for shim in self.shims():
            with contextlib.suppress(ProcessLookupError):
                os.kill(shim, signal.SIGKILL)
        self.cluster.stop()

    def remove(self) -> None:
        """Stop all, and delete the data of PostgreSQL: root's may lie outside of the folder of the test."""
        self.stop()
        self.cluster.remove()

    def another_node(self, name: str) -> Path:
        """Make a state folder, in which workers serve a node of their own."""
        state = self.folder / name
        state.mkdir()
        self.states.append(state)
        return state

    def node_name(self, state: Path) -> str:
        """Return the name of the node of a state folder, once a worker has made it."""
        return str(until("the node has a name", (state / "node-name").read_text)).strip()

    def start_worker(self, name: str, *, wait: bool = True, **more: str) -> None:
        command = [sys.executable, str(ROOT / "tests/harness/faulty_worker.py")]
        self.faults.mkdir(exist_ok=True)
        extra = {"ASSAY_WORKER_NAME": name, "ASSAY_FAULTS": str(self.faults), "PYTHONPATH": str(ROOT)} | more
        former = self._signed_on(name) if wait else None
        self._start(name, command, extra)
        if wait:
            until(f"{name} alive", lambda: self._signed_on(name) not in {None, former}, START_SECONDS)

    def _signed_on(self, name: str) -> Any:
        """Return when a worker of this name last began: the row of one that was killed stays."""
        found = self.sql("SELECT started_at FROM workers WHERE worker_id = %s", name)
        return found[0]["started_at"] if found else None

    def start_api(self) -> None:
        self._start("api", [sys.executable, "-m", "api"], {})
        until("API", lambda: httpx.get(f"{self.api_url}/health").status_code == 200, START_SECONDS)

    def start_prefect(self, *, wait: bool = True) -> None:
        command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
        self._start(
            "prefect",
            [*command, "--host", "127.0.0.1", "--port", str(self.prefect_port), "--log-level", "warning"],
            {
                "PREFECT_API_DATABASE_CONNECTION_URL": self.cluster.async_url("prefect"),
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
                "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "true",
                "PREFECT_SERVER_API_AUTH_STRING": PREFECT_CREDENTIAL,
                "PREFECT_SERVER_API_HOST": "127.0.0.1",
            },
        )
        if wait:
            self.wait_for_prefect()

    def wait_for_prefect(self) -> None:
        until("Prefect", lambda: httpx.get(f"{self.prefect_url}/health").status_code == 200, START_SECONDS)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        process = self.processes.pop(name)
        process.send_signal(number)
        process.wait(30)

    def signal(self, name: str, number: int) -> None:
        self.processes[name].send_signal(number)

    def fault(self, point: str, order: str) -> None:
        """Have whichever worker next comes by `point` be killed or stopped there."""
        (self.faults / f"{point}.struck").unlink(missing_ok=True)
        (self.faults / point).write_text(order)

    def struck(self, point: str, seconds: float = 60.0) -> None:
        until(f"fault at {point}", (self.faults / f"{point}.struck").exists, seconds, 0.01)

    def _start(self, name: str, command: list[str], extra: dict[str, str]) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command, cwd=ROOT, env=self.environment() | extra, stdout=log, stderr=log, start_new_session=True
        )

    def environment(self) -> dict[str, str]:
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "ASSAY_"))}
        keep.pop("PYTHONDONTWRITEBYTECODE", None)
        return keep | {
            "DATABASE_URL": self.database_url,
            "PREFECT_API_URL": self.prefect_url,
            "PREFECT_API_AUTH_STRING": PREFECT_CREDENTIAL,
            "PREFECT_HOME": str(self.state / "prefect"),
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "ASSAY_STATE": str(self.state),
            "ASSAY_API_KEY_FILE": str(self.state / "api-key"),
            "ASSAY_API_HOST": "127.0.0.1",
            "ASSAY_API_PORT": str(self.api_port),
            "ASSAY_URL": self.api_url,
            "ASSAY_API_KEY": KEY,
            "ASSAY_LEASE_SECONDS": str(self._lease),
        }

    # -- looking in from outside ----------------------------------------------------------------------------------

    @property
    def database_url(self) -> str:
        return self.cluster.url("assay")

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def prefect_url(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}/api"

    @contextlib.contextmanager
    def connect(self, database: str = "assay") -> Iterator[Any]:
        url = self.cluster.url(database).replace("postgresql+psycopg2://", "postgresql://")
        conn = psycopg2.connect(url, cursor_factory=psycopg2.extras.RealDictCursor)
        conn.autocommit = True
        try:
            yield conn
        finally:
            conn.close()

    def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with self.connect() as conn, conn.cursor() as cursor:
            cursor.execute(statement, values)
            return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def rest(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {KEY}"} | kwargs.pop("headers", {})
        kwargs.setdefault("timeout", 30)
        return httpx.request(method, f"{self.api_url}/api/v1{path}", headers=headers, **kwargs)

    def prefect(self, method: str, path: str, **kwargs: Any) -> Any:
        basic = httpx.BasicAuth(*PREFECT_CREDENTIAL.split(":"))
        answer = httpx.request(method, f"{self.prefect_url}{path}", auth=basic, timeout=30, **kwargs)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def assay(self, *arguments: str, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "cli.main", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False, **kwargs
        )

    # -- runs -----------------------------------------------------------------------------------------------------

    def submit(self, request: dict[str, Any]) -> str:
        answer = self.rest("POST", "/tests", json=request)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["executionId"])

    def prefect_start(self, parameters: dict[str, Any], deployment: str = "test-run/default") -> str:
        found = self.prefect("GET", f"/deployments/name/{deployment}")
        made = self.prefect("POST", f"/deployments/{found['id']}/create_flow_run", json={"parameters": parameters})
        return str(made["id"])

    def row(self, execution_id: str) -> dict[str, Any]:
        found = self.sql("SELECT * FROM test_executions WHERE execution_id = %s", execution_id)
        return found[0] if found else {}

    def row_of_flow(self, flow_run_id: str) -> dict[str, Any]:
        found = self.sql("SELECT * FROM test_executions WHERE flow_run_id = %s", flow_run_id)
        return found[0] if found else {}

    def attempts(self, execution_id: str) -> list[dict[str, Any]]:
        return self.sql("SELECT * FROM test_attempts WHERE execution_id = %s ORDER BY number", execution_id)

    def results(self, execution_id: str) -> list[dict[str, Any]]:
        return self.sql("SELECT * FROM test_results WHERE execution_id = %s ORDER BY attempt, test_name", execution_id)

    def ended(self, execution_id: str, seconds: float = 90.0) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            row = self.row(execution_id)
            return row if row.get("completed_at") else None

        found: dict[str, Any] = until(f"run {execution_id} ended", over, seconds)
        return found

    def in_phase(self, execution_id: str, *phases: str, seconds: float = 60.0) -> None:
        until(f"run {execution_id} in {phases}", lambda: self.row(execution_id).get("phase") in phases, seconds, 0.01)

    def flow_state(self, flow_run_id: str) -> dict[str, Any]:
        state: dict[str, Any] = self.prefect("GET", f"/flow_runs/{flow_run_id}")["state"]
        return state

    def flow_ended(self, flow_run_id: str, seconds: float = 60.0) -> dict[str, Any]:
        final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

        def over() -> dict[str, Any] | None:
            state = self.flow_state(flow_run_id)
            return state if state["type"] in final else None

        found: dict[str, Any] = until(f"flow run {flow_run_id} ended", over, seconds, 0.2)
        return found

    def settled(self, execution_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until Prefect shows the verdict too, and return its state."""
        until(f"{execution_id} settled", lambda: self.row(execution_id).get("prefect_settled"), seconds, 0.1)
        flow_run_id = self.row(execution_id)["flow_run_id"]
        return self.flow_state(str(flow_run_id)) if flow_run_id else {}

    # -- processes --------------------------------------------------------------------------------------------------

    def carriers(self, execution_id: str) -> list[int]:
        """Processes that carry a run's mark, found in /proc without our own code."""
        mark = f"ASSAY_RUN_ID={execution_id}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z" and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found

    def shims(self) -> list[int]:
        found = []
        for start in (found for state in self.states for found in state.glob("runs/*/*/start.json")):
            with contextlib.suppress(OSError, ValueError, KeyError):
                pid = int(json.loads(start.read_text())["pid"])
                if str(start.parent).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found


def shell(script: str, *, name: str = "shell", **more: Any) -> dict[str, Any]:
    """A request that runs a shell script: the smallest real test."""
    return {
        "name": name,
        "type": "custom",
        "content": {"type": "inline", "files": {"run.sh": script}},
        "command": ["sh", "run.sh"],
        "resources": {"cpuRequest": "10m", "memoryRequest": "16Mi"},
        **more,
    }


def pytest_request(source: str, *, name: str = "pytest", **more: Any) -> dict[str, Any]:
    """A request that runs one file of tests."""
    return {
        "name": name,
        "type": "pytest",
        "content": {"type": "inline", "files": {"test_it.py": source}},
        "resources": {"cpuRequest": "10m", "memoryRequest": "64Mi"},
        **more,
    }


@contextlib.contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Start a stack with one worker, and stop it."""
    running = Stack(folder)
    try:
        yield running.start()
    finally:
        running.remove()
