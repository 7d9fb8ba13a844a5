"""Shells complete ids of runs, and nothing is said or slow when the server is away."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness.rest import KEY, REQUEST, Api, submitted
from harness.sweep import third

from cli.parameters import complete_run

ROOT = Path(__file__).resolve().parents[3]


def completed(words: str, url: str) -> "subprocess.CompletedProcess[str]":
    """Ask the command for completions, as bash does."""
    asked = {"_ASSAY_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ASSAY_URL": url, "ASSAY_API_KEY": KEY} | asked
    command = [sys.executable, "-m", "cli.main"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


COMMANDS = ["show", "logs", "wait", "results", "cancel", "retry", "explain", "artifacts"]


@pytest.mark.parametrize("command", third(COMMANDS))
def test_a_shell_completes_the_ids_of_tests_and_of_suite_runs(api: Api, client: httpx.Client, command: str) -> None:
    test = str(submitted(client))[-8:]
    suite = client.post("/suites/runs", json={"name": "shop", "tests": [REQUEST]}).json()["suiteRunId"][-8:]

    done = completed(f"assay {command} ", api.url)

    assert {test, suite} <= set(done.stdout.split())
    assert done.stderr == ""


def test_only_ids_that_begin_as_typed_are_offered_each_with_its_name(
    assay: Callable[..., Any], client: httpx.Client
) -> None:
    run = str(submitted(client))

    [(shown, told)] = complete_run(run[-8:][:6])

    assert shown == run[-8:]
    assert "checkout" in told
    assert complete_run(run[:20]) == [(run, told)]
    assert complete_run("nothing") == []


def test_without_a_server_nothing_is_offered_and_nothing_is_said() -> None:
    done = completed("assay show ", "http://127.0.0.1:9")

    assert (done.stdout.strip(), done.stderr) == ("", "")
