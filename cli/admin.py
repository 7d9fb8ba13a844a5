"""The commands about the house: queue, nodes, quota, pool, secret, deploy, validate."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import output
from cli.place import connect
from cli.runs import Json

Pool = Annotated[str, typer.Option(help="The pool.")]
File = Annotated[Path, typer.Argument(help="A test or a suite in YAML or JSON.", show_default=False)]


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`, in the order of its help."""
    for name, command, example in (
        ("queue", queue, "assay queue --limit 50"),
        ("nodes", nodes, "assay nodes --json"),
        ("stats", stats, "assay stats"),
        ("flaky", flaky, "assay flaky --days 14"),
        ("validate", validate, "assay validate examples/suites/orders.yaml"),
        ("deploy", deploy, "assay deploy examples/suites/nightly.yaml"),
    ):
        app.command(name, epilog=f"Example: {example}")(command)
    app.add_typer(_group("quota", quota, "assay quota", ("set", quota_set, "assay quota set --concurrent 20")))
    app.add_typer(_group("pool", pool, "assay pool", ("set", pool_set, "assay pool set --max-concurrent 8")))
    secrets = _group("secret", None, "assay secret list", ("set", secret_set, "assay secret set api_key env:API_KEY"))
    secrets.command("list", epilog="Example: assay secret list")(secret_list)
    secrets.command("rm", epilog="Example: assay secret rm api_key")(secret_rm)
    app.add_typer(secrets)


def _group(name: str, shown: Any, example: str, setter: tuple[str, Any, str]) -> typer.Typer:
    """Make `assay NAME`, which shows, with `assay NAME set`, which changes."""
    group = typer.Typer(name=name, no_args_is_help=shown is None, rich_markup_mode=None)
    help_text = shown.__doc__ if shown else "Name secrets by reference; their values never pass through here."
    callback = group.callback(invoke_without_command=shown is not None, help=help_text, epilog=f"Example: {example}")
    callback(shown or _nothing)
    group.command(setter[0], epilog=f"Example: {setter[2]}")(setter[1])
    return group


def _nothing() -> None:
    """Stand before the subcommands."""


def queue(
    *,
    pool: Pool = "default",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    offset: Annotated[int, typer.Option(min=0, max=10_000)] = 0,
    json: Json = False,
) -> None:
    """Show what waits, in the order of service, each run with its reason."""
    with connect() as client:
        answer = client.get("/queue", {"pool": pool, "limit": limit, "offset": offset})
    if json:
        output.as_json(answer)
        return
    output.table(
        ("place", "run", "name", "priority", "since", "reason"),
        [
            (
                e["position"],
                e["executionId"][-8:],
                e["name"],
                e["priority"],
                output.moment(e["enqueuedAt"]),
                e["reason"],
            )
            for e in answer["entries"]
        ],
    )
    output.say(f"{answer['total']} wait in the pool {answer['pool']}")


def nodes(*, pool: Pool = "default", json: Json = False) -> None:
    """Show the nodes of a pool, and what runs hold of them."""
    with connect() as client:
        answer = client.get("/nodes", {"pool": pool})
    if json:
        output.as_json(answer)
        return
    output.table(
        ("node", "ready", "cpu held", "memory held", "runs"),
        [
            (
                n["name"],
                "yes" if n["ready"] else "no",
                f"{n['cpuMilliHeld']}m of {n['cpuMilli']}m",
                f"{output.size(n['memoryBytesHeld'])} of {output.size(n['memoryBytes'])}",
                n["runs"],
            )
            for n in answer["nodes"]
        ],
    )


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
    """Show the tests that both passed and failed on the same version."""
    with connect() as client:
        answer = client.get("/flaky", {"days": days})
    if json:
        output.as_json(answer)
        return
    output.table(
        ("test", "of", "runs", "failed"),
        [(t["testName"], t["definition"], t["totalRuns"], f"{t['failureRate']} %") for t in answer["tests"]],
    )


def quota(context: typer.Context, *, json: Json = False) -> None:
    """Show your quota and your team's, and what is left of them."""
    if context.invoked_subcommand is not None:
        return
    with connect() as client:
        _quota(client.get("/quota"), json=json)


def quota_set(
    *,
    concurrent: Annotated[int | None, typer.Option(min=0, help="Runs that may hold a place at once.")] = None,
    daily: Annotated[int | None, typer.Option(min=0, help="Runs that may be submitted a day (UTC).")] = None,
    team: Annotated[str | None, typer.Option(help="Of this team instead of a user.")] = None,
    user: Annotated[str | None, typer.Option(help="Of this user instead of yourself.")] = None,
    json: Json = False,
) -> None:
    """Change a quota; what is not given stays as it is."""
    body = {"maxConcurrentTests": concurrent, "maxDailyTests": daily, "team": team, "user": user}
    with connect() as client:
        _quota(client.put("/quota", {name: value for name, value in body.items() if value is not None}), json=json)


def _quota(answer: Any, *, json: bool) -> None:
    if json:
        output.as_json(answer)
        return
    uses = [("user", answer["user"]), *([("team", answer["team"])] if answer["team"] else [])]
    output.table(
        ("of", "name", "running", "today", "left today"),
        [
            (
                kind,
                use["name"],
                f"{use['concurrent']} of {use['maxConcurrentTests']}",
                f"{use['today']} of {use['maxDailyTests']}",
                use["remainingToday"],
            )
            for kind, use in uses
        ],
    )


def pool(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Option(help="The pool.")] = "default",
    json: Json = False,
) -> None:
    """Show the settings of a pool."""
    if context.invoked_subcommand is not None:
        return
    with connect() as client:
        _pool(client.get(f"/pools/{quote(name, safe='')}"), json=json)


def pool_set(  # noqa: PLR0913  an option a setting
    *,
    name: Annotated[str, typer.Option(help="The pool.")] = "default",
    max_concurrent: Annotated[int | None, typer.Option(min=0, help="Runs at once in the whole pool.")] = None,
    strategy: Annotated[str | None, typer.Option(help="FIFO or PRIORITY.")] = None,
    ageing_limit: Annotated[float | None, typer.Option(min=0, help="Seconds after which nothing may overtake.")] = None,
    interval: Annotated[float | None, typer.Option(min=0.1, help="Seconds between two passes of a worker.")] = None,
    utilization: Annotated[float | None, typer.Option(min=0, max=1, help="Share of a node to aim at.")] = None,
    json: Json = False,
) -> None:
    """Change the settings of a pool; what is not given stays as it is."""
    body = {
        "maxConcurrentTests": max_concurrent,
        "strategy": strategy,
        "ageingLimitSeconds": ageing_limit,
        "schedulingIntervalSeconds": interval,
        "targetNodeUtilization": utilization,
    }
    changes = {key: value for key, value in body.items() if value is not None}
    with connect() as client:
        _pool(client.put(f"/pools/{quote(name, safe='')}", changes), json=json)


def _pool(answer: Any, *, json: bool) -> None:
    if json:
        output.as_json(answer)
        return
    output.facts(
        [
            ("pool", answer["name"]),
            ("strategy", answer["strategy"]),
            ("runs at once", answer["maxConcurrentTests"]),
            ("ageing limit", output.seconds(answer["ageingLimitSeconds"])),
            ("interval", output.seconds(answer["schedulingIntervalSeconds"])),
            ("utilization", answer["targetNodeUtilization"]),
        ]
    )


def secret_set(
    name: Annotated[str, typer.Argument(help="As in ${secrets.name}.", show_default=False)],
    reference: Annotated[str, typer.Argument(help="env:NAME or file:PATH, as the worker sees it.", show_default=False)],
    *,
    team: Annotated[str, typer.Option(help="Only for this team; else for all.")] = "",
    json: Json = False,
) -> None:
    """Name a secret by a reference to where its value is kept."""
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
    team: Annotated[str, typer.Option(help="That of this team.")] = "",
    json: Json = False,
) -> None:
    """Forget a secret's reference."""
    with connect() as client:
        client.delete(f"/secrets/{quote(name, safe='')}?team={quote(team, safe='')}")
    output.as_json({"removed": name, "team": team}) if json else output.say(f"removed {name}")


def validate(
    file: File,
    *,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the file; repeatable.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a file without a server, and say every problem at once."""
    from cli.suite_file import load  # noqa: PLC0415  the model's checks load Pydantic
    from model.suite import Suite  # noqa: PLC0415

    loaded = load(file, settings or [])
    kind = "suite" if isinstance(loaded, Suite) else "test"
    answer = {"valid": True, "kind": kind, "name": loaded.name}
    output.as_json(answer) if json else output.say(f"{file}: a valid {kind}, {loaded.name}")


def deploy(
    file: Annotated[Path, typer.Argument(help="A suite in YAML or JSON.", show_default=False)],
    *,
    json: Json = False,
) -> None:
    """Make or update a suite's deployment in Prefect, with the schedules that its file has."""
    from cli.deploying import deploy_file  # noqa: PLC0415  Prefect takes seconds to load

    name = deploy_file(file)
    output.as_json({"deployment": name}) if json else output.data(name)
