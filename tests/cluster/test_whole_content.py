"""Content from outside in pods: a suite of pytest in git, and tests of a suite that start together."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import suites
from harness.cluster_namespaces import SERVING, ServedCluster
from harness.git_server import Server, git_server, sh
from harness.stack import pytest_request, shell, until

pytestmark = pytest.mark.cluster

FAILS = "def test_it():\n    assert 1 == 2\n"
PASSES = "def test_it():\n    pass\n"


@pytest.fixture
def git(served: ServedCluster, tmp_path: Path) -> Iterator[Server]:
    """A git server that the worker trusts."""
    stack = served.stack
    with git_server(tmp_path) as running:
        trust = {"ASSAY_ALLOWED_HOSTS": "localhost", "ASSAY_GIT_CA_FILE": str(running.certificate)}
        stack.kill("worker-1")
        stack.start_worker("worker-1", **SERVING, **trust)
        yield running
        stack.kill("worker-1")
        stack.start_worker("worker-1", **SERVING)


def push(server: Server, source: str) -> str:
    """Push a test to the branch, and return the commit."""
    work, bare = server.folder / "checkout", server.folder / "suite.git"
    if not work.exists():
        work.mkdir()
        sh("git", "init", "-q", "-b", "main", cwd=work)
        sh("git", "init", "-q", "--bare", "-b", "main", str(bare), cwd=work)
    (work / "test_it.py").write_text(source)
    sh("git", "add", ".", cwd=work)
    sh("git", "commit", "-q", "-m", "next", cwd=work)
    sh("git", "push", "-q", str(bare), "main", cwd=work)
    return sh("git", "rev-parse", "HEAD", cwd=work)


def test_a_suite_in_git_runs_in_pods_and_every_attempt_has_the_same_commit(served: ServedCluster, git: Server) -> None:
    """The branch moves on between the attempts; what is judged is what was submitted."""
    stack = served.stack
    first = push(git, FAILS)
    policy = {"maxRetries": 1, "backoffSeconds": 4, "backoffStrategy": "fixed"}
    content = {"type": "git", "repository": git.url(), "branch": "main"}
    config = {"nodeSelector": served.host, "retryPolicy": policy}
    run = stack.submit(pytest_request("", content=content, config=config))
    until("its first attempt is over", lambda: [a for a in stack.attempts(run) if a["ended_at"]], 120)
    push(git, PASSES)

    row = stack.ended(run, 120)

    assert (row["status"], row["failure_reason"]) == ("failed", "tests_failed"), row
    assert [attempt["node"] for attempt in stack.attempts(run)] == [served.node] * 2
    assert stack.rest("GET", f"/tests/{run}").json()["provenance"]["commit"] == first


def test_tests_of_a_suite_that_start_together_run_side_by_side(served: ServedCluster) -> None:
    stack, config = served.stack, {"nodeSelector": served.host}
    tests = [shell("sleep 8", name=f"part-{number}", config=config) for number in range(3)]

    suite_run = suites.submit(stack, suites.suite(*tests, start="together"))
    suites.ended(stack, suite_run)

    spans = [stack.attempts(str(run["execution_id"])) for run in suites.children(stack, suite_run)]
    assert [len(span) for span in spans] == [1, 1, 1]
    assert max(span[0]["started_at"] for span in spans) < min(span[0]["ended_at"] for span in spans)
    assert {run["status"] for run in suites.children(stack, suite_run)} == {"completed"}


def test_tests_that_share_an_exclusive_name_run_one_by_one(served: ServedCluster) -> None:
    stack, config = served.stack, {"nodeSelector": served.host, "exclusive": ["only-one"]}
    tests = [shell("sleep 1", name=f"turn-{number}", config=config) for number in range(3)]

    suite_run = suites.submit(stack, suites.suite(*tests))
    suites.ended(stack, suite_run)

    found = [stack.attempts(str(run["execution_id"]))[0] for run in suites.children(stack, suite_run)]
    in_turn = sorted((attempt["started_at"], attempt["ended_at"]) for attempt in found)
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(in_turn))
