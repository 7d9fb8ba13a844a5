"""Judge telemetry with injected faults: how many faults are found, and how many false alarms are raised.

    python benchmarks/bench_verdicts.py [FOLDER] [--alpha 0.1] [--tolerance 25] [--objective 99]

FOLDER has `frontend.csv` (timestamp, success_percent, latency_p50_seconds, latency_p90_seconds, ...; one row a minute,
or more; a cell that is no number has no data, and what is missing is not judged)
and `faults.csv` (timestamp, service, fault). The judge is that of the product: success is an SLO of kind ratio, latency
one of kind value (the geometric mean of P50, P90 and P95 where they are there). A fault that is inconclusive counts as
not found. False alarms are counted over every minute at which both windows lie outside of all faults.
"""

import argparse
import csv
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from goals import at_least, at_most

from chaos.hypothesis import Hypothesis, Slo, SloKind, Source
from chaos.judge import Judgement, Readings, judge_slos, worst
from chaos.windows import Count, Sample, Window

DEFAULT_FOLDER = Path("../shared/data/online-boutique")
PERCENTILES = ("p50", "p90", "p95")
FROM, UNTIL = 60, 210
"""The fault window begins and ends so many seconds after the injection."""
LASTS = 300
"""After so many seconds a fault and its traces are over."""
MARGIN = 30
SHORTEST_STEP = 15
"""Seconds between two fault-free windows at least, for telemetry of each second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """One row of frontend.csv."""

    timestamp: float
    success_percent: float
    latency: float


def read_rows(path: Path, *needed: str) -> list[dict[str, str]]:
    """Return the rows of a file. Raises: SystemExit if it is not there, is empty, or lacks a column."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or ())
    except OSError as error:
        raise SystemExit(f"{path} cannot be read: {error.strerror}") from error
    if missing := [name for name in needed if name not in columns]:
        raise SystemExit(f"{path} has no column {', '.join(missing)}; it has {', '.join(columns) or 'none'}")
    return rows


def read_frontend(path: Path) -> list[Minute]:
    """Return the rows of frontend.csv, in order of time."""
    rows = read_rows(path, "timestamp")
    if not rows:
        raise SystemExit(f"{path} has no rows")
    columns = [f"latency_{name}_seconds" for name in PERCENTILES if f"latency_{name}_seconds" in rows[0]]
    if not columns and "success_percent" not in rows[0]:
        raise SystemExit(f"{path} has neither success_percent nor latency_p50_seconds, _p90_ or _p95_")
    return sorted((_minute(row, columns) for row in rows), key=lambda minute: minute.timestamp)


def _minute(row: dict[str, str], columns: Sequence[str]) -> Minute:
    """Return a row. A cell that is empty, or no number, has no data."""
    readings = [_number(row[column]) for column in columns]
    there = [math.log(reading) for reading in readings if 0 < reading < math.inf]
    latency = math.exp(sum(there) / len(there)) if there else math.nan
    return Minute(
        timestamp=float(row["timestamp"]), success_percent=_number(row.get("success_percent")), latency=latency
    )


def _number(cell: str | None) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        return math.nan


def windows(minutes: Sequence[Minute], at: float, baseline: float) -> dict[Window, list[Minute]]:
    """Return the minutes of both windows of a fault that was injected at `at`."""
    return {
        Window.BASELINE: list(minutes[_first(minutes, at - baseline) : _first(minutes, at)]),
        Window.FAULT: list(minutes[_first(minutes, at + FROM) : _first(minutes, math.nextafter(at + UNTIL, math.inf))]),
    }


def _first(minutes: Sequence[Minute], at: float) -> int:
    return bisect_left(minutes, at, key=lambda minute: minute.timestamp)


def hypothesis(objective: float, tolerance: float, has: Mapping[str, bool]) -> Hypothesis:
    """Return what is judged: success and latency of the front end, as far as the file has them."""
    success = Slo(name="success", kind=SloKind.RATIO, source=Source.LOAD, objective=objective)
    latency = Slo(name="latency", kind=SloKind.VALUE, source=Source.LOAD)
    slos = tuple(slo for slo in (success, latency) if has[slo.name])
    return Hypothesis(title="", health_checks=(), slos=slos, tolerance_percent=tolerance)


def judge(chosen: dict[Window, list[Minute]], held: Hypothesis, alpha: float) -> Judgement:
    """Return the judgement of one fault, or of one minute without a fault. A minute counts as 1,000 requests."""
    counts = {
        window: [Count(at=_time(one), bad=10 * (100 - one.success_percent), total=1000) for one in minutes]
        for window, minutes in chosen.items()
    }
    samples = {
        window: [Sample(at=_time(one), value=one.latency) for one in minutes] for window, minutes in chosen.items()
    }
    readings = {"success": Readings(counts=counts), "latency": Readings(samples=samples)}
    return worst([slo.judgement for slo in judge_slos(held, readings, alpha)])


def _time(minute: Minute) -> datetime:
    return datetime.fromtimestamp(minute.timestamp, UTC)


def fault_free(minutes: Sequence[Minute], faults: Sequence[float], baseline: float) -> list[float]:
    """Return every moment at which both windows lie outside of all faults and have readings."""
    moments: list[float] = []
    for minute in minutes:
        if not moments or minute.timestamp + MARGIN >= moments[-1] + SHORTEST_STEP:
            moments.append(minute.timestamp + MARGIN)
    quiet = [at for at in moments if not any(fault - UNTIL <= at <= fault + LASTS + baseline for fault in faults)]
    return [at for at in quiet if all(map(len, windows(minutes, at, baseline).values()))]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--alpha", type=float, default=0.1, help="false alarms that the test accepts")
    parser.add_argument("--tolerance", type=float, default=25.0, help="percent that latency may become worse")
    parser.add_argument("--objective", type=float, default=99.0, help="percent of good requests")
    parser.add_argument("--baseline", type=float, default=240.0, help="seconds before the fault")
    options = parser.parse_args()
    if options.folder == DEFAULT_FOLDER and not options.folder.exists():
        print(f"skipped: there is no {DEFAULT_FOLDER} here; give a FOLDER")
        return
    minutes = read_frontend(options.folder / "frontend.csv")
    rows = read_rows(options.folder / "faults.csv", "timestamp", "fault")
    faults = [(float(row["timestamp"]), row["fault"]) for row in rows]
    has = {
        "success": any(math.isfinite(one.success_percent) for one in minutes),
        "latency": any(math.isfinite(one.latency) for one in minutes),
    }
    held = hypothesis(options.objective, options.tolerance, has)

    judged = [(kind, judge(windows(minutes, at, options.baseline), held, options.alpha)) for at, kind in faults]
    quiet = [
        judge(windows(minutes, at, options.baseline), held, options.alpha)
        for at in fault_free(minutes, [at for at, _ in faults], options.baseline)
    ]
    tell(judged, quiet, options)


def tell(judged: Sequence[tuple[str, Judgement]], quiet: Sequence[Judgement], options: argparse.Namespace) -> None:
    """Print what was found, by kind of fault, and the false alarms."""
    found = Counter(kind for kind, judgement in judged if judgement is Judgement.NOT_MET)
    inconclusive = sum(judgement is Judgement.INCONCLUSIVE for _, judgement in judged)
    alarms = sum(judgement is Judgement.NOT_MET for judgement in quiet)
    print(
        f"{options.folder}: alpha {options.alpha:g}, tolerance {options.tolerance:g}%, objective {options.objective:g}%"
    )
    for kind, number in sorted(Counter(kind for kind, _ in judged).items()):
        print(f"  {kind:<20} {found[kind]:>3} of {number}")
    print(f"  found {found.total()} of {len(judged)}, {inconclusive} inconclusive")
    rate = 100 * alarms / len(quiet) if quiet else math.nan
    print(f"  false alarms {alarms} of {len(quiet)} fault-free windows" + (f": {rate:.2f}%" if quiet else ""))
    if judged:
        print(at_least("faults found", 100 * found.total() / len(judged), 100 * 32 / 56, "%"))
    if quiet:
        print(at_most("false alarms", rate, 5, "%"))


if __name__ == "__main__":
    main()
