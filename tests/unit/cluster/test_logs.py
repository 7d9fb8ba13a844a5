"""The log has each byte of its source once, masked, whoever was killed wherever, and however the source grew."""

import contextlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import logs
from cluster.logs import LogStore
from cluster.secrets import Mask
from model.ids import ExecutionId

RUN = ExecutionId(UUID(int=7))
SECRETS = ["sesame-open", "open-sesame", "aaaaaaaa", "cat"]
PIECES = st.sampled_from(
    [b"sesame-", b"open", b"-sesame", b"a" * 5, b"cat", b" ", b"\n", b"concat", b"\xff\x00", b"ses", b"x"]
)
SOURCES = st.lists(PIECES, max_size=40).map(b"".join)


class KilledError(BaseException):
    """The worker dies here."""


class Pen:
    """Writes as the system does: sometimes less than asked for; and dies after a given number of bytes."""

    def __init__(self, allowed: int) -> None:
        self.left = allowed

    def __call__(self, sink: int, data: bytes) -> int:
        done = os_write(sink, data[: max(0, min(self.left, 3))]) if self.left else self.die()
        self.left -= done
        return done

    def die(self) -> NoReturn:
        raise KilledError


os_write = logs.os.write


@given(SOURCES, st.lists(st.integers(0, 120), max_size=12), st.lists(st.integers(0, 60), max_size=12))
def test_the_log_is_the_masked_source_however_often_its_writer_is_killed(
    source: bytes, grown: list[int], deaths: list[int]
) -> None:
    """At each look the source has grown, and the writer dies after some bytes; in the end all is there."""
    mask = Mask(SECRETS)
    expected = mask.whole(source)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path, store = Path(folder) / "output.log", LogStore(Path(folder) / "logs", window=16)
        for length, allowed in zip(sorted(grown), deaths, strict=False):
            path.write_bytes(source[:length])
            patch.setattr(logs.os, "write", Pen(allowed))
            with contextlib.suppress(KilledError):
                store.append_from(path, RUN, 1, mask)
            sofar = store.read(RUN, 0, 10_000)
            assert expected.startswith(sofar)
        patch.setattr(logs.os, "write", os_write)
        path.write_bytes(source)
        store.append_from(path, RUN, 1, mask, final=True)
        store.append_from(path, RUN, 1, mask, final=True)

        assert store.read(RUN, 0, 10_000) == expected


@given(SOURCES, st.integers(0, 200))
def test_nothing_of_a_secret_is_shown_before_it_is_whole(source: bytes, length: int) -> None:
    mask = Mask(SECRETS)

    shown = mask.part(source[:length], 0, final=False)

    assert mask.whole(source).startswith(shown)


@given(SOURCES, st.integers(0, 200))
def test_what_is_held_back_is_never_more_than_a_secret(source: bytes, length: int) -> None:
    mask = Mask(SECRETS)
    source = source[:length]

    shown = mask.part(source, 0, final=False)

    assert len(source) - len(shown) <= mask.reach


def test_a_log_without_a_secret_in_sight_is_shown_at_once(tmp_path: Path) -> None:
    (tmp_path / "output.log").write_bytes(b"working on it")
    store = LogStore(tmp_path / "logs")

    assert store.append_from(tmp_path / "output.log", RUN, 1, Mask(["sesame-open"])) == len(b"working on it")


def test_attempts_follow_each_other_in_one_log(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "logs")
    for attempt, text in ((1, "first\n"), (2, "second\n")):
        source = tmp_path / f"{attempt}.log"
        source.write_text(text)
        store.append_from(source, RUN, attempt, final=True)
        source.write_text(text * 2)
        store.append_from(source, RUN, attempt, final=True)

    assert store.read(RUN, 0, 1000) == b"first\nfirst\nsecond\nsecond\n"
    assert store.read(RUN, 6, 8) == b"first\nse"
    assert store.size(RUN) == 26


def test_an_older_attempt_adds_nothing_any_more(tmp_path: Path) -> None:
    """A worker that lost the run, and does not know it yet, still carries the log of the attempt it saw."""
    store = LogStore(tmp_path / "logs")
    (tmp_path / "1.log").write_text("one")
    (tmp_path / "2.log").write_text("two")
    store.append_from(tmp_path / "1.log", RUN, 1)
    store.append_from(tmp_path / "2.log", RUN, 2)
    (tmp_path / "1.log").write_text("one and more")

    assert store.append_from(tmp_path / "1.log", RUN, 1) == 0
    assert store.read(RUN, 0, 100) == b"onetwo"


def test_writers_at_the_same_time_write_each_byte_once(tmp_path: Path) -> None:
    source = tmp_path / "output.log"
    source.write_bytes(bytes(range(256)) * 4000)
    stores = [LogStore(tmp_path / "logs", window=1000) for _ in range(4)]

    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(lambda store: store.append_from(source, RUN, 1, final=True), stores))

    assert sum(taken) == source.stat().st_size
    assert stores[0].read(RUN, 0, 10**7) == source.read_bytes()


def test_a_run_without_a_log_has_an_empty_one(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "logs")

    assert store.append_from(tmp_path / "nothing.log", RUN, 1) == 0
    assert store.read(ExecutionId(uuid4()), 0, 10) == b""
    assert store.size(ExecutionId(uuid4())) == 0


def test_a_link_in_place_of_the_output_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "output.log").symlink_to("/etc/passwd")

    with pytest.raises(OSError, match="symbolic"):
        LogStore(tmp_path / "logs").append_from(tmp_path / "output.log", RUN, 1)
