"""Each command of the README does what the README says, on a stack that was started like the README says.

Commands are read from the blocks of the README, so a new one is run without a change here.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.stack import ROOT
from harness.supervised import Supervised, supervised

pytestmark = pytest.mark.faults

README = ROOT / "README.md"
NOT_RUN = {
    "make run": "it starts a stack of this folder; test_fresh_machine runs it in a clone",
    "make test": "it is what runs this test",
    "assay open": "it opens a browser; test_browser signs in as it says",
    "assay chaos run examples/chaos/payments-slow.yaml": "it takes 80 seconds; test_experiments runs it",
    "assay chaos report EXPERIMENT --output report.html": "there is no experiment then; test_experiments reads one",
}
FAILS = {"assay run examples/suites/flaky-and-failing.yaml": 1}
"""What the README says about exit codes other than 0."""
LAST = "assay down"
PRELUDE = (". .venv/bin/activate", 'eval "$(assay env)"')
"""What the README says to do first, in the same shell as all others."""


def commands() -> Iterator[str]:
    """Yield the commands of all shell blocks. One whose quotes are open goes on in the next line."""
    for block in re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL):
        pending = ""
        for line in block.splitlines():
            pending = f"{pending}\n{line}" if pending else line
            try:
                words = shlex.split(pending, comments=True)
            except ValueError:
                continue
            if words:
                yield pending if "\n" in pending else re.sub(r"\s+#.*$", "", pending)
            pending = ""
        assert not pending, f"a quote of this command is never closed: {pending}"


def test_the_readme_still_has_commands_to_run() -> None:
    """Else the test below would say nothing."""
    found = list(commands())

    assert {*NOT_RUN, *FAILS, *PRELUDE, LAST} <= set(found)
    assert len(found) > 15


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Supervised]:
    """Start a stack, and run a sample that passes, as `make run` does."""
    with supervised(tmp_path) as running:
        running.start()
        assert running.run("run", "examples/suites/smoke.yaml").returncode == 0
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder that has what the commands name, and into which they may write."""
    here = tmp_path / "clone"
    here.mkdir()
    (here / "examples").symlink_to(ROOT / "examples")
    (here / ".venv").symlink_to(sys.prefix)
    return here


def run(command: str, stack: Supervised, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run one command in a shell that did what stands before it in the README."""
    before = "" if command in PRELUDE else "; ".join(PRELUDE) + "; "
    environment = stack.environment() | {"PATH": os.environ["PATH"]}
    return subprocess.run(
        ["bash", "-c", before + command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_every_command_of_the_readme_works(stack: Supervised, folder: Path) -> None:
    known = [command for command in commands() if command not in NOT_RUN and command != LAST]
    wrong = {}
    passed = ""
    for command in [*known, LAST]:
        if "RUN" in command.split():
            passed = passed or run("assay list --status completed --limit 1", stack, folder).stdout.partition("\t")[0]
        done = run(re.sub(r"\bRUN\b", passed, command), stack, folder)
        if done.returncode != FAILS.get(command, 0):
            wrong[command] = (done.returncode, done.stdout[-1000:], done.stderr[-2000:])

    assert wrong == {}
    assert passed
    assert (folder / "report.xml").read_text().startswith("<?xml")
    assert "<svg" in (folder / "morning.svg").read_text()
