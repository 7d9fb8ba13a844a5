"""Health checks of type command: the real program, and what a worker reads of its output."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from chaos.observed import HealthLook
from cluster.observation.command_looks import CommandLooks
from orchestrator.companions import PROGRAM

PATIENCE = 20.0
NIGHT = f"{90_000 + secrets.randbelow(9_000)}.{secrets.randbelow(10**6)}"
"""Seconds that no other process sleeps."""
SLOW = f"from time import sleep; import subprocess; subprocess.Popen(['sleep', '{NIGHT}']); sleep({NIGHT})"
CHECKS: Mapping[str, tuple[list[str], dict[str, float]]] = {
    "well": (["true"], {}),
    "sick": (["sh", "-c", "echo no room; exit 3"], {}),
    "slow": ([sys.executable, "-c", SLOW], {}),
    "missing": (["/no/such/program"], {}),
    "few": (["echo", "3"], {"above": 4}),
    "many": (["echo", "5"], {"above": 4}),
    "not a number": (["echo", "nan"], {"below": 1}),
    "words": (["echo", "plenty"], {"below": 1}),
    "loud": (["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo 7"], {"below": 7}),
}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run the program, and give the file that it prints to."""
    folder = tmp_path_factory.mktemp("looks")
    looks = [
        {"name": name, "command": words, "interval": 0.2, "timeout": 1.0, **limits}
        for name, (words, limits) in CHECKS.items()
    ]
    (folder / "checks.json").write_text(json.dumps(looks))
    with (folder / "output").open("wb") as sink:
        program = subprocess.Popen([sys.executable, str(PROGRAM), str(folder / "checks.json")], stdout=sink)
    try:
        yield folder / "output"
    finally:
        program.kill()
        program.wait()
        for one in sleeping():  # the backend of a test would end them
            os.kill(one, signal.SIGKILL)


def sleeping() -> list[int]:
    """Return the processes of the slow check."""
    found = subprocess.run(["pgrep", "-f", f"sleep.*{NIGHT}"], capture_output=True, text=True, check=False)
    return [int(one) for one in found.stdout.split()]


def reader(file: Path) -> CommandLooks:
    def read(offset: int, limit: int) -> bytes:
        with file.open("rb") as source:
            source.seek(offset)
            return source.read(limit)

    return CommandLooks(list(CHECKS), read)


@pytest.fixture(scope="module")
def looks(output: Path) -> Mapping[str, Sequence[HealthLook]]:
    """Return what was seen once every check has looked twice."""
    found, until = reader(output), time.monotonic() + PATIENCE

    async def twice() -> None:
        while not found.all_began or min(map(len, found.looks.values())) < 2:
            assert time.monotonic() < until, dict(found.looks)
            await found.read_on()
            await asyncio.sleep(0.1)  # the program tells nobody when it has printed

    asyncio.run(twice())
    return found.looks


@pytest.mark.parametrize(
    ("check", "healthy", "detail"),
    [
        ("well", True, ""),
        ("sick", False, "ended with exit code 3: no room"),
        ("slow", False, "took longer than 1 s"),
        ("missing", False, "cannot be run"),
        ("few", True, "the value is 3"),
        ("many", False, "the value is 5"),
        ("not a number", False, "the value is nan"),
        ("words", False, "printed no number: plenty"),
        ("loud", True, "the value is 7"),
    ],
)
def test_each_check_is_judged_by_exit_code_time_and_limits(
    looks: Mapping[str, Sequence[HealthLook]],
    check: str,
    healthy: bool,  # noqa: FBT001
    detail: str,
) -> None:
    assert {one.healthy for one in looks[check]} == {healthy}
    assert detail in looks[check][0].detail
    assert looks[check][0].at < looks[check][1].at


def test_nothing_of_a_command_that_took_too_long_is_left(looks: Mapping[str, Sequence[HealthLook]]) -> None:
    """But for those of the look that is under way."""
    assert len(looks["slow"]) >= 2
    assert len(sleeping()) <= 2, "the program of the look and what that started"


async def test_half_lines_wait_and_what_is_no_look_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "log"
    line = json.dumps({"check": "well", "at": "2027-01-01T00:00:01+00:00", "healthy": True})
    late = json.dumps({"check": "well", "at": "2027-01-01T00:00:02+00:00", "healthy": False, "detail": "gone"})
    without_zone = line.replace("01+00:00", "03")
    strange = [without_zone, "null", "[1", line.replace("well", "x")]
    file.write_text("\n".join([line, *strange, line, late[:20]]))
    found = reader(file)

    await found.read_on()
    half = [one.healthy for one in found.looks["well"]]
    file.write_text(file.read_text() + late[20:] + "\n")
    await found.read_on()

    assert half == [True], "a time without a zone, another check, and a second look of one moment are none"
    assert [(one.healthy, one.detail) for one in found.looks["well"]] == [(True, ""), (False, "gone")]
    assert found.looks.keys() == {"well"}
