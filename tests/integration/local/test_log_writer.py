"""What the shim keeps of a test's output: lines cut, the whole cut, and each cut said."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.local import log_writer
from cluster.local.log_writer import NOTE_ROOM, Log

LINE = 8
NOTICE = f" [assay: line cut at {LINE} bytes]".encode()


def kept(chunks: list[bytes], limit: int = 10_000, line: int = LINE) -> tuple[bytes, Log]:
    with tempfile.TemporaryDirectory() as folder:
        log = Log(f"{folder}/output.log", limit, line)
        for chunk in chunks:
            for start in range(0, len(chunk), log.chunk):
                log.take(chunk[start : start + log.chunk])
        return Path(f"{folder}/output.log").read_bytes(), log


def cut(line: bytes) -> bytes:
    return line if len(line) <= LINE else line[:LINE] + NOTICE


@given(st.lists(st.lists(st.sampled_from([b"a", b"\n", b"bcdefgh", b"\xff" * 3])).map(b"".join), max_size=10))
def test_each_line_is_cut_on_its_own_however_it_arrives(chunks: list[bytes]) -> None:
    data, log = kept(chunks)

    lines = b"".join(chunks).split(b"\n")
    assert data == b"\n".join(cut(line) for line in lines)
    assert log.truncated == any(len(line) > LINE for line in lines)


@given(st.integers(NOTE_ROOM, 5_000), st.lists(st.integers(0, 900), max_size=12))
def test_the_whole_never_exceeds_its_limit_and_says_when_it_was_cut(limit: int, sizes: list[int]) -> None:
    data, log = kept([b"x" * size for size in sizes], limit=limit, line=1_000_000)

    assert len(data) <= limit
    assert log.truncated == (sum(sizes) > limit - NOTE_ROOM)
    assert log.truncated == data.endswith(f"[assay: output cut at {limit} bytes, the rest is not kept]\n".encode())


def test_a_note_begins_a_line_of_its_own() -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Log(f"{folder}/output.log", 10_000, 100)
        log.take(b"half a line")
        log.note("time limit reached")
        log.note("again")

        assert Path(f"{folder}/output.log").read_bytes() == (
            b"half a line\n[assay: time limit reached]\n[assay: again]\n"
        )


def test_a_full_disk_costs_the_log_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int, _data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(log_writer.os, "write", full)

    data, log = kept([b"lost"])

    assert data == b""
    assert log.truncated
