"""How the command ends when nobody reads it, when it cannot write, and when it fails itself: never as a verdict."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import main
from cli.failure import EXIT_UNREACHABLE, EXIT_UNREAD

ROOT = Path(__file__).resolve().parents[3]
TRACES = ROOT / "examples" / "traces"


@pytest.fixture
def simulation(tmp_path: Path) -> list[str]:
    """A command that needs no server and writes more than a line."""
    (tmp_path / "trace.csv").write_text("team\nshop\n")
    return ["simulate", str(tmp_path / "trace.csv"), "--nodes", str(TRACES / "nodes.csv")]


def ended(arguments: list[str], stdout: int) -> tuple[int, bytes]:
    command = [sys.executable, "-m", "cli.main", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("more", [["simulate"], ["simulate", "--json"], ["--help"], ["queue", "--help"]])
def test_a_reader_that_goes_away_ends_the_command_quietly(simulation: list[str], more: list[str]) -> None:
    """As other tools do: without a word, and with the code that a shell gives to what SIGPIPE ends."""
    ours, theirs = os.pipe()
    os.close(ours)
    arguments = [*simulation, *more[1:]] if more[0] == "simulate" else more

    code, said = ended(arguments, theirs)

    os.close(theirs)
    assert (code, said) == (EXIT_UNREAD, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_in_a_line_and_is_no_verdict(simulation: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        code, said = ended(simulation, full.fileno())

    assert (code, said.count(b"\n")) == (EXIT_UNREACHABLE, 1)
    assert said.startswith(b"error: ")


def test_a_fault_of_the_command_does_not_read_as_failed_tests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "_run", lambda _: 1 // 0)

    assert main.run(["list"]) == EXIT_UNREACHABLE
    assert "ZeroDivisionError" in capsys.readouterr().err
