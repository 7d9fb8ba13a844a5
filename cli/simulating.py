"""Runs simulations: reads the files, simulates, and writes tables and a picture."""

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
from scheduler.simulation.report import SimulationReport
from scheduler.simulation.simulate import simulate
from scheduler.simulation.trace import TraceRun, read_nodes, read_trace
from scheduler.values.node import Node
from scheduler.values.pool import PoolSettings, Profile, Strategy, profile_named

LONGEST = 1e9
"""Seconds; longer than any trace."""
REDRAW = 0.2
"""Seconds between two updates of the progress."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The content of both files."""

    trace: tuple[TraceRun, ...]
    nodes: tuple[Node, ...]


def strategies(names: Sequence[str], *, every: bool) -> tuple[Strategy, ...]:
    """Return the strategies with these names; all with `every`, PRIORITY without a name."""
    unknown = [name for name in names if name.upper() not in Strategy.__members__]
    if unknown:
        raise UsageError(f"--strategy {unknown[0]}: choose one of {', '.join(Strategy)}")
    chosen = tuple(dict.fromkeys(Strategy[name.upper()] for name in names))
    return tuple(Strategy) if every else chosen or (Strategy.PRIORITY,)


def profile(name: str) -> Profile:
    """Return the profile with this name. Raises: UsageError."""
    try:
        return profile_named(name)
    except ValueError as error:
        raise UsageError(f"--profile: {error}") from error


def ageing(seconds: float) -> timedelta:
    """Return the ageing limit, shortened to what no trace reaches."""
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
    """Return a sort key: the order of the file, with problems of no line at the end."""
    line = re.search(r"\.line\[(\d+)\]", problem.path)
    return (int(line[1]) if line else sys.maxsize, problem.path)


def collect_seldom() -> None:
    """Let Python collect garbage less often: a simulation makes no cycles, and collecting takes a fifth of its time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def run(given: Given, limits: PoolSettings, chosen: Sequence[Strategy]) -> list[SimulationReport]:
    """Simulate each strategy, with a line of progress on a terminal."""
    found = []
    collect_seldom()
    for strategy in chosen:
        progress = _Progress(str(strategy), len(given.trace))
        found.append(simulate(given.trace, given.nodes, replace(limits, strategy=strategy), progress.tell))
        progress.clear()
    return found


class _Progress:
    """One line on stderr that is drawn again in place; nothing if stderr is not a terminal."""

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
        """Remove the line."""
        if self.shown:
            self._write("")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def writable(*paths: Path | None) -> None:
    """Check, before a long simulation, that the files can be written. Raises: UsageError."""
    for path in paths:
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise UsageError(f"{path} cannot be written: name a file in an existing folder")


def write(reports: Sequence[SimulationReport], title: str, *, plot: Path | None, report: Path | None) -> None:
    """Write the picture and the Markdown, if requested."""
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
    """Show the tables. If stdout is not a terminal, the first line names the strategies."""
    for number, table in enumerate(simulation.tables(reports)):
        if sys.stdout.isatty():
            output.data(("\n" if number else "") + table.title)
            output.table(table.headings, table.rows)
        else:
            output.table(table.headings, [table.headings, *table.rows] if number == 0 else table.rows)
    left = sum(each.runs for each in reports[0].unplaced)
    if left:
        output.say(f"{left} of {reports[0].runs} runs could never start: they fit on no node")
