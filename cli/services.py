"""The commands for local services, the system under test of experiments: up, down, status."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import output
from cli.failure import CommandError, UsageError
from cli.parameters import Json

if TYPE_CHECKING:
    from cluster.services.client import EnvironmentFacts

File = Annotated[Path, typer.Argument(help="The file of the services.", show_default=False)]
Environment = Annotated[str, typer.Argument(help="The name of the environment.", show_default=False)]


class ServicesError(CommandError):
    """The services could not be started, or do not answer: look at their logs in the folder that is named."""


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(name="services", no_args_is_help=True, rich_markup_mode=None)
    group.callback(help="Run local services for experiments.", epilog="Example: assay services status shop")(_nothing)
    group.command("up", epilog="Example: assay services up examples/shop/services.yaml")(up)
    group.command("down", epilog="Example: assay services down shop")(down)
    group.command("status", epilog="Example: assay services status shop")(status)
    app.add_typer(group)


def _nothing() -> None:
    """Do nothing: the subcommands do the work."""


def folder_of(name: str) -> Path:
    """Return the folder of an environment in the state folder."""
    from cli.stack.state import StateFolder  # noqa: PLC0415
    from cluster.fault_providers import ENVIRONMENTS  # noqa: PLC0415

    return StateFolder.find().path / ENVIRONMENTS / name


def up(file: File, *, json: Json = False) -> None:
    """Start the services of FILE under a supervisor of their own, and wait until they are ready."""
    import asyncio  # noqa: PLC0415

    from cluster.services.file import read_services  # noqa: PLC0415
    from cluster.services.starting import StartError, start  # noqa: PLC0415
    from model.problems import InvalidError  # noqa: PLC0415

    try:
        services = read_services(file)
        facts = asyncio.run(start(services, file, folder_of(services.name)))
    except InvalidError as error:
        raise UsageError(f"{file}: {error}") from error
    except (StartError, OSError) as error:
        raise ServicesError(str(error)) from error
    _show(facts, json=json)


def down(environment: Environment, *, json: Json = False) -> None:
    """End the services of an environment and their supervisor."""
    import asyncio  # noqa: PLC0415

    from cluster.services.starting import stop  # noqa: PLC0415

    stopped = asyncio.run(stop(folder_of(environment)))
    if json:
        output.as_json({"environment": environment, "stopped": stopped})
    else:
        output.say(f"{environment} is stopped" if stopped else f"{environment} did not run")


def status(environment: Environment, *, json: Json = False) -> None:
    """Show the services of an environment."""
    import asyncio  # noqa: PLC0415

    from cluster.services.client import NoEnvironmentError, look  # noqa: PLC0415

    try:
        facts = asyncio.run(look(folder_of(environment)))
    except NoEnvironmentError as error:
        raise ServicesError(str(error)) from error
    _show(facts, json=json)


def _show(facts: "EnvironmentFacts", *, json: bool) -> None:
    from dataclasses import asdict  # noqa: PLC0415

    if json:
        output.as_json(asdict(facts))
        return
    rows = [
        (
            name,
            "ready" if service.ready else "not ready",
            service.processes[0][0] if service.processes else "-",
            service.starts,
            f"http://127.0.0.1:{service.port}" if service.port else "-",
            service.chaos,
        )
        for name, service in facts.services.items()
    ]
    output.table(("service", "state", "pid", "starts", "address", "chaos"), rows)
