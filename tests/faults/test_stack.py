"""The stack as a person has it: `assay up`, its signals, its deaths, and that nothing of it is ever left behind."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from harness.diaries import ONCE, counted, diary_request, entries
from harness.stack import ROOT, shell, until
from harness.supervised import Supervised, supervised
from harness.sweep import third

from cli.stack.samples import sample_files

pytestmark = pytest.mark.faults

EVIL = {"Origin": "http://evil.example"}
PREFLIGHT = {**EVIL, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
ASK = """
import os, httpx
key = {"Authorization": "Bearer " + os.environ["ASSAY_API_KEY"]}
print(httpx.get(os.environ["ASSAY_URL"] + "/api/v1/nodes", headers=key).status_code)
prefect = httpx.BasicAuth(*os.environ["PREFECT_API_AUTH_STRING"].split(":"))
print(httpx.get(os.environ["PREFECT_API_URL"] + "/admin/version", auth=prefect).status_code)
"""
ROWS_OF = """
SELECT split_part(r.test_name, '::', 2) AS test, r.status, a.cause
FROM test_results r JOIN test_attempts a ON a.execution_id = r.execution_id AND a.number = r.attempt
WHERE r.execution_id = %s ORDER BY r.attempt, r.test_name
"""
PARTS = ("postgres", "prefect", "api", "worker")


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
    assert httpx.get(f"{url}/api/variables/name/evil", auth=stack.prefect_auth()).status_code == 404


@pytest.mark.parametrize("server", ["api", "prefect"])
def test_another_host_name_is_refused(stack: Supervised, server: str) -> None:
    """DNS rebinding: a page of evil.example whose name leads to 127.0.0.1 is of its own origin."""
    path = {"api": "/api/v1/tests", "prefect": "/api/admin/version"}[server]

    answer = httpx.get(stack.status()[f"{server}_url"] + path, headers={"Host": "evil.example"})

    assert answer.status_code in {400, 403}


def test_prefects_pages_are_served_and_may_talk_to_their_server(stack: Supervised) -> None:
    url = stack.status()["prefect_url"]

    page = httpx.get(url, headers={"Accept": "text/html"}, follow_redirects=True)
    answer = httpx.post(f"{url}/api/flows/filter", json={}, headers={"Origin": url}, auth=stack.prefect_auth())

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
        ["sh", "-c", script], cwd=ROOT, env={**stack.environment(), "ASK": ASK}, capture_output=True, check=False
    )

    assert done.stdout.split() == [b"200", b"200"], done.stderr


def test_a_second_up_follows_the_first_and_lets_go_at_ctrl_c(stack: Supervised) -> None:
    with subprocess.Popen(stack.command("up"), cwd=ROOT, env=stack.environment(), stderr=subprocess.PIPE) as second:
        assert second.stderr is not None
        said = second.stderr.readline() + second.stderr.readline() + second.stderr.readline()
        second.send_signal(signal.SIGINT)
        code = second.wait(30)

    assert str(stack.pid("supervisor")).encode() in said
    assert stack.status()["api_url"].encode() in said
    assert code == 0
    assert stack.status()["well"]


def test_a_second_up_once_runs_the_samples_on_the_first_and_ends_with_their_0(stack: Supervised) -> None:
    done = stack.run("up", "--once")

    verdicts = stack.sql("SELECT s.name, e.status FROM test_executions e JOIN suite_runs s USING (suite_run_id)")
    assert done.returncode == 0, done.stderr
    assert "a stack already runs here" in done.stderr
    assert {row["name"] for row in verdicts} == {yaml.safe_load(file.read_text())["name"] for file in sample_files()}
    assert {row["status"] for row in verdicts} == {"completed"}
    assert all(row["name"] in done.stdout for row in verdicts), "the verdicts are printed"
    assert stack.status()["well"]


def test_the_failing_sample_ends_with_1_and_its_rows_show_the_retry_the_skip_and_the_flake(stack: Supervised) -> None:
    """As the README shows it: one test passes, one fails, one is skipped, one passes only when it is tried again."""
    done = stack.run("run", "examples/suites/flaky-and-failing.yaml", "--json")

    assert done.returncode == 1, done.stderr
    (told,) = json.loads(done.stdout)["executions"]
    found = stack.sql(ROWS_OF, told["executionId"])
    assert (told["status"], told["failureReason"], told["retryCount"]) == ("failed", "tests_failed", 1)
    assert [row["cause"] for row in found if row["test"] == "test_that_fails"] == ["first", "retry"]
    assert {
        test: [row["status"] for row in found if row["test"] == test] for test in {row["test"] for row in found}
    } == {
        "test_that_passes": ["passed", "passed"],
        "test_that_fails": ["failed", "failed"],
        "test_that_is_skipped": ["skipped", "skipped"],
        "test_that_is_flaky": ["failed", "passed"],
    }
    flaky = [test["testName"] for test in stack.rest("GET", "/flaky")["tests"]]
    assert [name.rpartition("::")[2] for name in flaky] == ["test_that_is_flaky"]


@pytest.mark.parametrize("part", third(PARTS))
def test_a_part_that_is_killed_is_started_again_and_the_running_test_goes_on(stack: Supervised, part: str) -> None:
    """The test that runs meanwhile gets one attempt and its verdict."""
    run = stack.submit(shell("sleep 6"))
    stack.in_phase(run, "running")
    old = stack.pid(part)

    os.kill(old, signal.SIGKILL)

    until(f"{part} has a new process", lambda: stack.pid(part) not in {0, old})
    until("all is well again", lambda: stack.status()["well"], 90)
    verdict = stack.ended(run)
    assert verdict["status"] == "completed"
    assert [attempt["cause"] for attempt in verdict["attempts"]] == ["first"]


@pytest.mark.parametrize("part", third(PARTS))
def test_a_part_that_is_stopped_is_said_to_hang_and_is_started_again(stack: Supervised, part: str) -> None:
    """The test that runs meanwhile gets one attempt and its verdict."""
    run = stack.submit(shell("sleep 20"))
    stack.in_phase(run, "running")
    old = stack.pid(part)

    os.kill(old, signal.SIGSTOP)

    seen = until(f"{part} hangs", lambda: (report := stack.report(part))["state"] == "hangs" and report, 30)
    assert stack.status()["phase"] == "degraded"
    assert seen["since"] is not None or part in {"api", "prefect"}, "they may be asked before the supervisor sees it"
    until(f"{part} has a new process", lambda: stack.pid(part) not in {0, old}, 90)
    until("all is well again", lambda: stack.status()["well"], 120)
    verdict = stack.ended(run)
    assert verdict["status"] == "completed"
    assert [attempt["cause"] for attempt in verdict["attempts"]] == ["first"]
    assert stack.report(part)["restarts"] >= 1


def test_a_supervisor_that_is_stopped_is_said_to_hang(stack: Supervised) -> None:
    """Nothing else is wrong, and when it goes on it blames no part for the time that it missed."""
    assert stack.up_process is not None
    before = {part: stack.pid(part) for part in PARTS}
    stack.up_process.send_signal(signal.SIGSTOP)
    try:
        until("the supervisor hangs", lambda: stack.report("supervisor")["state"] == "hangs", 30)
        report = stack.status()
    finally:
        stack.up_process.send_signal(signal.SIGCONT)

    assert (report["phase"], report["well"]) == ("degraded", False)
    assert {part["state"] for part in report["parts"] if part["name"] != "supervisor"} == {"ready"}
    until("all is well again", lambda: stack.status()["well"])
    assert {part: stack.pid(part) for part in PARTS} == before


def test_the_supervisor_killed_amid_20_running_tests_costs_no_attempt(stack: Supervised, tmp_path: Path) -> None:
    """The next `up` adopts PostgreSQL and all tests."""
    diaries = [tmp_path / f"diary-{number}" for number in range(20)]
    gate = tmp_path / "gate"
    runs = [stack.submit(diary_request(diary, gate=gate)) for diary in diaries]
    until("20 running", lambda: all(entries(diary) for diary in diaries))
    postgres = stack.pid("postgres")

    stack.end(signal.SIGKILL)
    stack.start()
    gate.touch()
    for run in runs:
        stack.ended(run)

    assert stack.pid("postgres") == postgres
    assert counted(stack.sql, runs) == dict.fromkeys(runs, ONCE)
    assert [entries(diary) for diary in diaries] == [[("start", 1), ("end", 1)]] * 20


def test_ctrl_c_leaves_no_process_and_the_test_that_ran_is_tried_again(stack: Supervised) -> None:
    """It is recorded as infrastructure: nobody's test has failed."""
    marker = stack.state.with_name("second")
    run = stack.submit(shell(f'test -e "{marker}" || {{ touch "{marker}"; setsid sleep 300 & sleep 300; }}'))
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


def test_down_ends_a_supervisor_that_is_stopped(tmp_path: Path) -> None:
    with supervised(tmp_path) as one:
        one.start()
        assert one.up_process is not None
        one.up_process.send_signal(signal.SIGSTOP)

        assert one.run("down").returncode == 0
        assert one.processes() == []
        assert one.up_process.wait(1) == 0


def test_up_once_runs_the_samples_beside_a_taken_port_ends_with_0_and_leaves_no_process(tmp_path: Path) -> None:
    with socket.socket() as listener, supervised(tmp_path) as one:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        done = one.run("up", "--once", "--port-api", str(port))

        assert done.returncode == 0, done.stderr
        assert f"port {port} is taken: the API uses" in done.stderr
        assert f"{len(sample_files())} suites" in done.stderr
        assert one.processes() == []
