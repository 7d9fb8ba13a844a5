"""Write simulations as tables, as Markdown and as JSON values. Tables have one column for each strategy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from model.json_values import JsonObject
from reports.texts import for_markdown
from scheduler.simulation.report import SimulationReport, Waits

MOST_ROWS = 50
"""The number of rows that a table shows. The JSON values have all of them."""
MOST_TEXT = 300

Cells: TypeAlias = tuple[str, ...]
Groups: TypeAlias = tuple[tuple[object, Waits], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with headings. The first cell of each row is its label."""

    title: str
    headings: Cells
    rows: tuple[Cells, ...]


def tables(reports: Sequence[SimulationReport]) -> tuple[Table, ...]:
    """Return the tables: figures by strategy, waits by priority and by team, and runs that could not be placed."""
    return tuple(
        table
        for table in (
            _figures(reports),
            _groups("priority", reports, [report.by_priority for report in reports]),
            _groups("team", reports, [report.by_team for report in reports]),
            _unplaced(reports),
        )
        if table.rows
    )


def as_markdown(reports: Sequence[SimulationReport]) -> str:
    """Return all tables as Markdown."""
    lines = ["# Simulation"]
    for table in tables(reports):
        cells = [table.headings, ("---",) * len(table.headings), *table.rows]
        escaped = [cells[0], cells[1], *(tuple(for_markdown(cell, MOST_TEXT) for cell in row) for row in cells[2:])]
        lines += ["", f"## {table.title}", "", *(f"| {' | '.join(row)} |" for row in escaped)]
    return "\n".join(lines) + "\n"


def as_raw(report: SimulationReport) -> JsonObject:
    """Return a report as JSON values: times in seconds, shares from 0 to 1."""
    gpu: JsonObject = {} if report.utilisation.gpu is None else {"gpu": report.utilisation.gpu}
    return {
        "strategy": str(report.strategy),
        "profile": report.profile,
        "runs": report.runs,
        "nodes": report.nodes,
        "waits": _raw_waits(report.waits),
        "waitsByPriority": [{"priority": key, **_raw_waits(waits)} for key, waits in report.by_priority],
        "waitsByTeam": [{"team": key, **_raw_waits(waits)} for key, waits in report.by_team],
        "slowdown": report.slowdown,
        "utilisation": {"cpu": report.utilisation.cpu, "memory": report.utilisation.memory, **gpu},
        "makespanSeconds": report.makespan.total_seconds(),
        "lowerBound": {"makespanSeconds": report.bound.makespan.total_seconds(), "because": report.bound.because},
        "fairness": report.fairness,
        "fragmentation": report.fragmentation,
        "unplaced": [{"code": str(each.code), "reason": each.text, "runs": each.runs} for each in report.unplaced],
        "backfilled": report.backfilled,
        "preemptions": report.preemptions,
        "passes": report.passes,
        "timeline": [
            {"atSeconds": point.at.total_seconds(), "cpu": point.cpu, "memory": point.memory, "queued": point.queued}
            for point in report.timeline
        ],
    }


def span(time: timedelta) -> str:
    """Return a duration for people, in its two largest units: `0.4s`, `12m05s`, `3h20m`, `2d04h`."""
    seconds = time.total_seconds()
    if seconds < 59.95:  # noqa: PLR2004  more would be rounded to a minute
        return f"{seconds:.1f}s".replace(".0s", "s")
    minutes, second = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004  an hour
        return f"{minutes}m{second:02d}s"
    hours, minute = divmod(round(seconds / 60), 60)
    if hours < 24:  # noqa: PLR2004  a day
        return f"{hours}h{minute:02d}m"
    days, hour = divmod(round(seconds / 3600), 24)
    return f"{days}d{hour:02d}h"


def percent(share: float) -> str:
    """Return a share between 0 and 1 as percent."""
    return f"{100 * share:.1f} %"


def _figures(reports: Sequence[SimulationReport]) -> Table:
    rows = [(name, *(read(report) for report in reports)) for name, read in _FIGURES]
    rows = [row for row in rows if set(row[1:]) != {"-"}]
    return Table(
        title="Figures", headings=("strategy", *(str(report.strategy) for report in reports)), rows=tuple(rows)
    )


_FIGURES: tuple[tuple[str, Callable[[SimulationReport], str]], ...] = (
    ("profile", lambda report: report.profile),
    ("runs", lambda report: str(report.runs)),
    ("unplaced", lambda report: str(sum(each.runs for each in report.unplaced))),
    ("wait, mean", lambda report: span(report.waits.mean)),
    ("wait, p50", lambda report: span(report.waits.p50)),
    ("wait, p95", lambda report: span(report.waits.p95)),
    ("wait, longest", lambda report: span(report.waits.longest)),
    ("slowdown, mean", lambda report: f"{report.slowdown:.2f}"),
    ("CPU utilisation", lambda report: percent(report.utilisation.cpu)),
    ("memory utilisation", lambda report: percent(report.utilisation.memory)),
    ("GPU utilisation", lambda report: "-" if report.utilisation.gpu is None else percent(report.utilisation.gpu)),
    ("makespan", lambda report: span(report.makespan)),
    ("lower bound", lambda report: span(report.bound.makespan)),
    ("bound set by", lambda report: report.bound.because),
    ("makespan by bound", lambda report: f"{report.stretch:.3f}"),
    ("fairness (Jain)", lambda report: f"{report.fairness:.3f}"),
    ("fragmentation", lambda report: percent(report.fragmentation)),
    ("backfilled", lambda report: str(report.backfilled)),
    ("preemptions", lambda report: str(report.preemptions)),
    ("passes", lambda report: str(report.passes)),
)


def _groups(kind: str, reports: Sequence[SimulationReport], groups: Sequence[Groups]) -> Table:
    """Return a table of waits by `kind`: all figures if there is one strategy, else the p95 of each."""
    if len(reports) == 1:
        headings: Cells = (kind, "runs", "mean", "p50", "p95", "longest")
        rows = [(f"{kind} {key}", str(waits.runs), *_spans(waits)) for key, waits in groups[0]]
        return Table(title=f"Wait by {kind}", headings=headings, rows=_cut(rows))
    headings = (kind, *(str(report.strategy) for report in reports))
    rows = [(f"{kind} {each[0][0]}", *(span(waits.p95) for _, waits in each)) for each in zip(*groups, strict=True)]
    return Table(title=f"Wait by {kind}, p95", headings=headings, rows=_cut(rows))


def _spans(waits: Waits) -> Cells:
    return (span(waits.mean), span(waits.p50), span(waits.p95), span(waits.longest))


def _unplaced(reports: Sequence[SimulationReport]) -> Table:
    """Return the runs that could not be placed, with the reasons. Strategies differ only by the limits of the pool."""
    rows = [
        (f"unplaced {report.strategy}", str(each.runs), each.text) for report in reports for each in report.unplaced
    ]
    return Table(title="Not placed", headings=("strategy", "runs", "why"), rows=_cut(rows))


def _cut(rows: Sequence[Cells]) -> tuple[Cells, ...]:
    left_out = len(rows) - MOST_ROWS
    return (*rows[:MOST_ROWS], (f"and {left_out} more",)) if left_out > 0 else tuple(rows)


def _raw_waits(waits: Waits) -> JsonObject:
    return {
        "runs": waits.runs,
        "meanSeconds": waits.mean.total_seconds(),
        "p50Seconds": waits.p50.total_seconds(),
        "p95Seconds": waits.p95.total_seconds(),
        "longestSeconds": waits.longest.total_seconds(),
    }
