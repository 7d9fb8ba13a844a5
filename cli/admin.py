"""The commands for administration: nodes, statistics, secret, deploy, validate."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import output
from cli.connection import connect
from cli.parameters import Json

Pool = Annotated[str, typer.Option(help="The pool.")]
File = Annotated[Path, typer.Argument(help="A test or a suite in YAML or JSON.", show_default=False)]


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`, in the order of its help."""
    for name, command, example in (
        ("stats", stats, "assay stats"),
        ("flaky", flaky, "assay flaky --days 14"),
        ("validate", validate, "assay validate examples/suites/orders.yaml"),
        ("schema", schema, "assay schema suite"),
        ("deploy", deploy, "assay deploy examples/nightly.yaml"),
    ):
        app.command(name, epilog=f"Example: {example}")(command)
    _mount_nodes(app)
    secrets = typer.Typer(name="secret", no_args_is_help=True, rich_markup_mode=None)
    told = "Manage secrets by reference. Their values are never sent to Assay."
    secrets.callback(help=told, epilog="Example: assay secret list")(_nothing)
    secrets.command("set", epilog="Example: assay secret set api_key env:API_KEY")(secret_set)
    secrets.command("list", epilog="Example: assay secret list")(secret_list)
    secrets.command("rm", epilog="Example: assay secret rm api_key")(secret_rm)
    app.add_typer(secrets)


def _mount_nodes(app: typer.Typer) -> None:
    group = typer.Typer(name="nodes", rich_markup_mode=None, subcommand_metavar="[COMMAND] [ARGS]...")
    group.callback(invoke_without_command=True, epilog="Example: assay nodes --json")(nodes)
    group.command("forget", epilog="Example: assay nodes forget lab-3-5f2a1c")(nodes_forget)
    app.add_typer(group)


def _nothing() -> None:
    """Do nothing: the subcommands do the work."""


def nodes(context: typer.Context, *, pool: Pool = "default", json: Json = False) -> None:
    """Show the nodes of a pool, the resources that runs hold on them, and whether a live worker serves them."""
    if context.invoked_subcommand is not None:
        return
    with connect() as client:
        answer = client.get("/nodes", {"pool": pool})
    if json:
        output.as_json(answer)
        return
    output.table(
        ("node", "ready", "cpu held", "memory held", "runs", "storage held", "gpus held", "used", "served", "backend"),
        [
            (
                n["name"],
                "yes" if n["ready"] else "no",
                f"{n['cpuMilliHeld']}m of {n['cpuMilli']}m",
                f"{output.size(n['memoryBytesHeld'])} of {output.size(n['memoryBytes'])}",
                n["runs"],
                f"{output.size(n['ephemeralBytesHeld'])} of {output.size(n['ephemeralBytes'])}",
                f"{n['gpuHeld']} of {n['gpu']}",
                f"{n['utilization']:.0%}",
                _served(n),
                n["backend"],
            )
            for n in answer["nodes"]
        ],
        spare=("backend", "storage held", "gpus held"),
    )


def _served(node: Mapping[str, Any]) -> str:
    """Say whether a live worker serves a node, and if not, for how long none does."""
    if node["served"]:
        return "yes"
    absent = node["absentSeconds"]
    return "no" if absent is None else f"no, for {output.seconds(absent)}"


def nodes_forget(
    name: Annotated[str, typer.Argument(metavar="NODE", help="As `assay nodes` shows it.", show_default=False)],
    *,
    pool: Pool = "default",
    json: Json = False,
) -> None:
    """Remove a node that does not come back, and try its runs elsewhere.

    Its worker must be stopped. Make sure that none of its tests is alive any more: they may start again at once.
    """
    with connect() as client:
        answer = client.delete(f"/nodes/{quote(name, safe='')}", {"pool": pool})
    output.as_json(answer) if json else output.say(f"removed {name}; {answer['runsGivenUp']} runs are tried elsewhere")


def stats(*, json: Json = False) -> None:
    """Show the runs of the last 24 hours by tool."""
    with connect() as client:
        answer = client.get("/stats")
    if json:
        output.as_json(answer)
        return
    output.table(
        ("type", "runs", "completed", "failed", "timeout", "cancelled", "on average"),
        [
            (t["type"], t["total"], t["completed"], t["failed"], t["timeout"], t["cancelled"],
             output.seconds(t["averageDurationSeconds"]))
            for t in answer["types"]
        ],
    )  # fmt: skip


def flaky(*, days: Annotated[int, typer.Option(min=1, max=90)] = 7, json: Json = False) -> None:
    """Show tests that both passed and failed on the same version and commit."""
    with connect() as client:
        answer = client.get("/flaky", {"days": days})
    if json:
        output.as_json(answer)
        return
    output.table(
        ("test", "of", "commit", "runs", "failed"),
        [
            (t["testName"], t["definition"], t["commit"] and t["commit"][:12], t["totalRuns"], f"{t['failureRate']} %")
            for t in answer["tests"]
        ],
        spare=("commit",),
    )


def secret_set(
    name: Annotated[str, typer.Argument(help="As in ${secrets.name}.", show_default=False)],
    reference: Annotated[str, typer.Argument(help="env:NAME or file:PATH, as the worker sees it.", show_default=False)],
    *,
    team: Annotated[str, typer.Option(help="Only for this team. Without it, for all teams.")] = "",
    json: Json = False,
) -> None:
    """Give a secret a reference to where its value is stored."""
    with connect() as client:
        answer = client.put(f"/secrets/{quote(name, safe='')}", {"reference": reference, "team": team})
    output.as_json(answer) if json else output.say(f"{name} now refers to {reference}")


def secret_list(*, json: Json = False) -> None:
    """List the names and references of all secrets."""
    with connect() as client:
        answer = client.get("/secrets")
    if json:
        output.as_json(answer)
        return
    output.table(("name", "team", "reference"), [(s["name"], s["team"], s["reference"]) for s in answer["secrets"]])


def secret_rm(
    name: Annotated[str, typer.Argument(show_default=False)],
    *,
    team: Annotated[str, typer.Option(help="The secret of this team.")] = "",
    json: Json = False,
) -> None:
    """Remove the reference of a secret."""
    with connect() as client:
        client.delete(f"/secrets/{quote(name, safe='')}?team={quote(team, safe='')}")
    output.as_json({"removed": name, "team": team}) if json else output.say(f"removed {name}")


def validate(
    file: File,
    *,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the file. Repeatable.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a file without a server, and list every problem."""
    from cli.suite_file import load  # noqa: PLC0415  the checks of the model load Pydantic
    from model.suite import Suite  # noqa: PLC0415

    loaded = load(file, settings or [])
    kind = "suite" if isinstance(loaded, Suite) else "test"
    answer = {"valid": True, "kind": kind, "name": loaded.name}
    output.as_json(answer) if json else output.say(f"{file}: a valid {kind}, {loaded.name}")


class FileKind(StrEnum):
    """A kind of file."""

    SUITE = "suite"
    TEST = "test"


def schema(
    kind: Annotated[FileKind, typer.Argument(help="The kind of file.")] = FileKind.SUITE,
    *,
    json: Annotated[bool, typer.Option("--json", help="Not needed: a schema is always JSON.")] = False,  # noqa: ARG001
) -> None:
    """Write the JSON Schema of suite or test files, with which an editor completes and checks them."""
    from model.file_schema import schema_of  # noqa: PLC0415  the model loads Pydantic

    output.as_json(schema_of(kind))


def deploy(
    file: Annotated[Path, typer.Argument(help="A suite in YAML or JSON.", show_default=False)],
    *,
    json: Json = False,
) -> None:
    """Make or update the deployment of a suite in Prefect, with the schedules of its file, and show the next runs."""
    from cli.deploying import as_data, deploy_file, in_words  # noqa: PLC0415  Prefect takes seconds to load

    deployed, now = deploy_file(file), datetime.now(UTC)  # noqa: TID251  a command is its own wiring
    if json:
        output.as_json(as_data(deployed, now))
        return
    output.data(deployed.name)
    for line in in_words(deployed, now):
        output.say(line)
