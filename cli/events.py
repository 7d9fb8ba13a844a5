"""The commands for event-driven tests that need no server: check, replay, tail."""

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import output
from cli.failure import CommandError, UsageError
from cli.parameters import Json
from model.plural import counted

if TYPE_CHECKING:
    from events.event import Event
    from events.form import LoadedTest
    from model.problems import InvalidError

TestFile = Annotated[Path, typer.Argument(help="The file of the test, in YAML.", show_default=False)]
RecordingFile = Annotated[
    Path, typer.Argument(help="The recording: the artifact events.jsonl of a run.", show_default=False)
]
Broker = Annotated[str, typer.Argument(help="The broker: kafka://HOST:PORT.", show_default=False)]
Topics = Annotated[list[str], typer.Argument(help="The topics to read.", show_default=False)]


class BrokerAwayError(CommandError):
    """The broker does not answer: check its address, or try again."""


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(name="events", no_args_is_help=True, rich_markup_mode=None)
    group.callback(help="Check and replay event-driven tests.", epilog="Example: assay events check test.yaml")(
        _nothing
    )
    group.command("check", epilog="Example: assay events check examples/events/order-cancelled.yaml")(check)
    group.command("replay", epilog="Example: assay events replay events.jsonl --test test.yaml")(replay)
    group.command("tail", epilog="Example: assay events tail kafka://localhost:9092 orders payments --count 10")(tail)
    app.add_typer(group)


def _nothing() -> None:
    """Do nothing: the subcommands do the work."""


def check(file: TestFile, *, json: Json = False) -> None:
    """Check an event-driven test, and show every problem with its path."""
    loaded = _loaded(file)
    if json:
        output.as_json(loaded.written)
    else:
        output.say(f"{file}: {loaded.test.name} is valid, {counted(len(loaded.test.assertions), 'assertion')}")


def replay(
    recording: RecordingFile,
    *,
    test: Annotated[Path | None, typer.Option(help="Judge by this test instead of the recorded one.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the results as a page with pictures to this file.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML to this file.")] = None,
    json: Json = False,
) -> None:
    """Judge a recording again, by its own clock: no broker, no waiting. Exit code 0 if all assertions pass, else 1."""
    from events.html import html as as_html  # noqa: PLC0415
    from events.junit import junit as as_junit  # noqa: PLC0415
    from events.outcomes import Outcome  # noqa: PLC0415
    from events.recording import RecordingError, read_recording, replayed  # noqa: PLC0415
    from events.results import in_words, result_to_raw  # noqa: PLC0415

    try:
        read = read_recording(recording)
        loaded = _recorded(recording, read.test) if test is None else _loaded(test)
        result = replayed(loaded.test, read)
    except RecordingError as error:
        raise UsageError(str(error)) from error
    if html is not None:
        html.write_text(as_html(result, "a recording"), encoding="utf-8")
    if junit is not None:
        junit.write_text(as_junit(result), encoding="utf-8")
    if json:
        output.as_json(result_to_raw(result))
    else:
        output.data("\n".join(in_words(result)))
    if result.outcome is not Outcome.PASSED:
        raise typer.Exit(1)


def tail(
    broker: Broker,
    topics: Topics,
    *,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    seconds: Annotated[float, typer.Option(min=0.001, help="End after so many seconds.")] = inf,
    json: Json = False,
) -> None:
    """Show the events of topics as they arrive, until Ctrl-C. Nothing is changed on the broker."""
    from events.brokers.broker import BrokerError, BrokerUnfitError  # noqa: PLC0415
    from events.tail import arriving  # noqa: PLC0415

    output.say(f"waiting for events of {', '.join(topics)}; Ctrl-C ends it")
    try:
        for event in arriving(broker, topics, count=count, seconds=seconds):
            _show(event, json=json)
    except BrokerUnfitError as error:
        raise UsageError(str(error)) from error
    except BrokerError as error:
        raise BrokerAwayError(str(error)) from error


def _show(event: "Event", *, json: bool) -> None:
    from events.paths import as_json  # noqa: PLC0415

    if json:
        output.json_line(as_json(event))
        return
    from events.event import describe  # noqa: PLC0415
    from reports.texts import for_people  # noqa: PLC0415

    reason = f" ({event.poison})" if event.poison else ""
    line = f"{describe(event)} {event.key or '-'} {_short(event)}{reason}"
    output.data(for_people(line.replace("\n", "\\n")))


def _short(event: "Event") -> str:
    from json import dumps  # noqa: PLC0415

    return dumps(event.payload, ensure_ascii=True)[:500]


def _loaded(file: Path) -> "LoadedTest":
    from events.form import load_file  # noqa: PLC0415
    from model.problems import InvalidError  # noqa: PLC0415

    try:
        return load_file(file)
    except InvalidError as error:
        raise _refused(str(file), error) from error


def _recorded(recording: Path, written: object) -> "LoadedTest":
    from events.form import check_recorded  # noqa: PLC0415
    from model.problems import InvalidError  # noqa: PLC0415

    if written is None:
        raise UsageError(f"{recording} does not say by which test to judge it: name one with --test")
    try:
        return check_recorded(written)
    except InvalidError as error:
        raise _refused(f"the test in {recording}", error) from error


def _refused(what: str, error: "InvalidError") -> UsageError:
    lines: Sequence[str] = [f"  {problem.path or '(whole)'}: {problem.message}" for problem in error.problems]
    return UsageError("\n".join([f"{what} is not valid:", *lines]))
