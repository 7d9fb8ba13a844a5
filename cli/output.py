"""Output: data to stdout, messages to stderr; tables on a terminal, plain lines elsewhere, JSON on request."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

Row: TypeAlias = Sequence[object]

GAP = 2
ID_WIDTH, MOMENT_WIDTH = 10, 19
"""Widths on a terminal: of columns with ids, numbers and states; of columns with a time."""
READABLE, LEAST = 20, 8
"""Widths of folded texts: the least before a column is left out, and the least of all."""

STATUS_STYLE = {
    "completed": "green",
    "failed": "red",
    "timeout": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "queued": "dim",
    "passed": "green",
    "skipped": "yellow",
}


def say(message: str) -> None:
    """Write a message for people to stderr."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def data(text: str) -> None:
    """Write data to stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def raw(content: bytes) -> None:
    """Write bytes to stdout as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def as_json(value: object) -> None:
    """Write `value` as JSON to stdout."""
    data(json.dumps(value, indent=2, ensure_ascii=False))


def json_line(value: object) -> None:
    """Write `value` as one line of JSON."""
    data(json.dumps(value, ensure_ascii=False))


def table(headings: Sequence[str], rows: Sequence[Row], spare: Sequence[str] = ()) -> None:
    """Write rows: on a terminal as a table, else as lines with tabs between the columns and without a heading.

    Columns in `spare` are left out on a terminal that is too narrow, the first one first.
    """
    if not sys.stdout.isatty():
        for row in rows:
            data("\t".join(_plain(cell) for cell in row))
        return
    from rich.console import Console  # noqa: PLC0415  only a terminal pays for it
    from rich.table import Table  # noqa: PLC0415

    console = Console()
    widths = {
        heading: max(len(heading), *(len(_plain(row[at])) for row in rows), 0) for at, heading in enumerate(headings)
    }
    shown = _shown(widths, console.width, spare)
    unfolded = _unfolded([widths[heading] for heading in shown], console.width)
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for heading in shown:
        drawn.add_column(heading, overflow="fold", no_wrap=widths[heading] <= unfolded)
    for row in rows:
        drawn.add_row(*(_styled(cell) for heading, cell in zip(headings, row, strict=True) if heading in shown))
    console.print(drawn)


def _shown(widths: Mapping[str, int], room: int, spare: Sequence[str]) -> list[str]:
    """Return the columns to draw, so that each text column is wide enough to be read."""
    shown = list(widths)
    for heading in spare:
        if _needed([widths[each] for each in shown], ID_WIDTH, text=READABLE) > room:
            shown.remove(heading)
    return shown


def _unfolded(widths: Sequence[int], room: int) -> int:
    """Return the width up to which columns are not folded: times and ids, only ids, or none."""
    return next((most for most in (MOMENT_WIDTH, ID_WIDTH) if _needed(widths, most, text=LEAST) <= room), 0)


def _needed(widths: Sequence[int], most: int, *, text: int) -> int:
    """Return the width of a table in which columns wider than `most` are folded to `text`."""
    return sum(width if width <= most else min(width, text) for width in widths) + GAP * (len(widths) - 1)


def facts(pairs: Sequence[tuple[str, object]]) -> None:
    """Write facts, one a line, with aligned names. Facts without a value are left out."""
    known = [(name, cell) for name, cell in pairs if cell not in (None, "", [], {})]
    width = max((len(name) for name, _ in known), default=0)
    for name, cell in known:
        data(f"{name:<{width}}  {_plain(cell)}")


def printable(text: str) -> str:
    """Return one line of text without what a terminal would not print but obey. Tests may write anything."""
    return "".join(c if c.isprintable() else " " for c in text.expandtabs())


def _plain(cell: object) -> str:
    return printable("-" if cell is None else str(cell))


def _styled(cell: object) -> Any:
    from rich.text import Text  # noqa: PLC0415  only a terminal pays for it

    text = _plain(cell)
    return Text(text, style=STATUS_STYLE.get(text, ""))


def moment(text: str | None) -> str | None:
    """Return a time of the API as local time, to the second."""
    if text is None:
        return None
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def seconds(value: float | None) -> str | None:
    """Return a duration in words."""
    if value is None:
        return None
    minutes, rest = divmod(value, 60)
    return f"{rest:.1f}s" if minutes == 0 else f"{minutes:.0f}m{rest:02.0f}s"


def away(text: str) -> str:
    """Return how long it is until a time of the API: '0 s', '40 s', '2 min', '1 h 20 min'."""
    now = datetime.now(UTC)  # noqa: TID251  a command is its own wiring
    return span(max(0.0, (datetime.fromisoformat(text) - now).total_seconds()))


def soon(text: str | None) -> str | None:
    """Return a future time: on a terminal how long it is until then, elsewhere like `moment`."""
    if text is None or not sys.stdout.isatty():
        return moment(text)
    return f"in {away(text)}"


def span(value: float) -> str:
    """Return seconds, rounded to what people say."""
    if value < 60:  # noqa: PLR2004  a minute
        return f"{value:.0f} s"
    hours, minutes = divmod(round(value / 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def size(value: int | None) -> str | None:
    """Return a number of bytes with its unit."""
    if value is None:
        return None
    number = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":  # noqa: PLR2004  the step between units
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return None
