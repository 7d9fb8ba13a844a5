"""The stack as a person has it: `assay up`, its signals, its deaths, and that nothing of it is ever left behind."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.embedded import Cluster

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
EVIL = {"Origin": "http://evil.example"}
PREFLIGHT = {**EVIL, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
ASK = """
import os, httpx
key = {"Authorization": "Bearer " + os.environ["ASSAY_API_KEY"]}
print(httpx.get(os.environ["ASSAY_URL"] + "/api/v1/nodes", headers=key).status_code)
print(httpx.get(os.environ["PREFECT_API_URL"] + "/health").status_code)
"""
PARTS = ("postgres", "prefect", "api", "worker")


def until(what: str, true: Callable[[], Any], seconds: float = 60.0) -> Any:
    end_at = time.monotonic() + seconds
    while time.monotonic() < end_at:
        try:
            if found := true():
                return found
        except (httpx.HTTPError, OSError, ValueError):
            pass
        time.sleep(0.2)
    raise AssertionError(f"{what}: not after {seconds:.0f} s")


class Supervised:
    """One state folder, and the commands on it, each as a process."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.said = state.with_name("said")
        self.up_process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        with self.said.open("wb") as said:
            self.up_process = subprocess.Popen(
                self._command("up", "--no-samples", *options), cwd=ROOT, env=self._environment(), stderr=said
            )
        until("the stack is ready", self._ready, 120)
        assert self.status()["well"]

    def _ready(self) -> bool:
        assert self.up_process is not None
        assert self.up_process.poll() is None, self.said.read_text()
        record = json.loads((self.state / "stack.json").read_text())
        return bool(record["supervisor"]["pid"] == self.up_process.pid and record["phase"] == "ready")

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self._command(*arguments), cwd=ROOT, env=self._environment(), capture_output=True, text=True, check=False
        )

    def end(self, number: int) -> int:
        assert self.up_process is not None
        self.up_process.send_signal(number)
        return self.up_process.wait(60)

    def status(self) -> Any:
        return json.loads(self.run("status", "--json").stdout)

    def pid(self, part: str) -> int:
        return int(next(p["pid"] for p in self.status()["parts"] if p["name"] == part) or 0)

    def rest(self, method: str, path: str, **rest: Any) -> Any:
        headers = {"Authorization": f"Bearer {(self.state / 'api-key').read_text().strip()}"}
        answer = httpx.request(method, f"{self.status()['api_url']}/api/v1{path}", headers=headers, timeout=30, **rest)
        answer.raise_for_status()
        return answer.json()

    def submit(self, command: str) -> str:
        content = {"type": "inline", "files": {"note.txt": "nothing"}}
        test = {"name": "stack", "type": "custom", "command": ["sh", "-c", command], "content": content}
        return str(self.rest("POST", "/tests", json=test)["executionId"])

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

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cli.main", *arguments]

    def _environment(self) -> dict[str, str]:
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


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    """A stack that runs while the tests of this module use it; each leaves it well."""
    with supervised(tmp_path_factory.mktemp("stack")) as one:
        one.start()
        yield one


@pytest.mark.parametrize("server", ["api", "prefect"])
def test_a_preflight_from_another_origin_is_refused(stack: Supervised, server: str) -> None:
    path = {"api": "/api/v1/tests", "prefect": "/api/flow_runs/"}[server]

    answer = httpx.options(stack.status()[f"{server}_url"] + path, headers=PREFLIGHT)

    assert answer.status_code in {400, 403, 405}
    assert "access-control-allow-origin" not in answer.headers


def test_a_request_that_needs_no_preflight_is_refused_too(stack: Supervised) -> None:
    """A page may send a body without a content type anywhere, and Prefect reads it as JSON."""
    url = stack.status()["prefect_url"]

    answer = httpx.post(f"{url}/api/variables/", content=b'{"name": "evil", "value": 1}', headers=EVIL)

    assert answer.status_code == 403
    assert httpx.get(f"{url}/api/variables/name/evil").status_code == 404


@pytest.mark.parametrize("server", ["api", "prefect"])
def test_another_host_name_is_refused(stack: Supervised, server: str) -> None:
    """DNS rebinding: a page of evil.example whose name leads to 127.0.0.1 is of its own origin."""
    path = {"api": "/api/v1/tests", "prefect": "/api/admin/version"}[server]

    answer = httpx.get(stack.status()[f"{server}_url"] + path, headers={"Host": "evil.example"})

    assert answer.status_code in {400, 403}


def test_prefects_pages_are_served_and_may_talk_to_their_server(stack: Supervised) -> None:
    url = stack.status()["prefect_url"]

    page = httpx.get(url, headers={"Accept": "text/html"}, follow_redirects=True)
    answer = httpx.post(f"{url}/api/flows/filter", json={}, headers={"Origin": url})

    assert "<html" in page.text.lower()
    assert answer.status_code == 200


def test_everything_listens_on_the_loopback_address_only(stack: Supervised) -> None:
    """Looked up in the kernel's own table: no part has a socket on another address."""
    inodes = {
        link.readlink().name.removeprefix("socket:[").removesuffix("]")
        for part in ("prefect", "api", "worker", "postgres")
        for link in Path(f"/proc/{stack.pid(part)}/fd").iterdir()
        if str(link.readlink()).startswith("socket:")
    }
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    listening = {row[1].rpartition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}

    assert listening == {"0100007F"}


def test_a_shell_gets_what_it_needs(stack: Supervised) -> None:
    """Used by another program, as CI would: the addresses answer, and the key opens the API."""
    python = shlex.quote(sys.executable)
    script = f'eval "$({python} -m cli.main env)" && {python} -c "$ASK"'

    done = subprocess.run(
        ["sh", "-c", script], cwd=ROOT, env={**stack._environment(), "ASK": ASK}, capture_output=True, check=False
    )

    assert done.stdout.split() == [b"200", b"200"], done.stderr


def test_a_second_up_follows_the_first_and_lets_go_at_ctrl_c(stack: Supervised) -> None:
    with subprocess.Popen(stack._command("up"), cwd=ROOT, env=stack._environment(), stderr=subprocess.PIPE) as second:
        assert second.stderr is not None
        said = second.stderr.readline() + second.stderr.readline() + second.stderr.readline()
        second.send_signal(signal.SIGINT)
        code = second.wait(30)

    assert str(stack.pid("supervisor")).encode() in said
    assert stack.status()["api_url"].encode() in said
    assert code == 0
    assert stack.status()["well"]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_killed_is_started_again_and_the_running_test_goes_on(stack: Supervised, part: str) -> None:
    """The test that runs meanwhile gets one attempt and its verdict."""
    run = stack.submit("sleep 6")
    stack.in_phase(run, "running")
    old = stack.pid(part)

    os.kill(old, signal.SIGKILL)

    until(f"{part} has a new process", lambda: stack.pid(part) not in {0, old})
    until("all is well again", lambda: stack.status()["well"], 90)
    verdict = stack.ended(run)
    assert verdict["status"] == "completed"
    assert [attempt["cause"] for attempt in verdict["attempts"]] == ["first"]


def test_after_the_supervisor_is_killed_the_next_up_adopts_what_runs(stack: Supervised) -> None:
    run = stack.submit("sleep 15")
    stack.in_phase(run, "running")
    postgres = stack.pid("postgres")

    stack.end(signal.SIGKILL)
    stack.start()

    assert stack.pid("postgres") == postgres
    verdict = stack.ended(run)
    assert verdict["status"] == "completed"
    assert [attempt["cause"] for attempt in verdict["attempts"]] == ["first"]


def test_ctrl_c_leaves_no_process_and_the_test_that_ran_is_tried_again(stack: Supervised) -> None:
    """It is recorded as infrastructure: nobody's test has failed."""
    marker = stack.state.with_name("second")
    run = stack.submit(f'test -e "{marker}" || {{ touch "{marker}"; setsid sleep 300 & sleep 300; }}')
    stack.in_phase(run, "running")
    until("the test has begun", marker.exists)

    assert stack.end(signal.SIGINT) == 0
    assert stack.processes() == []
    assert "1 running test was ended" in stack.said.read_text()

    stack.start()
    verdict = stack.ended(run)
    assert verdict["status"] == "completed"
    assert [attempt["cause"] for attempt in verdict["attempts"]] == ["first", "infrastructure"]


def test_down_ends_a_stack_and_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    with supervised(tmp_path) as one:
        one.start()
        assert one.run("down").returncode == 0
        assert one.processes() == []
        assert one.up_process is not None
        assert one.up_process.wait(1) == 0

        one.start()
        one.end(signal.SIGKILL)
        assert one.processes() != []
        assert one.run("down").returncode == 0
        assert one.processes() == []


def test_a_taken_port_is_replaced_and_said(tmp_path: Path) -> None:
    with socket.socket() as listener, supervised(tmp_path) as one:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        one.start("--port-api", str(port))

        assert f"port {port} is taken: the API gets" in one.said.read_text()
        assert httpx.get(f"{one.status()['api_url']}/health").status_code == 200
