"""Try changes, and report how many the tests notice: `make mutants`, or `make mutants ARGS="--number 20 --seed 7"`."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutants import checkout, reached
from mutants.mutate import Mutant, mutants, mutated
from mutants.reached import TestFile

SLOWER = 5.0
"""A change that makes the tests this many times slower is noticed."""
START = 60.0
"""Seconds that a run may take besides."""
QUICK = 5.0
"""Test files that take no longer than so many seconds are run first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A change that shall be tried, and the test files that evaluate its place."""

    mutant: Mutant
    tests: Sequence[TestFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a change. `noticed` is None for a survivor, else how it was noticed."""

    trial: Trial
    noticed: str | None


class Copies:
    """Copies of the checkout as it was at the start, one for each thread."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._local = threading.local()
        self.unchanged = parent / "unchanged"
        checkout.copy(self.unchanged)

    def make(self) -> Path:
        """Make a new copy."""
        folder = Path(tempfile.mkdtemp(dir=self._parent))
        shutil.copytree(self.unchanged, folder, dirs_exist_ok=True)
        return folder

    def mine(self) -> Path:
        """Return the copy of this thread."""
        if not hasattr(self._local, "folder"):
            self._local.folder = self.make()
        folder: Path = self._local.folder
        return folder


def main(arguments: Sequence[str]) -> int:
    """Try the chosen changes, and print the survivors; return 1 if there are more than is allowed."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="assay-mutants-") as parent:
        copies = Copies(Path(parent))
        try:
            trials = _trials(options, copies)
        except reached.UnusableError as unusable:
            _say(f"{unusable}\n")
            return 2
        with ThreadPoolExecutor(options.workers) as pool:
            outcomes = list(pool.map(lambda trial: _try(copies, trial), trials))
    return _report(outcomes, options)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--number", type=int, default=200, help="how many changes to try (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which changes are chosen (default: %(default)s)")
    parser.add_argument("--packages", nargs="+", default=["scheduler", "model"], help="files or folders to change")
    parser.add_argument("--tests", nargs="+", default=list(reached.SUITES), help="folders of tests that may notice")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="runs at a time (default: all cores)")
    parser.add_argument("--goal", type=float, default=0.0, help="exit with 1 if a smaller share is noticed")
    return parser.parse_args(arguments)


def _trials(options: argparse.Namespace, copies: Copies) -> list[Trial]:
    """Choose the changes, and find the tests of each."""
    sources: dict[str, tuple[int, str]] = {}
    places: list[list[Mutant]] = []
    for path in _modules(options.packages):
        source = (copies.unchanged / path).read_text()
        sources[path] = (len(places), source)
        places += mutants(path, source)
    tests = reached.measure(copies.make(), sources, options.tests, options.workers)
    _say(f"{len(places)} places, {len(tests)} test files\n")
    rng = random.Random(options.seed)
    chosen = rng.sample(range(len(places)), min(options.number, len(places)))
    return [Trial(mutant=rng.choice(places[n]), tests=reached.covering(tests, n)) for n in chosen]


def _modules(packages: Sequence[str]) -> list[str]:
    found = {path for path in checkout.files() for name in packages if path == name or path.startswith(f"{name}/")}
    return sorted(path for path in found if path.endswith(".py"))


def _try(copies: Copies, trial: Trial) -> Outcome:
    noticed = _noticed(copies.mine(), trial) if trial.tests else None
    _say("." if noticed else f"\nsurvived: {trial.mutant}\n")
    return Outcome(trial=trial, noticed=noticed)


def _noticed(folder: Path, trial: Trial) -> str | None:
    """Return how the tests notice a change, None if they do not."""
    mutant = trial.mutant
    module = folder / mutant.path
    with checkout.changed(module, mutated(module.read_text(), mutant)):
        for tests in filter(None, _rounds(trial.tests)):
            patience = START + SLOWER * sum(test.seconds for test in tests)
            code, output = checkout.run(folder, [test.path for test in tests], [], patience)
            if code != checkout.PASSED:
                return "too slow" if code == checkout.TIMED_OUT else output
    return None


def _rounds(tests: Sequence[TestFile]) -> Iterator[list[TestFile]]:
    """Yield the quick test files, then the others: they notice soon that a change makes the tests run for ever."""
    yield [test for test in tests if test.seconds <= QUICK]
    yield [test for test in tests if test.seconds > QUICK]


def _report(outcomes: Sequence[Outcome], options: argparse.Namespace) -> int:
    survivors = [outcome for outcome in outcomes if outcome.noticed is None]
    _say(f"\n\nseed {options.seed}: {len(outcomes) - len(survivors)} of {len(outcomes)} noticed; the survivors:\n")
    for outcome in sorted(survivors, key=lambda one: (one.trial.mutant.path, one.trial.mutant.line)):
        _say(f"  {outcome.trial.mutant}{'' if outcome.trial.tests else '  (no test evaluates it)'}\n")
    share = 1 - len(survivors) / len(outcomes) if outcomes else 1.0
    return 0 if share >= options.goal else 1


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
