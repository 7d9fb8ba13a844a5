"""The command that translates an experiment of Chaos Toolkit. It needs no server, and executes nothing of the file."""

from pathlib import Path
from typing import Annotated

import typer

from cli import output
from cli.failure import UsageError
from cli.parameters import Json

File = Annotated[Path, typer.Argument(help="An experiment of Chaos Toolkit, JSON or YAML.", show_default=False)]
Cluster = Annotated[str, typer.Option(help="The cluster of its targets (`assay cluster list`).", show_default=False)]
Seconds = Annotated[
    int | None, typer.Option(help="How long the faults last; default: its pauses, else 60.", show_default=False)
]


def import_experiment(file: File, *, cluster: Cluster, seconds: Seconds = None, json: Json = False) -> None:
    """Write an experiment of Chaos Toolkit as one of Assay. What has no counterpart is refused by name."""
    from chaos.imports.chaos_toolkit import import_toolkit  # noqa: PLC0415
    from model.document import read_yaml, write_yaml  # noqa: PLC0415
    from model.problems import InvalidError  # noqa: PLC0415

    try:
        imported = import_toolkit(read_yaml(file.read_text(encoding="utf-8")), cluster, seconds)
    except InvalidError as error:
        lines = "\n".join(f"  {problem.path or '(whole)'}: {problem.message}" for problem in error.problems)
        raise UsageError(f"{file} cannot be imported:\n{lines}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    if json:
        output.as_json({"experiment": imported.document, "notes": list(imported.notes)})
        return
    output.data(write_yaml(imported.document))
    for note in imported.notes:
        output.say(f"note: {note}")
