"""The command that translates experiments of other tools. It needs no server, and executes nothing of the file."""

from pathlib import Path
from typing import Annotated

import typer

from cli import output
from cli.failure import UsageError
from cli.parameters import Json

File = Annotated[Path, typer.Argument(help="A file of Chaos Toolkit, Litmus or Chaos Mesh.", show_default=False)]
Cluster = Annotated[str, typer.Option(help="The cluster of its targets (`assay cluster list`).", show_default=False)]
Seconds = Annotated[
    int | None, typer.Option(help="How long the faults last; default: its pauses, else 60.", show_default=False)
]


Target = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE", help="A label of its targets, where the file names pods; repeatable.", show_default=False
    ),
]
Count = Annotated[
    int | None,
    typer.Option(min=1, help="How many pods, where the file takes a share of them.", show_default=False),
]
Variable = Annotated[
    list[str] | None,
    typer.Option(
        "--var",
        metavar="NAME=VALUE",
        help="A value of its configuration, or a parameter of its workflow; repeatable.",
        show_default=False,
    ),
]
Health = Annotated[
    list[str] | None,
    typer.Option(metavar="URL", help="An address that must answer with 200; repeatable.", show_default=False),
]


def import_experiment(  # noqa: PLR0913  the parameters are the command line
    file: File,
    *,
    cluster: Cluster,
    target: Target = None,
    count: Count = None,
    health: Health = None,
    variable: Variable = None,
    seconds: Seconds = None,
    json: Json = False,
) -> None:
    """Write an experiment of Chaos Toolkit, Litmus or Chaos Mesh as one of Assay.

    What has no counterpart is refused by name.
    """
    from chaos.imports.assembling import Options  # noqa: PLC0415
    from chaos.imports.formats import import_documents, read_documents  # noqa: PLC0415
    from model.document import write_yaml  # noqa: PLC0415
    from model.problems import InvalidError  # noqa: PLC0415

    options = Options(
        cluster=cluster,
        seconds=seconds,
        count=count,
        labels=_pairs("--target", target or []),
        health=tuple(health or ()),
        variables=_pairs("--var", variable or []),
    )
    try:
        imported = import_documents(read_documents(file.read_text(encoding="utf-8")), options)
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


def _pairs(option: str, written: list[str]) -> dict[str, str]:
    if wrong := [one for one in written if not all(one.partition("=")[::2])]:
        raise UsageError(f"{option} {wrong[0]}: must be NAME=VALUE, such as app=payments")
    return dict(one.partition("=")[::2] for one in written)
