"""What a run has run is recorded and shown: all its attempts run one commit, and a fixed test is not flaky."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.git_server import Server, git_server, sh
from harness.stack import Stack, pytest_request, shell, until
from harness.suites import only_worker

FAILS, PASSES = "echo it fails\nexit 1\n", "echo it passes\n"


@pytest.fixture
def server(stack: Stack, tmp_path: Path) -> Iterator[Server]:
    """A git server that the worker trusts."""
    worker = only_worker(stack)
    with git_server(tmp_path) as running:
        stack.kill(worker)
        stack.start_worker(worker, ASSAY_ALLOWED_HOSTS="localhost", ASSAY_GIT_CA_FILE=str(running.certificate))
        yield running
        stack.kill(worker)
        stack.start_worker(worker)


class Repository:
    """A repository with one branch, that moves with each push."""

    def __init__(self, server: Server) -> None:
        self.work, self.bare = server.folder / "checkout", server.folder / "moving.git"
        self.url = server.url("moving.git")
        self.work.mkdir()
        sh("git", "init", "-q", "-b", "main", cwd=self.work)
        sh("git", "init", "-q", "--bare", "-b", "main", str(self.bare), cwd=self.work)

    def push(self, script: str) -> str:
        (self.work / "run.sh").write_text(script)
        sh("git", "add", ".", cwd=self.work)
        sh("git", "commit", "-q", "-m", "next", cwd=self.work)
        sh("git", "push", "-q", str(self.bare), "main", cwd=self.work)
        return sh("git", "rev-parse", "HEAD", cwd=self.work)

    def request(self, name: str, retries: int = 0) -> dict[str, Any]:
        policy = {"maxRetries": retries, "backoffSeconds": 5, "backoffStrategy": "fixed"}
        content = {"type": "git", "repository": self.url, "branch": "main"}
        return shell("", name=name, content=content, config={"retryPolicy": policy})


def provenance(stack: Stack, run: str) -> Any:
    return stack.rest("GET", f"/tests/{run}").json()["provenance"]


def flaky(stack: Stack, name: str) -> list[Any]:
    return [test for test in stack.rest("GET", "/flaky").json()["tests"] if test["definition"] == name]


def test_all_attempts_run_one_commit_and_a_fixed_test_is_not_flaky(stack: Stack, server: Server) -> None:
    repository = Repository(server)
    broken = repository.push(FAILS)
    request = repository.request("moving", retries=1)
    first = stack.submit(request)
    until("its first attempt has ended", lambda: stack.attempts(first) and stack.attempts(first)[0]["ended_at"])
    fixed = repository.push(PASSES)

    row = stack.ended(first)
    second = stack.submit(request)

    assert (row["failure_reason"], len(stack.attempts(first))) == ("tests_failed", 2)
    assert stack.assay("logs", first).stdout.count("it fails") == 2
    assert stack.ended(second)["status"] == "completed"
    assert [provenance(stack, run)["commit"] for run in (first, second)] == [broken, fixed]
    assert f"commit       {broken}" in stack.assay("show", first).stdout
    assert flaky(stack, "moving") == []


def test_a_retry_that_passes_on_the_same_commit_is_flaky(stack: Stack, server: Server) -> None:
    repository = Repository(server)
    tried = server.folder / "tried"
    commit = repository.push(f"[ -e {tried} ] && exit 0\ntouch {tried}\nexit 1\n")

    run = stack.submit(repository.request("wavering", retries=1))

    assert stack.ended(run)["status"] == "completed"
    (found,) = flaky(stack, "wavering")
    assert (found["commit"], found["passes"], found["failures"]) == (commit, 1, 1)


def test_content_and_versions_of_tools_are_recorded(stack: Stack) -> None:
    run = stack.submit(pytest_request("def test_a(): pass\n"))
    stack.ended(run)

    found = provenance(stack, run)

    assert found["commit"] is None
    assert len(found["content"]) == 64
    assert {"python", "pytest"} <= set(found["tools"])
    assert f"pytest {found['tools']['pytest']}" in stack.assay("show", run).stdout


def test_a_git_host_that_does_not_answer_is_infrastructure(stack: Stack, server: Server) -> None:
    request = shell("", content={"type": "git", "repository": "https://localhost:1/x.git", "branch": "main"})

    row = stack.ended(stack.submit(request))

    assert (row["failure_reason"], row["infrastructure_count"]) == ("infrastructure", 3)
    assert "Failed to connect" in row["detail"]


def test_a_repository_that_is_not_there_is_a_matter_of_the_request(stack: Stack, server: Server) -> None:
    request = shell("", content={"type": "git", "repository": server.url("none.git"), "branch": "main"})
    run = stack.submit(request)

    row = stack.ended(run)

    assert (row["failure_reason"], len(stack.attempts(run))) == ("content", 1)
    assert stack.settled(run)["name"] == "Misconfigured"
