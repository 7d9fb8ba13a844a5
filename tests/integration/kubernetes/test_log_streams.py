"""The logs of keepers are followed in one thread; a piece that does not continue its file is left out."""

import threading
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.api_server import Answer, Server

from cluster.kubernetes import log_streams
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.log_streams import LogStreams
from cluster.kubernetes.spool import Spool

PATIENCE = 20.0
PATH = "/api/v1/namespaces/tests/pods/p"
USAGE = {"memory_bytes": 7, "peak_memory_bytes": 9, "cpu_seconds": 1.5, "processes": 2}


def piece(at: int, text: str, file: str = "output") -> dict[str, Any]:
    return {"file": file, "at": at, "data": b64encode(text.encode()).decode()}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_pieces_are_written_where_they_belong(server: Server, connection: Connection, tmp_path: Path) -> None:
    server.answers = [Answer(lines=(piece(0, "one\n"), piece(4, "two\n"), piece(0, "{}", "live"), {"usage": USAGE}))]
    streams, spool = LogStreams(connection), Spool(folder=tmp_path / "a")

    followed = streams.follow(PATH, spool)
    until(lambda: followed.usage is not None)
    streams.close()

    assert spool.files.output.read_text() == "one\ntwo\n"
    assert (spool.files.results / "results.jsonl").read_text() == "{}"
    assert not followed.missed
    assert server.asked[0] == f"GET {PATH}/log?container=keeper&follow=true"


def test_a_stream_that_broke_off_is_followed_anew_and_nothing_is_written_twice(
    server: Server, connection: Connection, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(log_streams, "PAUSE", 0.05)
    whole = (piece(0, "one\n"), piece(4, "two\n"), piece(8, "three\n"))
    server.answers = [Answer(lines=whole[:1], cut=True), Answer(status=503), Answer(lines=whole)]
    streams, spool = LogStreams(connection), Spool(folder=tmp_path / "a")

    followed = streams.follow(PATH, spool)
    until(lambda: spool.make().output.exists() and len(spool.files.output.read_bytes()) == 14)
    streams.close()

    assert spool.files.output.read_text() == "one\ntwo\nthree\n"
    assert not followed.missed


def test_what_is_missing_is_noted_and_not_made_up(server: Server, connection: Connection, tmp_path: Path) -> None:
    server.answers = [Answer(lines=(piece(0, "one\n"), piece(9, "three\n"), {"usage": USAGE}))]
    streams, spool = LogStreams(connection), Spool(folder=tmp_path / "a")

    followed = streams.follow(PATH, spool)
    until(lambda: followed.usage is not None)
    streams.close()

    assert (followed.missed, followed.lacks) == (True, True)
    assert spool.files.output.read_text() == "one\n"


def test_lines_that_no_keeper_prints_are_left_out(server: Server, connection: Connection, tmp_path: Path) -> None:
    strange = (
        {"file": "../../etc/passwd", "at": 0, "data": "eA=="},
        {"file": "output", "at": -5, "data": "eA=="},
        {"file": "output", "at": 0, "data": "no base64"},
        {"file": "output", "at": 10**30, "data": "eA=="},
        {"usage": "much"},
        [],
        "words",
    )
    server.answers = [Answer(lines=(*strange, piece(0, "one\n"), {"usage": USAGE}))]
    streams, spool = LogStreams(connection), Spool(folder=tmp_path / "a")

    followed = streams.follow(PATH, spool)
    until(lambda: followed.usage is not None)
    streams.close()

    assert spool.files.output.read_text() == "one\n"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["kubeconfig", "lock", "output.log"]


def test_the_log_of_a_pod_that_is_gone_is_asked_for_once(
    server: Server, connection: Connection, tmp_path: Path, monkeypatch: Any
) -> None:
    """Nobody forgets it where another worker has taken the run over."""
    monkeypatch.setattr(log_streams, "PAUSE", 0.01)
    server.answers = [Answer(status=404)]
    streams = LogStreams(connection)

    followed = streams.follow(PATH, Spool(folder=tmp_path / "a"))
    until(lambda: followed.over)
    again = streams.follow(f"{PATH}-other", Spool(folder=tmp_path / "b"))
    until(lambda: again.over)
    streams.close()

    assert len(server.asked) == 2


def test_many_logs_are_followed_in_one_thread(server: Server, connection: Connection, tmp_path: Path) -> None:
    server.answers = [Answer(lines=(piece(0, "one\n"), {"usage": USAGE}))]
    streams = LogStreams(connection)
    before = {thread.name for thread in threading.enumerate()}

    followed = [streams.follow(f"{PATH}{number}", Spool(folder=tmp_path / str(number))) for number in range(50)]
    until(lambda: all(one.usage is not None for one in followed))
    added = [t.name for t in threading.enumerate() if t.name not in before and t.name.startswith("assay-")]
    streams.close()

    assert added == ["assay-logs"]
    assert not any(one.missed for one in followed)


def test_a_log_that_is_forgotten_is_followed_no_longer(server: Server, connection: Connection, tmp_path: Path) -> None:
    server.answers = [Answer(lines=(piece(0, "one\n"), {"usage": USAGE}))]
    streams = LogStreams(connection)
    followed = streams.follow(PATH, Spool(folder=tmp_path / "a"))
    until(lambda: followed.usage is not None)

    streams.forget(PATH)
    again = streams.follow(PATH, Spool(folder=tmp_path / "a"))
    until(lambda: again.usage is not None)
    streams.close()

    assert again is not followed
    assert followed.over
