"""Runs the sample suites: submits them through REST, shows them, and returns the worst exit code."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli import output
from cli.client import Client
from cli.failure import UnreachableError, UsageError
from cli.screen import drawn, picture
from cli.server_discovery import Server
from cli.stack.state import PROJECT, StateFolder
from cli.suite_file import load, send_content
from cli.watch import INTERVAL
from cli.words import TERMINAL, describe
from model.fault import MILDEST_FIRST
from model.plural import counted
from model.suite import Suite, suite_to_raw

SUITES = PROJECT / "examples" / "suites"
LEFT_OUT = ("failing", "game-day")
"""Parts of the names of suites that the README shows to try later: one fails on purpose, one needs the shop."""


def sample_files(folder: Path = SUITES) -> list[Path]:
    """Return the suites that a start runs."""
    return sorted(file for file in folder.glob("*.yaml") if not any(word in file.stem for word in LEFT_OUT))


def run_samples(folder: StateFolder, url: str, stopping: threading.Event, *, json: bool = False) -> int:
    """Submit all samples, show them until they have ended, print the verdicts, and return the worst exit code."""
    with Client(Server(url=url, key=folder.api_key())) as client:
        submitted = [_submit(client, file) for file in sample_files()]
        ended = _watch(client, submitted, stopping)
    if ended is None:
        return 3
    _print_verdicts(ended, json=json)
    return worst([suite["exitCode"] for suite in ended])


def worst(codes: Sequence[int]) -> int:
    """Return the worst exit code; without any, that of infrastructure."""
    return max(codes, key=lambda code: MILDEST_FIRST.index(code) if code in MILDEST_FIRST else 99, default=3)


def _submit(client: Client, file: Path) -> str:
    suite = send_content(client, load(file), file.parent)
    if not isinstance(suite, Suite):
        raise UsageError(f"{file} holds a single test; a sample is a suite")
    return str(client.post("/suites/runs", suite_to_raw(suite))["suiteRunId"])


def _watch(client: Client, suites: Sequence[str], stopping: threading.Event) -> list[Any] | None:
    """Show the runs of all suites together, and return them; None if the stack ends first."""
    screen = picture()
    answers: dict[str, Any] = {}
    with screen:
        while not stopping.is_set():
            try:
                answers |= {one: client.get(f"/suites/runs/{one}") for one in suites if not _ended(answers.get(one))}
            except UnreachableError:  # the supervisor starts the API again
                time.sleep(INTERVAL)
                continue
            screen.show([run for answer in answers.values() for run in answer["executions"]])
            if all(_ended(answer) for answer in answers.values()):
                return list(answers.values())
            stopping.wait(INTERVAL)
    return None


def _ended(answer: Any) -> bool:
    return answer is not None and answer["status"] in TERMINAL


def _print_verdicts(suites: Sequence[Any], *, json: bool = False) -> None:
    runs = [(suite, run) for suite in suites for run in suite["executions"]]
    if json:
        for suite, run in runs:
            output.json_line({"suite": suite["name"], **run})
    elif not drawn():
        output.table(
            ("run", "suite", "test", "status", "verdict"),
            [(run["shortId"], suite["name"], run["name"], run["status"], describe(run)) for suite, run in runs],
        )
    good = sum(run["status"] == "completed" for _, run in runs)
    output.say(f"{good} of {counted(len(runs), 'test')} completed, {counted(len(suites), 'suite')}")
