"""Heartbeats of real processes: files, answers, and a part that is stopped."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.stack.console import Console
from cli.stack.heartbeat import (
    DOWN,
    HANGS,
    HANGS_AFTER,
    READY,
    RESTART_AFTER,
    STARTING,
    reply,
    responding,
    touching,
    watch,
)
from cli.stack.identity import identify
from cli.stack.parts import Part, Program
from cli.stack.postgres import Embedded, External, responds
from cli.stack.report import look
from cli.stack.state import PartRecord, StackRecord, StateFolder, this_process
from cluster import heartbeats
from db.embedded import Cluster

BEATS = """
import sys, pathlib
from cluster import heartbeats
heartbeats.beat(pathlib.Path(sys.argv[1]))
print("beaten", flush=True)
sys.stdin.read()
"""


def test_a_heartbeat_names_its_process_and_grows_younger(tmp_path: Path) -> None:
    file = heartbeats.path_of(tmp_path, "worker")
    assert heartbeats.read(file) is None

    heartbeats.beat(file)
    first = heartbeats.read(file)
    os.utime(file, ns=(0, 0))
    heartbeats.beat(file)
    second = heartbeats.read(file)

    assert first is not None
    assert second is not None
    assert first.pid == second.pid == os.getpid()
    assert second.at >= first.at > 0
    assert [file.name for file in file.parent.iterdir()] == ["worker"]


def test_a_process_takes_over_the_file_of_an_earlier_one(tmp_path: Path) -> None:
    file = heartbeats.path_of(tmp_path, "worker")
    heartbeats.beat(file)
    file.write_text("999999999")
    beats = touching(file)
    assert not beats(os.getpid())

    heartbeats.beat(file)

    assert beats(os.getpid())
    assert not beats(os.getpid()), "nothing new since then"


def test_what_another_process_touches_is_no_sign_of_this_one(tmp_path: Path) -> None:
    file = heartbeats.path_of(tmp_path, "worker")
    beats = touching(file)
    heartbeats.beat(file)

    assert not beats(os.getpid() + 1)


@pytest.mark.parametrize(("status", "well"), [("200 OK", True), ("503 Service Unavailable", False)])
def test_any_answer_of_a_server_is_a_heartbeat(status: str, *, well: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/live"
        threading.Thread(target=answer, args=(listener, status, 2), daemon=True).start()

        assert responding(address)(0)
        assert reply(address) is well


def test_a_server_that_accepts_and_is_silent_gives_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert reply(f"http://127.0.0.1:{listener.getsockname()[1]}/live", 0.2) is None


def answer(listener: socket.socket, status: str, times: int) -> None:
    for _ in range(times):
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    program = Program(
        name="part",
        title="a part",
        command=("sleep", "60"),
        environment={"PATH": "/usr/bin:/bin"},
        log=tmp_path / "part.log",
        healthy=lambda: True,
        patience=1.0,
    )
    one = Part(program=program, console=Console(quiet=True, log=tmp_path / "stack.log"))
    yield one
    if one.process is not None:
        one.process.kill()
        one.process.wait()


def test_a_part_that_is_stopped_is_killed_after_30_seconds_and_started_again(part: Part, tmp_path: Path) -> None:
    """In virtual time; the process is real."""
    part.tick(0.0)
    part.judge(0.0)
    assert part.state == STARTING
    assert part.process is not None
    assert part.identity is not None
    part.pulse.beat(part.identity, 1.0)
    part.judge(1.0)
    assert part.state == READY
    part.process.send_signal(signal.SIGSTOP)

    assert part.judge(1.0 + HANGS_AFTER) == HANGS_AFTER
    assert part.state == HANGS
    part.judge(1.0 + RESTART_AFTER - 0.1)
    assert part.process.poll() is None
    part.judge(1.0 + RESTART_AFTER)
    part.judge(1.2 + RESTART_AFTER)
    part.process.wait(10)
    part.tick(2.0 + RESTART_AFTER)
    part.judge(2.0 + RESTART_AFTER)
    assert part.state == DOWN
    part.tick(3.0 + RESTART_AFTER)
    part.judge(3.0 + RESTART_AFTER)

    assert part.state == STARTING
    assert part.restarts == 1
    said = (tmp_path / "stack.log").read_text()
    assert said.count("killed, no heartbeat for 30 s") == 1
    assert "hangs, no heartbeat for 10 s" in said


def test_a_part_that_goes_on_is_left_alone(part: Part, tmp_path: Path) -> None:
    part.tick(0.0)
    assert part.identity is not None
    part.pulse.beat(part.identity, 0.0)
    part.judge(HANGS_AFTER)
    part.pulse.beat(part.identity, HANGS_AFTER + 1)

    part.judge(HANGS_AFTER + 2)

    assert part.state == READY
    assert "works again" in (tmp_path / "stack.log").read_text()


def test_a_sign_that_was_asked_of_an_earlier_process_does_not_count(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer may come when the next process has begun."""
    monkeypatch.setattr("cli.stack.heartbeat.INTERVAL", 0.01)
    part.tick(0.0)
    stopping, asked_again, old = threading.Event(), threading.Event(), part.identity
    assert old is not None

    def replaced_meanwhile(_pid: int) -> bool:
        if part.identity != old:
            asked_again.set()
            return False
        part.identity = replace(old, start_time=old.start_time + 1)
        return True

    watch(replaced_meanwhile, lambda: part.identity, part.pulse, stopping)
    assert asked_again.wait(10)
    stopping.set()

    assert part.pulse.silence(old, 0.0) is None


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    one = Cluster(tmp_path / "postgres", durable=False)
    one.start()
    yield one
    one.remove()


def test_a_postgresql_that_is_stopped_answers_nobody_and_still_ends_in_order(cluster: Cluster) -> None:
    postgres = Embedded(cluster.folder)
    url, pid = cluster.url("postgres"), cluster.pid
    assert pid is not None
    assert responds(url)

    os.kill(pid, signal.SIGSTOP)
    assert not responds(url)
    assert cluster.alive()
    postgres.stop()

    assert not cluster.alive()
    assert not responds(url)
    assert "received fast shutdown request" in cluster.log.read_text()


def test_a_refusal_is_an_answer(cluster: Cluster) -> None:
    assert responds(cluster.url("none_such"))
    assert External(cluster.url("none_such")).responds()


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(path=tmp_path / "state")
    made.prepare()
    return made


def test_a_supervisor_and_a_worker_that_are_silent_hang_since_their_last_heartbeat(folder: StateFolder) -> None:
    """Judged by the command itself: a supervisor that hangs can judge nobody."""
    command = [sys.executable, "-c", BEATS, str(heartbeats.path_of(folder.path, "a-worker"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"beaten\n"
        part = PartRecord(name="worker", identity=identify(worker.pid), state=READY)
        folder.write(StackRecord(supervisor=this_process(), phase="ready", parts=(part,)))
        assert [one.state for one in look(folder).parts] == [STARTING, READY]
        heartbeats.beat(heartbeats.path_of(folder.path, "supervisor"))
        assert look(folder).well

        for name in ("supervisor", "a-worker"):
            os.utime(heartbeats.path_of(folder.path, name), (1_700_000_000, 1_700_000_000))
        report = look(folder)
        worker.kill()

    assert report.phase == "degraded"
    assert not report.well
    assert {(one.name, one.state, one.since) for one in report.parts} == {
        ("supervisor", HANGS, "2023-11-14T22:13:20+00:00"),
        ("worker", HANGS, "2023-11-14T22:13:20+00:00"),
    }
    assert next(one.state for one in look(folder).parts if one.name == "worker") == DOWN


def test_the_judgement_of_the_supervisor_on_postgresql_is_shown(folder: StateFolder) -> None:
    heartbeats.beat(heartbeats.path_of(folder.path, "supervisor"))
    hangs = PartRecord(name="postgres", identity=this_process(), state=HANGS, since=1_700_000_000.0)
    folder.write(StackRecord(supervisor=this_process(), phase="ready", parts=(hangs,)))

    report = look(folder)

    assert (report.phase, report.parts[1].state) == ("degraded", HANGS)
    assert report.parts[1].since == "2023-11-14T22:13:20+00:00"
