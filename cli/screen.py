"""Pictures of runs that are watched: drawn in place on a terminal, lines elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from cli.output import STATUS_STYLE, printable, say, span
from cli.words import TERMINAL, Overall, by_status, describe, fraction, overall

ECHO = 3
"""Columns that stay free at the right: the terminal writes ^C there, and would otherwise wrap the line."""
QUIET_SECONDS = 15.0
"""Without a terminal, a line is written at least this often: some CI systems end a job that says nothing."""
_WIDE = 97
_ID_WIDTH, _STATUS_WIDTH, _BAR_WIDTH, _LEAST_BAR = 8, 9, 20, 4
_LEAST_ROWS = 3


def drawn() -> bool:
    """Return whether the watcher's last picture stays on the screen to which the verdicts would be written."""
    return sys.stderr.isatty() and sys.stdout.isatty()


def picture() -> "Screen | Lines":
    """Return what shows watched runs on this stderr."""
    return Screen() if sys.stderr.isatty() else Lines()


def now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)  # noqa: TID251  a command is its own wiring


@dataclass(slots=True)
class Lines:
    """Writes a line for each change, and the sum of all runs when nothing has changed for a while."""

    clock: Callable[[], float] = time.monotonic
    last: dict[str, str] = field(default_factory=dict)
    said_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def show(self, runs: Sequence[Any]) -> None:
        """Write which runs changed their state since the last call."""
        changed = [run for run in runs if self._changed(run)]
        for run in changed:
            say(f"{run['shortId']}  {run['name']}  {run['status']}  {describe(run)}")
        if self.said_at is None or changed:
            self.said_at = self.clock()
        elif self.clock() - self.said_at >= QUIET_SECONDS:
            say(_sum_in_a_line(runs))
            self.said_at = self.clock()

    def _changed(self, run: Any) -> bool:
        state = f"{run['status']} {run['phase']} {run['waitReason']}"
        if self.last.get(run["executionId"]) == state:
            return False
        self.last[run["executionId"]] = state
        return True


def _sum_in_a_line(runs: Sequence[Any]) -> str:
    summed = overall(runs, now())
    if len(runs) == 1:
        left = "" if summed.left_seconds is None else f", about {span(summed.left_seconds)} left"
        return f"{runs[0]['shortId']}  {runs[0]['name']}  {runs[0]['status']}  {describe(runs[0])}{left}"
    return str(summed)


class Screen:
    """Draws a table again in place, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  only a terminal pays for it
        from rich.live import Live  # noqa: PLC0415

        self._live = Live(console=Console(stderr=True), refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, runs: Sequence[Any]) -> None:
        """Draw the present state of the runs, in no more lines than the terminal has."""
        from rich.console import Group  # noqa: PLC0415  only a terminal pays for it
        from rich.constrain import Constrain  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        console = self._live.console
        chosen = choose(runs, max(_LEAST_ROWS, console.height - 3))
        width = console.width - ECHO
        parts: list[Any] = [_table(chosen.shown, width)]
        if chosen.hidden:
            parts.append(Text(_hidden_words(chosen.hidden), style="dim", no_wrap=True, overflow="ellipsis"))
        summed = overall(runs, now())
        if len(runs) > 1:
            parts.append(_total(summed, width))
        elif summed.left_seconds is not None:
            parts.append(Text(f"about {span(summed.left_seconds)} left", style="bold"))
        self._live.update(Constrain(Group(*parts), width))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The runs that are drawn, in order, and those for which there is no row."""

    shown: tuple[Any, ...]
    hidden: tuple[Any, ...] = ()


def choose(runs: Sequence[Any], rows: int) -> Chosen:
    """Choose the runs to draw in `rows` rows: all in their order if they fit.

    Otherwise those that failed come first, then those that run, then those that wait, then those that passed. Failures
    leave half of the rows to runs that are alive. The last row is needed for the number of those that are hidden.
    """
    if len(runs) <= rows:
        return Chosen(shown=tuple(runs))
    room = rows - 1
    groups: list[list[Any]] = [[], [], [], []]
    for run in runs:
        groups[_rank(run)].append(run)
    failed, running, waiting, passed = groups
    alive = min(len(running) + len(waiting), room // 2)
    shown = failed[: room - alive]
    for group in (running, waiting, passed[::-1], failed[len(shown) :]):
        shown = [*shown, *group[: room - len(shown)]]
    names = {run["executionId"] for run in shown}
    return Chosen(shown=tuple(shown), hidden=tuple(run for run in runs if run["executionId"] not in names))


def _rank(run: Any) -> int:
    if run["status"] == "completed":
        return 3
    if run["status"] in TERMINAL:
        return 0
    return 1 if run["status"] == "running" else 2


def _hidden_words(hidden: Sequence[Any]) -> str:
    return f"and {len(hidden)} more: {by_status(Counter(run['status'] for run in hidden))}"


def _table(runs: Sequence[Any], width: int) -> Any:
    from rich.progress_bar import ProgressBar  # noqa: PLC0415  only a terminal pays for it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for wide in _widths(runs, width):
        table.add_column(no_wrap=True, overflow="ellipsis", width=wide)
    for run in runs:
        bar = ProgressBar(total=100, completed=100 * fraction(run), width=_BAR_WIDTH)
        table.add_row(
            Text(run["shortId"], style="dim"),
            Text(printable(run["name"])),
            Text(run["status"], style=STATUS_STYLE.get(run["status"], "")),
            *([bar] if width >= _WIDE else []),
            Text(printable(describe(run))),
        )
    return table


def _widths(runs: Sequence[Any], width: int) -> Sequence[int]:
    """Return the widths of the columns: id, name, status, bar, and words for the rest. A space is between them.

    A narrow terminal has no bars of single runs: the words have their numbers.
    """
    name = min(max((len(run["name"]) for run in runs), default=0), max(12, width // 4))
    known = [_ID_WIDTH, name, _STATUS_WIDTH, *([_BAR_WIDTH] if width >= _WIDE else [])]
    return [*known, max(1, width - sum(known) - len(known))]


def _total(summed: Overall, width: int) -> Any:
    from rich.progress_bar import ProgressBar  # noqa: PLC0415  only a terminal pays for it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    words = Text(str(summed), style="bold", no_wrap=True, overflow="ellipsis")
    bar = min(_BAR_WIDTH, width - len(words) - 1)
    if bar < _LEAST_BAR:
        return words
    line = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    line.add_column(no_wrap=True, width=bar)
    line.add_column(no_wrap=True)
    line.add_row(ProgressBar(total=100, completed=100 * summed.done, width=bar), words)
    return line
