"""Tables on terminals: what is copied is never folded, and what matters least goes first."""

import re
import sys
from typing import Any

import pytest

from cli.output import table

HEADINGS = ("place", "run", "user", "at", "reason")
ROW = ("1", "8197c4db", "local", "2026-11-24 03:31:22", "needs 64000m CPU; the largest node has 2000m CPU")


class Terminal:
    """A stream that says that it is a terminal."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def drawn(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stdout", Terminal(sys.stdout))
    table(HEADINGS, [ROW], spare=("user",))
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


@pytest.mark.parametrize(("width", "headings"), [(100, HEADINGS), (60, ("place", "run", "at", "reason"))])
def test_a_spare_column_is_left_out_where_the_text_needs_the_room(
    width: int, headings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *rows = drawn(width, monkeypatch, capsys)

    assert tuple(first.split()) == headings
    assert all(whole in rows[0] for whole in ("8197c4db", "2026-11-24 03:31:22"))
    assert max(map(len, rows)) <= width


def test_on_the_narrowest_terminal_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = "".join(drawn(24, monkeypatch, capsys)).replace(" ", "")

    assert all(letter in written for letter in "8197c4db")
    assert sum(character.isalnum() for character in written) >= sum(c.isalnum() for c in "".join(ROW)) - len("local")


def test_a_table_without_rows_is_drawn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal(sys.stdout))

    table(HEADINGS, [])

    assert "reason" in capsys.readouterr().out
