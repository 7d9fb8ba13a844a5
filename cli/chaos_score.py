"""The command about the resilience of services."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import connect
from cli.failure import UsageError
from cli.parameters import Json

Service = Annotated[
    str | None,
    typer.Argument(help="A service: its path, or the end of it. Default: all.", show_default=False),
]
Weeks = Annotated[int, typer.Option(min=1, max=52, help="How many weeks the trend goes back.")]
File = Annotated[
    Path | None, typer.Option("--output", help="Write a page with a picture into this file.", show_default=False)
]


def score(service: Service = None, *, weeks: Weeks = 12, file: File = None, json: Json = False) -> None:
    """Show how resilient services are, by their experiments: score, trend, and what was never tested."""
    asked = {"weeks": weeks} | ({"service": service} if service else {})
    with connect() as client:
        if file is not None:
            _write(file, client.text("/chaos/score/report", asked))
            return
        answer = client.get("/chaos/score", asked)
    if json:
        output.as_json(answer)
        return
    _show(answer["services"], in_full=service is not None)


def _show(services: Any, *, in_full: bool) -> None:
    if not services:
        output.say("no experiment has seen a service yet: assay chaos run FILE")
        return
    rows = [(one["service"], f"{one['score']:.0f}", _change(one), f"{one['coveragePercent']:.0f}%") for one in services]
    output.table(("service", "score", "trend", "tested"), rows)
    for one in services:
        if in_full:
            output.table(("fault", "weight", "credit", "state", "last tested"), [_cell(cell) for cell in one["cells"]])
        if one["neverTested"]:
            output.say(f"{one['service']}: never tested: {', '.join(one['neverTested'])}")


def _change(one: Any) -> str:
    """Return how the score changed over the trend, and the points of it."""
    points = [point["score"] for point in one["trend"]]
    return f"{points[-1] - points[0]:+.0f} in {len(points) - 1} weeks"


def _cell(cell: Any) -> tuple[object, ...]:
    fails = "" if cell["failsAt"] is None else f", fails at {cell['failsAt']:g}"
    held = f" at {cell['magnitude']:g}" if cell["magnitude"] else ""
    when = output.moment(cell["testedAt"]) if cell["testedAt"] else None
    return (cell["type"], cell["weight"], f"{100 * cell['credit']:.0f}%", f"{cell['state']}{held}{fails}", when)


def _write(file: Path, page: bytes) -> None:
    try:
        file.write_bytes(page)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error}") from error
    output.say(f"wrote {file}")
