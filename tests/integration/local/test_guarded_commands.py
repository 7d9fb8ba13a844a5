"""Programs that prepare a test: they end when they are to, and none outlives the worker that started it."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.attempts import ROOT, clean_python, gone, pid_in, until

from cli.stack.identity import marked
from cluster.local import environments, git, guarded_command, proc
from cluster.local.environments import Site
from cluster.local.guarded_command import MARK, GuardedCommand, StoppedError

BUILDER = """
import sys
from pathlib import Path
from cluster.local.environments import Site, python_for
venvs, requirements, base = map(Path, sys.argv[1:])
python_for(Site(venvs=venvs), requirements, base)
"""
STARTS_A_DAEMON = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open({note!r}, "w").write(str(child.pid))
time.sleep({seconds})
"""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Requirements whose installation starts a daemon, ignores SIGTERM and takes ten minutes."""
    project = tmp_path / "suite" / "project"
    project.mkdir(parents=True)
    (project / "backend.py").write_text(STARTS_A_DAEMON.format(note=str(tmp_path / "daemon"), seconds=600))
    (project / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        "[project]\nname = 'slow'\ndynamic = ['version']\n"
    )
    (tmp_path / "suite" / "requirements.txt").write_text("./project\n")
    (tmp_path / "nothing.txt").write_text("")
    return tmp_path / "suite" / "requirements.txt"


@contextmanager
def builder(folder: Path, requirements: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Give a worker's process that installs; whatever is left of it is killed at the end."""
    command = [*clean_python(), "-c", BUILDER, str(folder / "venvs"), str(requirements), str(folder / "nothing.txt")]
    environment = {**os.environ, MARK: str(folder)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for identity in marked(MARK, str(folder)):
            os.kill(identity.pid, signal.SIGKILL)


def pids(folder: Path) -> list[int]:
    return [identity.pid for identity in marked(MARK, str(folder))]


def test_nothing_of_an_installation_outlives_a_worker_that_is_killed(tmp_path: Path, slow: Path) -> None:
    with builder(tmp_path, slow) as worker:
        daemon = pid_in(tmp_path / "daemon")
        family = proc.descendants(worker.pid)
        worker.kill()

        until(lambda: all(gone(pid) for pid in [*family, daemon]), "all that it started is gone")

    assert len(family) >= 3  # the keeper, uv, the build


def test_all_of_an_installation_carries_the_mark_of_the_stack(tmp_path: Path, slow: Path) -> None:
    with builder(tmp_path, slow) as worker:
        daemon = pid_in(tmp_path / "daemon")

        assert {*proc.descendants(worker.pid), daemon} <= set(pids(tmp_path))


def test_a_folder_is_nobodys_while_the_installer_of_a_killed_builder_may_write_into_it(
    tmp_path: Path, slow: Path
) -> None:
    """Its keeper is frozen, so that the installer outlives its builder for as long as this test likes."""
    with builder(tmp_path, slow) as worker:
        daemon = pid_in(tmp_path / "daemon")
        guard, *others = proc.descendants(worker.pid)
        os.kill(guard, signal.SIGSTOP)
        worker.kill()
        worker.wait()
        [lock] = (tmp_path / "venvs").glob("*.lock")
        held = _is_locked(lock)
        alive = [pid for pid in others if not gone(pid)]
        os.kill(guard, signal.SIGCONT)

        until(lambda: not _is_locked(lock), "the lock is free")

        assert held
        assert alive
        assert all(gone(pid) for pid in [*others, daemon])


def test_a_keeper_that_is_killed_takes_the_installer_with_it(tmp_path: Path, slow: Path) -> None:
    with builder(tmp_path, slow) as worker:
        pid_in(tmp_path / "daemon")
        guard, installer, *_ = proc.descendants(worker.pid)
        os.kill(guard, signal.SIGKILL)

        until(lambda: gone(installer), "the installer is gone")


def _is_locked(lock: Path) -> bool:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_an_installation_that_is_not_wanted_any_more_is_broken_off(tmp_path: Path, slow: Path) -> None:
    stop = threading.Event()
    site = Site(venvs=tmp_path / "venvs", stopped=stop.is_set)
    with ThreadPoolExecutor(1) as thread:
        building = thread.submit(environments.python_for, site, slow, tmp_path / "nothing.txt")
        daemon = pid_in(tmp_path / "daemon")
        stop.set()

        with pytest.raises(StoppedError):
            building.result(30)
    assert gone(daemon)


def test_who_waits_for_anothers_installation_need_not_wait_for_its_end(tmp_path: Path, slow: Path) -> None:
    with builder(tmp_path, slow) as worker:
        pid_in(tmp_path / "daemon")

        with pytest.raises(StoppedError):
            environments.python_for(
                Site(venvs=tmp_path / "venvs", stopped=lambda: True), slow, tmp_path / "nothing.txt"
            )
        assert worker.poll() is None


def test_a_clone_that_is_not_wanted_any_more_is_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server takes the connection and says nothing."""
    monkeypatch.setenv(MARK, str(tmp_path))  # other children of this process come and go meanwhile
    stop = threading.Event()
    policy = git.Policy(allowed_hosts=frozenset({"localhost"}), stopped=stop.is_set)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as thread:
        url = f"https://localhost:{server.getsockname()[1]}/suite.git"
        cloning = thread.submit(git.clone, url, "main", tmp_path / "work", policy)
        conn, _ = server.accept()
        with conn:
            family = pids(tmp_path)
            stop.set()

            with pytest.raises(StoppedError):
                cloning.result(30)
        assert len(family) >= 3  # the guard, git, its helper
        assert pids(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "wanted"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137), ("pass", 0)]
)
def test_the_exit_code_of_an_errand_is_that_of_its_program(tmp_path: Path, code: str, wanted: int) -> None:
    with tempfile.TemporaryFile() as words:
        errand_ = GuardedCommand(command=(sys.executable, "-c", code), cwd=tmp_path, env={}, words=words)

        assert guarded_command.run(errand_, lambda: None) == wanted


def test_what_cannot_be_started_is_said_in_its_words(tmp_path: Path) -> None:
    with tempfile.TemporaryFile() as words:
        code = guarded_command.run(
            GuardedCommand(command=("no-such-program",), cwd=tmp_path, env={}, words=words), lambda: None
        )
        words.seek(0)

        assert (code, b"could not start 'no-such-program'" in words.read()) == (127, True)


def test_a_program_sees_the_given_environment_and_nothing_on_its_input(tmp_path: Path) -> None:
    code = "import json, os, sys; print(json.dumps([sys.stdin.read(), sorted(os.environ)]))"
    with tempfile.TemporaryFile() as words:
        wanted = GuardedCommand(
            command=(sys.executable, "-I", "-c", code), cwd=tmp_path, env={"LC_ALL": "C.UTF-8", "A": "1"}, words=words
        )
        guarded_command.run(wanted, lambda: None)
        words.seek(0)

        assert json.loads(words.read()) == ["", ["A", "LC_ALL"]]
