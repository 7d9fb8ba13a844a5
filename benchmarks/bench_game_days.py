"""How often a game day is called slower than the last one: if nothing has changed, and if it takes twice as long.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_game_days.py [--worlds N] [--seconds S] [--variation PERCENT ...]

Times to recover are log-normal around a median. Each world draws the earlier runs and the one that is compared anew, by
a seed. The table of docs/experiments.md comes from here.
"""

import argparse
from datetime import UTC, datetime, timedelta
from itertools import product
from math import log, sqrt
from random import Random

from chaos.comparison import Result, SloResult, compare
from chaos.hypothesis import Slo, SloKind, Source
from chaos.judge import Judgement

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
SLO = Slo(name="orders", kind=SloKind.RATIO, source=Source.LOAD, objective=99, step_seconds=1)
WINDOW = timedelta(minutes=10)


def main() -> None:
    """Print a line for each variation and number of earlier runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=10.0, help="the median time to recover")
    parser.add_argument("--variation", type=int, nargs="*", default=[10, 20, 30], help="percent")
    parser.add_argument("--earlier", type=int, nargs="*", default=[1, 3, 10])
    given = parser.parse_args()
    print(f"{'varies by':>9} {'earlier runs':>12} {'no change':>9} {'twice as long':>13}")
    for variation, earlier in product(given.variation, given.earlier):
        same, twice = (
            called_slower(given.worlds, given.seconds, variation / 100, earlier, factor) for factor in (1, 2)
        )
        print(f"{variation:>8}% {earlier:>12} {same:>9.1%} {twice:>13.1%}")


def called_slower(worlds: int, seconds: float, variation: float, earlier: int, factor: int) -> float:
    """Return the share of worlds in which the last of the runs, `factor` times as long, is called slower."""
    dice = Random(1)
    spread = sqrt(log(1 + variation**2))
    found = 0
    for _ in range(worlds):
        times = [dice.lognormvariate(log(seconds), spread) for _ in range(earlier + 1)]
        now, *before = [times[0] * factor, *times[1:]]
        comparison = compare(run(now, 0), [SLO], WINDOW, [run(time, week) for week, time in enumerate(before, start=1)])
        found += any(one.what == "time to recover" for one in comparison.worse) if comparison else False
    return found / worlds


def run(recover: float, week: int) -> Result:
    """Return a run that held, with this time to recover."""
    return Result(
        run=f"week-{week}",
        ended_at=NOON - timedelta(weeks=week),
        word="met",
        validated=True,
        timed=True,
        slos=(SloResult(slo="orders", judgement=Judgement.MET, recover=recover),),
    )


if __name__ == "__main__":
    main()
