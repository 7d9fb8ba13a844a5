"""What another user of this machine gets of a stack that root, or anybody else, runs: nothing."""

import json
import os
import pwd
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.stack import pytest_request, shell
from harness.supervised import Supervised, supervised

pytestmark = pytest.mark.faults

AS_NOBODY = """
import base64, json, sys
import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

api, prefect = sys.argv[1:3]
seen = {}
for name, method, address in (
    ("tests", "GET", api + "/api/v1/tests"), ("nodes", "GET", api + "/api/v1/nodes"),
    ("logs", "GET", api + "/api/v1/tests/x/logs"), ("submit", "POST", api + "/api/v1/tests"),
    ("content", "PUT", api + "/api/v1/content/" + 64 * "a"),
    ("prefect version", "GET", prefect + "/api/admin/version"),
    ("flow runs", "POST", prefect + "/api/flow_runs/filter"),
    ("deployments", "POST", prefect + "/api/deployments/"), ("settings", "GET", prefect + "/api/admin/settings"),
    ("events", "POST", prefect + "/api/events"), ("no such", "GET", prefect + "/api/no/such"),
):
    seen[name] = httpx.request(method, address, json=None if method == "GET" else {}, trust_env=False).status_code
guess = httpx.BasicAuth("assay", "a guess")
seen["a guess"] = httpx.post(prefect + "/api/flow_runs/filter", json={}, auth=guess, trust_env=False).status_code
for path in ("/api/events/in", "/api/events/out", "/api/logs/out", "/api/task_runs/subscriptions/scheduled",
             "/api/work_pools/assay/workers/connect"):
    for token in (None, "assay:a guess"):
        try:
            with connect(prefect.replace("http", "ws") + path, subprotocols=["prefect"], proxy=None) as socket:
                socket.send(json.dumps({"type": "auth", "token": token}))
                seen[f"{path} {token}"] = socket.recv(timeout=10)
        except WebSocketException as refused:
            seen[f"{path} {token}"] = "refused"
for address in (
    *(prefect + path for path in ("/api/events/in", "/api/events/out", "/api/logs/out")),
    *(api + path for path in ("/", "/api/v1/tests", "/api/v1/tests/x/logs")),
):
    try:
        with connect(address.replace("http", "ws"), proxy=None) as socket:
            seen[address] = socket.recv(timeout=10)
    except WebSocketException:
        seen[address] = "refused"
print(json.dumps(seen))
"""
TESTS_OWN = ("work", "results", "home")
"""Folders of an attempt that belong to the test: it may give its files what mode it likes."""


USUAL = """
test "$(umask)" = 0022 || exit 1
test "$(stat -c %a run.sh)" = 644 || exit 1
echo left > "$ASSAY_RESULTS_DIR/left.txt"
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Supervised]:
    """A stack that has run tests of both types and left artifacts, in a folder that every user can reach."""
    with tempfile.TemporaryDirectory(prefix="assay-tests-") as folder:
        Path(folder).chmod(0o755)
        with supervised(Path(folder)) as one:
            one.start()
            for run in (one.submit(pytest_request("def test_it(): pass")), one.submit(shell(USUAL))):
                assert one.ended(run)["status"] == "completed", "a test has the usual umask, and so do its files"
            yield one


def files(state: Path) -> Iterator[Path]:
    """Everything of ours in a state folder, with the folder itself."""
    yield state
    for folder, inner, found in os.walk(state):
        here = Path(folder)
        if here.parent.parent.parent == state / "runs":
            inner[:] = [name for name in inner if name not in TESTS_OWN]
        if here == state / "venvs":
            inner[:] = []  # what tests import; this folder is closed
        yield from (here / name for name in (*inner, *found))


def open_to_others(path: Path) -> int:
    return 0 if path.is_symlink() else stat.S_IMODE(path.lstat().st_mode) & 0o077


def test_every_file_and_folder_is_for_its_owner_only(stack: Supervised) -> None:
    """As root PostgreSQL runs as another user. Its group may pass through the state folder, and can list nothing."""
    passable = {stack.state: 0o010, stack.state / "postgres": 0o011} if os.geteuid() == 0 else {}
    looked_at = list(files(stack.state))

    found = {str(path): oct(open_to_others(path)) for path in looked_at if open_to_others(path)}

    assert {"stack.json", "lock", "server.log", "shim.log", "spec.json", "worker.log"} <= {p.name for p in looked_at}
    assert found == {str(path): oct(mode) for path, mode in passable.items()}


def test_no_secret_stands_in_the_arguments_of_a_process(stack: Supervised) -> None:
    """Arguments can be read by every user, an environment only by its own."""
    secrets = [(stack.state / name).read_text().strip().encode() for name in ("api-key", "prefect-credential")]
    secrets.append(json.loads((stack.state / "postgres" / "cluster.json").read_text())["password"].encode())

    told = b"".join(content_of(path) for path in Path("/proc").glob("[0-9]*/cmdline"))

    assert b"cli.main" in told
    assert [secret for secret in secrets if secret in told] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user to try it")
def test_another_user_gets_401_from_both_servers_and_reads_no_file(stack: Supervised) -> None:
    status, python = stack.status(), python_of_nobody()
    seen = as_nobody(python, "-c", AS_NOBODY, status["api_url"], status["prefect_url"])
    readable = as_nobody("find", str(stack.state), "-readable", "-type", "f")

    assert seen.returncode == 0, seen.stderr
    told = json.loads(seen.stdout)
    assert {name: code for name, code in told.items() if code not in {401, "refused"}} == {}
    assert readable.stdout == ""
    assert "Permission denied" in readable.stderr


def python_of_nobody() -> str:
    """Return a Python that another user can run; ours may lie in root's home."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            if as_nobody(python, "-c", "import httpx, websockets").returncode == 0:
                return python
        except OSError:
            continue
    assert not os.environ.get("CI"), "CI must have a Python that every user can run"
    pytest.skip("no Python here that another user can run: apt-get install python3")


def content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def as_nobody(*command: str) -> "subprocess.CompletedProcess[str]":
    nobody = pwd.getpwnam("nobody")
    return subprocess.run(
        command,
        cwd="/",
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=(),
        env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
