"""A part is started again when it dies, with growing pauses, and dies with its supervisor."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.stack.console import Console
from cli.stack.identity import gone, identify
from cli.stack.parts import PARENT_DEATH, Part, Program, ended_how, inherited
from cli.stack.proxies import past_proxies

PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), "sleep", "60"])
print(child.pid, flush=True)
sys.stdin.read()
"""


def part(tmp_path: Path, *command: str) -> Part:
    program = Program(
        name="part",
        title="a part",
        command=command,
        environment={"PATH": "/usr/bin:/bin"},
        log=tmp_path / "part.log",
        healthy=lambda: True,
        patience=1.0,
    )
    return Part(program=program, console=Console(quiet=True, log=tmp_path / "stack.log"))


def wait_for_end(one: Part) -> None:
    assert one.process is not None
    one.process.wait(10)


def test_a_part_that_dies_is_started_again_after_a_pause(tmp_path: Path) -> None:
    one = part(tmp_path, "sh", "-c", "echo its last words; exit 7")

    assert one.tick(now=0.0)
    wait_for_end(one)
    assert one.tick(now=1.0)
    assert one.process is None
    assert not one.tick(now=1.4)
    assert one.tick(now=1.6)
    wait_for_end(one)

    assert one.restarts == 1
    assert "its last words" in one.end_of_log()
    assert "exit code 7" in (tmp_path / "stack.log").read_text()


def test_the_pauses_grow_and_a_long_life_makes_them_short_again(tmp_path: Path) -> None:
    one, now, pauses = part(tmp_path, "true"), 0.0, []
    for life in (1.0, 1.0, 1.0, 1.0, 61.0):
        one.tick(now)
        wait_for_end(one)
        one.tick(now + life)
        died = now + life
        while not one.tick(died):
            died += 0.25
        pauses.append(died - now - life)
        now = died
        wait_for_end(one)
        one.process, one._next = None, now

    assert pauses == [0.5, 1.0, 2.0, 4.0, 0.5]


def test_a_part_dies_with_its_supervisor() -> None:
    """Also when the supervisor is killed and can do nothing about it any more."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(PARENT_DEATH)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = identify(int(parent.stdout.readline()))
        assert child is not None
        until_it_sleeps(child.pid)

        parent.kill()

        assert gone([child], 5.0)


def until_it_sleeps(pid: int) -> None:
    """Wait until the wrapper has become the program."""
    end_at = time.monotonic() + 10
    while b"parent_death" in Path(f"/proc/{pid}/cmdline").read_bytes() and time.monotonic() < end_at:
        time.sleep(0.01)


@pytest.mark.parametrize(("code", "words"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "killed by signal 9")])
def test_an_end_is_told_in_words(code: int, words: str) -> None:
    assert ended_how(code) == words


def test_the_settings_of_another_prefect_are_not_taken_over() -> None:
    """`PREFECT_API_URL` of the caller's shell may point to somebody's production."""
    environment = {"PREFECT_API_URL": "x", "PREFECT_API_KEY": "y", "PYTHONDONTWRITEBYTECODE": "1", "TOKEN": "z"}

    assert inherited(environment) == {"TOKEN": "z", "PYTHONUNBUFFERED": "1"}


@pytest.mark.parametrize(
    ("environment", "direct"),
    [
        ({}, None),
        ({"NO_PROXY": "intern"}, None),
        ({"https_proxy": ""}, None),
        ({"http_proxy": "http://proxy:3128"}, "127.0.0.1,localhost"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".intern"}, ".intern,127.0.0.1,localhost"),
        ({"all_proxy": "socks5://proxy", "no_proxy": "a,b"}, "a,b,127.0.0.1,localhost"),
    ],
)
def test_behind_a_proxy_the_stacks_own_servers_are_asked_directly(
    environment: dict[str, str], direct: str | None
) -> None:
    expected = {} if direct is None else {"no_proxy": direct, "NO_PROXY": direct}

    assert past_proxies(environment) == expected
    assert inherited(environment) == {**environment, **expected, "PYTHONUNBUFFERED": "1"}
