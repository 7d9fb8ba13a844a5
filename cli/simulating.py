"""Simulations on this machine: files in, tables and a picture out."""

import gc
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from cli import output
from cli.failure import RefusedError, UsageError
from model.problems import InvalidError, Problem
from reports import simulation
from reports.simulation_svg import svg
from scheduler.node import Node
from scheduler.pool import Limits, Strategy
from scheduler.profile import Profile, named
from scheduler.simulation import simulate
from scheduler.simulation_report import SimulationReport
from scheduler.trace import TraceRun, read_nodes, read_trace

LONGEST = 1e9
"""Seconds; what no trace reaches."""
REDRAW = 0.2
"""Seconds between two looks at the progress."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What both files say."""

    trace: tuple[TraceRun, ...]
    nodes: tuple[Node, ...]


def strategies(names: Sequence[str], *, every: bool) -> tuple[Strategy, ...]:
    """Return the strategies of these names, all for `every`, PRIORITY for none."""
    unknown = [name for name in names if name.upper() not in Strategy.__members__]
    if unknown:
        raise UsageError(f"--strategy {unknown[0]}: choose one of {', '.join(Strategy)}")
    chosen = tuple(dict.fromkeys(Strategy[name.upper()] for name in names))
    return tuple(Strategy) if every else chosen or (Strategy.PRIORITY,)


def profile(name: str) -> Profile:
    """Return the profile of this name."""
    try:
        return named(name)
    except ValueError as error:
        raise UsageError(f"--profile: {error}") from error


def ageing(seconds: float) -> timedelta:
    """Return the ageing limit; what is longer than any trace is as good as none."""
    if math.isnan(seconds):
        raise UsageError("--ageing-limit: must be a number of seconds")
    return timedelta(seconds=min(seconds, LONGEST))


def read(trace: Path, nodes: Path) -> Given:
    """Read both files. Raises: RefusedError with all problems of both, each with file, line and column."""
    problems: list[Problem] = []
    runs = _read(trace, read_trace, problems)
    pool = _read(nodes, read_nodes, problems)
    if runs is None or pool is None:
        count = len(problems)
        raise RefusedError(400, f"the files have {count} problem{'' if count == 1 else 's'}", problems)
    return Given(trace=runs, nodes=pool)


def _read(path: Path, parse: Callable[[str], Value], problems: list[Problem]) -> Value | None:
    try:
        return parse(path.read_bytes().decode())
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(path=str(path), message=f"cannot be read: {error}"))
        return None
    except InvalidError as error:
        problems += sorted(error.under(str(path)).problems, key=_by_line)
        return None


def _by_line(problem: Problem) -> tuple[int, str]:
    """Sort as in the file; what belongs to no line comes last."""
    line = re.search(r"\.line\[(\d+)\]", problem.path)
    return (int(line[1]) if line else sys.maxsize, problem.path)


def collect_seldom() -> None:
    """Let Python look for cyclic garbage less often: a simulation makes none, and looking takes a fifth of its time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def run(given: Given, limits: Limits, chosen: Sequence[Strategy]) -> list[SimulationReport]:
    """Simulate under each strategy, with a line of progress on a terminal."""
    found = []
    collect_seldom()
    for strategy in chosen:
        progress = _Progress(str(strategy), len(given.trace))
        found.append(simulate(given.trace, given.nodes, replace(limits, strategy=strategy), progress.tell))
        progress.clear()
    return found


class _Progress:
    """One line on stderr, drawn over itself; nothing where stderr is no terminal."""

    def __init__(self, name: str, runs: int) -> None:
        self.name = name
        self.runs = runs
        self.shown = sys.stderr.isatty()
        self.next = monotonic() + REDRAW

    def tell(self, ended: int) -> None:
        """Show how many runs have ended."""
        if self.shown and monotonic() >= self.next:
            self.next = monotonic() + REDRAW
            self._write(f"{self.name}: {ended:,} of {self.runs:,} runs ({ended / self.runs:.0%})")

    def clear(self) -> None:
        """Take the line away."""
        if self.shown:
            self._write("")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def writable(*paths: Path | None) -> None:
    """Look whether what is asked for can be written, before a long simulation. Raises: UsageError."""
    for path in paths:
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise UsageError(f"{path} cannot be written: name a file in a folder that is there")


def write(reports: Sequence[SimulationReport], title: str, *, plot: Path | None, report: Path | None) -> None:
    """Write the picture and the Markdown, where asked for."""
    if plot is not None:
        _write(plot, svg(reports, title))
    if report is not None:
        _write(report, simulation.as_markdown(reports))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error}") from error
    output.say(f"wrote {path}")


def as_raw(reports: Sequence[SimulationReport]) -> dict[str, Any]:
    """Return all reports for JSON."""
    return {"simulations": [simulation.as_raw(report) for report in reports]}


def show(reports: Sequence[SimulationReport]) -> None:
    """Show the tables; elsewhere than on a terminal the first line names the strategies."""
    for number, table in enumerate(simulation.tables(reports)):
        if sys.stdout.isatty():
            output.data(("\n" if number else "") + table.title)
            output.table(table.headings, table.rows)
        else:
            output.table(table.headings, [table.headings, *table.rows] if number == 0 else table.rows)
    left = sum(each.runs for each in reports[0].unplaced)
    if left:
        output.say(f"{left} of {reports[0].runs} runs could never start: no node can hold them")
