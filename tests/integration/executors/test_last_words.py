"""What a tool said last, out of whatever it wrote."""

import os
from pathlib import Path

import pytest

from executors.last_words import LONGEST, last_words


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"one\ntwo\n\n", "two"),
        (b"ERROR: usage\nmain(): error: unrecognized arguments: --cov\n  rootdir: /x\n", "--cov"),
        (b"npm: not found\nbye\n", "npm: not found"),
        (b"\x1b[31mfatal: no\x1b[0m\n", "fatal: no"),
        (b"\xff\x00\n", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
        (b"line\n" * 100_000 + b"the last\n", "the last"),
    ],
)
def test_the_last_line_that_speaks_of_an_error_or_else_the_last(tmp_path: Path, written: bytes, expected: str) -> None:
    output = tmp_path / "output.log"
    output.write_bytes(written)

    said = last_words(output)

    assert said.endswith(expected)
    assert bool(said) == bool(expected)


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    output = tmp_path / "output.log"
    output.write_bytes(b"x" * 10_000)

    assert len(last_words(output)) == LONGEST


def test_what_is_no_file_says_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert [last_words(tmp_path / name) for name in ("missing", "pipe", ".")] == ["", "", ""]
