"""Run an event-driven test from a file: `python -m events.run FILE`. The exit codes are those of `events.endings`."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from events.brokers.broker import Broker, BrokerError, BrokerUnfitError, require
from events.brokers.broker_factory import is_embedded, make_topics, open_broker
from events.driven_test import EventDrivenTest, EventTestResult, ScopeError
from events.endings import EXIT_AWAY, EXIT_FAILED, EXIT_PASSED, EXIT_UNKNOWN, EXIT_WRONG, JUNIT, PAGE, RECORDING
from events.form import LoadedTest, load_file
from events.html import html
from events.junit import junit
from events.outcomes import AssertionResult, Outcome
from events.recording import RecordingError, read_recording, replayed, write_recording
from events.results import in_words
from events.triggers import TriggerError, TriggerRefusedError, TriggerUnfitError
from model.problems import InvalidError

EXIT_CODES: Final[Mapping[Outcome, int]] = {
    Outcome.PASSED: EXIT_PASSED,
    Outcome.FAILED: EXIT_FAILED,
    Outcome.INCONCLUSIVE: EXIT_UNKNOWN,
    Outcome.VACUOUS: EXIT_UNKNOWN,
}
TRIGGER = "trigger"
"""The name of the result that says that the trigger was refused."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the test, write what is asked for, and return the exit code. Results go to stdout, problems to stderr."""
    options = _parser().parse_args(arguments)
    if refused := _nowhere(options):
        _say(refused)
        return EXIT_WRONG
    try:
        loaded = load_file(options.file)
        result = _result(loaded, options)
    except InvalidError as error:
        for problem in error.problems:
            _say(f"{options.file.name}: {problem.path or '(whole)'}: {problem.message}")
        return EXIT_WRONG
    except (RecordingError, BrokerUnfitError, TriggerUnfitError) as error:
        _say(str(error))
        return EXIT_WRONG
    except (BrokerError, TriggerError) as error:
        _say(str(error))
        return EXIT_AWAY
    try:
        _write(result, loaded, options)
    except OSError as error:
        _say(f"the verdict is {result.outcome}, but an output cannot be written: {error}")
        return EXIT_WRONG
    return EXIT_CODES[result.outcome]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m events.run", description="Run an event-driven test.")
    parser.add_argument("file", type=Path, help="the test, in YAML")
    parser.add_argument("--broker", help="memory:, mock: or kafka://HOST:PORT, instead of that of the file")
    parser.add_argument("--replay", type=Path, metavar="RECORDING", help="judge a recording instead of a live stream")
    parser.add_argument("--record", type=Path, metavar="RECORDING", help="write all events to this file")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="write all outputs to this folder")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the results as a page with pictures")
    return parser


def _nowhere(options: argparse.Namespace) -> str:
    """Return which output has no folder to stand in, before a whole test runs for it. Empty if all have."""
    if options.results is not None and not options.results.is_dir():
        return f"--results: there is no folder {options.results}"
    for option in ("record", "junit", "html"):
        file: Path | None = getattr(options, option)
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            return f"--{option}: {file} cannot be written: it is a folder, or its folder does not exist"
    return ""


def _result(loaded: LoadedTest, options: argparse.Namespace) -> EventTestResult:
    if options.replay is not None:
        return replayed(loaded.test, read_recording(options.replay))
    return run_test(loaded, options.broker or loaded.broker)


def run_test(loaded: LoadedTest, address: str) -> EventTestResult:
    """Run a test on the broker at `address`, which is closed afterwards. Raises: BrokerError; TriggerError.

    A trigger that is refused is a result: what it calls is a part of what is tested.
    """
    broker = open_broker(address, None if loaded.security is None else loaded.security.settings(os.environ))
    try:
        require(broker, loaded.needs, what=f"the test {loaded.test.name!r}")
        if is_embedded(address):
            make_topics(broker, loaded.test.topics, loaded.partitions)
        return _execute(loaded.test, broker)
    finally:
        broker.close()


def _execute(test: EventDrivenTest, broker: Broker) -> EventTestResult:
    try:
        return test.execute(broker)
    except (TriggerRefusedError, ScopeError) as error:
        refused = AssertionResult(name=TRIGGER, outcome=Outcome.FAILED, message=str(error), at=0.0)
        return EventTestResult(name=test.name, results=(refused,), events=(), ended_at=0.0)


def _write(result: EventTestResult, loaded: LoadedTest, options: argparse.Namespace) -> None:
    for warning in result.warnings:
        _say(f"warning: {warning}")
    sys.stdout.writelines(f"{line}\n" for line in in_words(result))
    if options.record is not None:
        write_recording(options.record, result, loaded.written)
    if options.junit is not None:
        options.junit.write_text(junit(result), encoding="utf-8")
    if options.html is not None:
        options.html.write_text(html(result, loaded.test.trigger.described), encoding="utf-8")
    if options.results is not None:
        write_outputs(result, loaded, options.results)


def write_outputs(result: EventTestResult, loaded: LoadedTest, folder: Path) -> None:
    """Write what a reader of the result needs. The events are written only if it did not pass."""
    (folder / JUNIT).write_text(junit(result), encoding="utf-8")
    (folder / PAGE).write_text(html(result, loaded.test.trigger.described), encoding="utf-8")
    if result.outcome is not Outcome.PASSED:
        write_recording(folder / RECORDING, result, loaded.written)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
