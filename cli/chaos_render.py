"""The command that shows what a provider would be asked to do. It needs no server and no cluster."""

from pathlib import Path
from typing import Annotated

import typer

from cli import output
from cli.chaos_file import read_experiment
from cli.failure import UsageError
from cli.parameters import Json
from model.fault import EXIT_REFUSED

File = Annotated[Path, typer.Argument(help="The file of the experiment.", show_default=False)]
By = Annotated[
    str, typer.Option("--provider", help="local, kubernetes, litmus or chaos-mesh.", show_default="the best one")
]
Pod = Annotated[str, typer.Option(help="The pod that a manifest names; `plan` shows which there are.")]


def render(file: File, *, provider: By = "", pod: Pod = "POD", json: Json = False) -> None:
    """Show what a provider would be asked to do for each fault, as YAML. Nothing is done."""
    from chaos.fault_types import Provider  # noqa: PLC0415
    from chaos.rendering import render as rendered  # noqa: PLC0415
    from chaos.targets import Target  # noqa: PLC0415
    from model.document import write_yaml  # noqa: PLC0415

    experiment = read_experiment(file)
    selector = experiment.target
    place = str(selector.environment or selector.namespace)
    target = Target(place=place, service=selector.service or pod, name=pod, identity="")
    if provider and provider not in set(Provider):
        raise UsageError(f"there is no provider {provider}: it is one of {', '.join(Provider)}")
    made = rendered(experiment, Provider(provider) if provider else None, target)
    if json:
        rows = [
            {"fault": one.fault.name, "provider": one.provider, "document": one.document, "refused": one.refused}
            for one in made
        ]
        output.as_json(rows)
    else:
        there = [one for one in made if one.document is not None]
        output.data("---\n".join(f"# {one.fault.name}, by {one.provider}\n{write_yaml(one.document)}" for one in there))
    refused = [one.refused for one in made if one.refused]
    for problem in refused:
        output.say(f"refused: {problem}")
    if refused:
        raise typer.Exit(EXIT_REFUSED)
