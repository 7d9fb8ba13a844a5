"""Parameters that several commands share, and the completion of run ids in a shell."""

import re
from typing import Annotated, Any

import typer

from cli import output
from cli.failure import CommandError, UsageError

COMPLETION_SECONDS = 1.0
"""A shell waits for the completion, so an absent server must not hold it up."""
_COMPLETED = 50


def run_id(text: str) -> str:
    """Return the text if it can be part of a run's id. Raises: UsageError."""
    if re.fullmatch("[0-9a-fA-F-]+", text):
        return text
    raise UsageError(f"{text!r} is not part of a run's id, which has only 0-9, a-f and '-': `assay list` shows the ids")


def complete_run(incomplete: str) -> list[tuple[str, str]]:
    """Return the latest runs whose ids begin with `incomplete`, each with its name. Without a server there are none."""
    from cli.connection import connect  # noqa: PLC0415  only a completion needs it here

    try:
        with connect(COMPLETION_SECONDS) as client:
            runs = client.get("/runs", {"limit": _COMPLETED})["runs"]
    except (CommandError, OSError):
        return []
    begun = incomplete.lower()
    return [
        (shown, f"{run['title']}, {run['status']}")
        for run in runs
        for shown in (run["shortId"] if run["shortId"].startswith(begun) else run["runId"],)
        if shown.startswith(begun)
    ]


def say_more(answer: Any, shown: int) -> None:
    """Say how to see the rest of a list, of which a page is shown."""
    after = answer["offset"] + shown
    if after < answer["total"]:
        output.say(f"{answer['total'] - after} more: --offset {after}")


Limit = Annotated[int, typer.Option(min=1, max=200, help="The number of entries to show.")]
Offset = Annotated[int, typer.Option(min=0, max=10_000, help="The number of entries to skip.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="SECONDS", help="Stop waiting after so many seconds, with exit code 3. The run goes on."
    ),
]
Run = Annotated[
    str,
    typer.Argument(
        help="The id of a run or of a suite run, or any unique beginning or end of it.",
        callback=run_id,
        autocompletion=complete_run,
        show_default=False,
    ),
]
