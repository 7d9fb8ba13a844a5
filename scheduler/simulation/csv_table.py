"""A CSV file as rows of values, or every problem in it at once, each with its line and column."""

import csv
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, TypeAlias

from model.problems import Finding, InvalidError, Problem

MOST_PROBLEMS = 1000
"""Told of one file; of the others their number."""

Cells: TypeAlias = Mapping[str, Any]
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = frozenset({"nan", "inf", "infinity"})


@dataclass(frozen=True, slots=True)
class Column:
    """How a cell is read; `read` raises ValueError with what is wrong. A cell left empty has the default, if any."""

    read: Callable[[str], Any]
    default: Any = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The values of one line, counted from 1; all columns are there."""

    line: int
    cells: Cells


@dataclass(slots=True)
class Findings:
    """What is wrong with a file, as far as it was read."""

    found: list[Finding] = field(default_factory=list)

    def add(self, message: str, line: int, column: str | None = None) -> None:
        """Note one problem."""
        self.found.append(
            Finding(location=("line", line) if column is None else ("line", line, column), message=message)
        )

    def check(self) -> None:
        """Raise InvalidError if there is any problem."""
        if not self.found:
            return
        problems = [finding.problem() for finding in self.found[:MOST_PROBLEMS]]
        left_out = len(self.found) - len(problems)
        if left_out:
            problems.append(Problem(path="", message=f"{left_out} more problems are not shown"))
        raise InvalidError(problems)


def read_table(text: str, columns: Mapping[str, Column], findings: Findings) -> list[Row]:
    """Return the rows that can be read; what is wrong with the others is added to `findings`."""
    lines = _lines(text.removeprefix("\ufeff"), findings)
    line, names = next(lines, (1, []))
    if not names:
        findings.add(f"the file is empty; its first line names the columns: {', '.join(columns)}", 1)
        return []
    names = [name.strip() for name in names]
    _check_header(names, line, columns, findings)
    reader = _RowReader(names, columns, findings)
    return [row for line, cells in lines if (row := reader.read(line, cells)) is not None]


def _lines(text: str, findings: Findings) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row begins, and its cells. Blank lines are left out."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    begins = 1
    try:
        for cells in reader:
            if cells and any(cell.strip() for cell in cells):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        findings.add(f"no CSV from here on: {error}", begins)


def _check_header(names: list[str], line: int, columns: Mapping[str, Column], findings: Findings) -> None:
    for position, name in enumerate(names):
        if name not in columns:
            findings.add(f"there is no such column; known are {', '.join(columns)}", line, name or "(no name)")
        elif name in names[:position]:
            findings.add("the column is there twice", line, name)
    for name, column in columns.items():
        if column.required and name not in names:
            findings.add("the column is missing", line, name)


class _RowReader:
    """Reads the rows below one header. Equal cells are read once."""

    def __init__(self, names: list[str], columns: Mapping[str, Column], findings: Findings) -> None:
        self.names = names
        self.columns = columns
        self.findings = findings
        self.known = [(position, name, columns[name]) for position, name in enumerate(names) if name in columns]
        self.defaults = {name: column.default for name, column in columns.items()}
        self.memo: dict[str, dict[str, Any]] = {name: {} for name in columns}

    def read(self, line: int, cells: list[str]) -> Row | None:
        if len(cells) != len(self.names):
            self.findings.add(f"{len(cells)} fields, the header has {len(self.names)}", line)
            return None
        values = dict(self.defaults)
        whole = True
        for position, name, column in self.known:
            memo, text = self.memo[name], cells[position]
            if text not in memo:
                try:
                    memo[text] = _value(text.strip(), column)
                except ValueError as error:
                    self.findings.add(str(error), line, name)
                    whole = False
                    continue
            values[name] = memo[text]
        return Row(line=line, cells=values) if whole else None


def _value(text: str, column: Column) -> Any:
    if text:
        return column.read(text)
    if column.required:
        raise ValueError("must not be empty")
    return column.default


def number(least: float, most: float) -> Callable[[str], float]:
    """Return what reads a number within bounds."""

    def read(text: str) -> float:
        if text.lower().lstrip("+-") in _NOT_FINITE:
            raise ValueError(f"must be a finite number, not {text}")
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"must be a number, not {cut(text)}")
        value = float(text)
        if not math.isfinite(value) or not least <= value <= most:
            raise ValueError(f"must be from {least:g} to {most:g}, not {cut(text)}")
        return value

    return read


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number within bounds; `500.0` is one."""
    read_number = number(least, most)

    def read(text: str) -> int:
        value = read_number(text)
        if not value.is_integer():
            raise ValueError(f"must be a whole number, not {cut(text)}")
        return int(value)

    return read


def word(longest: int) -> Callable[[str], str]:
    """Return what reads a name."""

    def read(text: str) -> str:
        if len(text) > longest:
            raise ValueError(f"must have {longest} characters at most, not {len(text)}")
        if not text.isprintable():
            raise ValueError("must hold printable characters only")
        return text

    return read


def cut(text: str) -> str:
    """Return foreign text as it is quoted in a message."""
    return repr(text if len(text) <= 40 else text[:40] + "...")  # noqa: PLR2004  as much as a line bears
