"""The stack as a person has it: `assay up` on a state folder of its own, and the commands on it, each as a process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import psycopg2.extras

from db.embedded import Cluster
from harness.stack import ROOT, until


class Supervised:
    """One state folder, and the commands on it, each as a process."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.said = state.with_name("said")
        self.up_process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it, without the samples, and wait until it is ready."""
        with self.said.open("wb") as said:
            self.up_process = subprocess.Popen(
                self.command("up", "--no-samples", *options), cwd=ROOT, env=self.environment(), stderr=said
            )
        until("the stack is ready", self._ready, 240)
        assert self.status()["well"]

    def _ready(self) -> bool:
        assert self.up_process is not None
        assert self.up_process.poll() is None, self.said.read_text()
        record = json.loads((self.state / "stack.json").read_text())
        return bool(record["supervisor"]["pid"] == self.up_process.pid and record["phase"] == "ready")

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*arguments), cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False
        )

    def end(self, number: int) -> int:
        assert self.up_process is not None
        self.up_process.send_signal(number)
        return self.up_process.wait(60)

    def status(self) -> Any:
        return json.loads(self.run("status", "--json").stdout)

    def report(self, part: str) -> Any:
        return next(one for one in self.status()["parts"] if one["name"] == part)

    def pid(self, part: str) -> int:
        return int(self.report(part)["pid"] or 0)

    def rest(self, method: str, path: str, **rest: Any) -> Any:
        headers = {"Authorization": f"Bearer {(self.state / 'api-key').read_text().strip()}"}
        url = json.loads((self.state / "stack.json").read_text())["api_url"]
        answer = httpx.request(method, f"{url}/api/v1{path}", headers=headers, timeout=30, **rest)
        answer.raise_for_status()
        return answer.json()

    def prefect_auth(self) -> httpx.BasicAuth:
        return httpx.BasicAuth(*(self.state / "prefect-credential").read_text().strip().split(":"))

    def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Ask the database from outside: by a connection of its own, not through any code of ours."""
        url = Cluster(self.state / "postgres").url("assay").replace("postgresql+psycopg2://", "postgresql://")
        conn = psycopg2.connect(url, cursor_factory=psycopg2.extras.RealDictCursor)
        try:
            with conn.cursor() as cursor:
                cursor.execute(statement, values)
                return [dict(row) for row in cursor.fetchall()]
        finally:
            conn.close()

    def submit(self, request: dict[str, Any]) -> str:
        return str(self.rest("POST", "/tests", json=request)["executionId"])

    def in_phase(self, execution_id: str, phase: str) -> None:
        until(f"{execution_id} {phase}", lambda: self.rest("GET", f"/tests/{execution_id}")["phase"] == phase)

    def ended(self, execution_id: str) -> Any:
        def over() -> Any:
            run = self.rest("GET", f"/tests/{execution_id}")
            return run if run["completedAt"] else None

        return until(f"{execution_id} ended", over, 120)

    def processes(self) -> list[str]:
        """Return what carries this state folder, or PostgreSQL's data, in its command or environment."""
        needles = [os.fsencode(self.state)]
        cluster = self.state / "postgres" / "cluster.json"
        if cluster.exists():
            needles.append(json.loads(cluster.read_text())["data"].encode())
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                words = _bytes(folder / "cmdline") + b"\0" + _bytes(folder / "environ")
                if any(needle in words for needle in needles):
                    found.append(f"{folder.name} {_bytes(folder / 'cmdline')[:200]!r}")
        return found

    def clean(self) -> None:
        if self.up_process is not None and self.up_process.poll() is None:
            self.end(signal.SIGTERM)
        self.run("down")
        Cluster(self.state / "postgres").remove()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cli.main", *arguments]

    def environment(self) -> dict[str, str]:
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "ASSAY_", "DATABASE_URL"))}
        return {**keep, "ASSAY_STATE": str(self.state)}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@contextmanager
def supervised(folder: Path) -> Iterator[Supervised]:
    one = Supervised(folder / "a state folder")
    try:
        yield one
    finally:
        one.clean()
