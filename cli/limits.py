"""The commands about limits and order: quota and pool.

Values are sent to the server unchecked, so that it can report all problems at once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, TypeAlias
from urllib.parse import quote

import typer

from cli import output
from cli.connection import connect
from cli.failure import RefusedError, UsageError
from cli.parameters import Json

Number: TypeAlias = str | None
Switch: TypeAlias = str | None
NONE = "none"
STRATEGIES = "FIFO, PRIORITY, FAIR_SHARE or RESOURCE_AWARE."
PROFILES = "default, best-fit, spread or original."

MaxCpu = Annotated[str | None, typer.Option(help="CPU held at once, for example 4 or 500m; none: no limit.")]
MaxMemory = Annotated[str | None, typer.Option(help="Memory held at once, for example 8Gi; none: no limit.")]
MaxStorage = Annotated[str | None, typer.Option("--max-ephemeral-storage", help="Scratch disk; none: no limit.")]
MaxGpu = Annotated[str | None, typer.Option(help="GPUs held at once; none: no limit.")]
Name = Annotated[str, typer.Argument(help="The pool.")]


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`, in the order of its help."""
    quotas = typer.Typer(name="quota", rich_markup_mode=None)
    quotas.callback(invoke_without_command=True, help=quota.__doc__, epilog="Example: assay quota --team shop")(quota)
    quotas.command("set", epilog="Example: assay quota set --team shop --max-concurrent 20 --max-memory 64Gi")(
        quota_set
    )
    app.add_typer(quotas)
    pools = typer.Typer(name="pool", rich_markup_mode=None)
    pools.callback(invoke_without_command=True, help=pool.__doc__, epilog="Example: assay pool --name gpu")(pool)
    pools.command("set", epilog="Example: assay pool set default --strategy FAIR_SHARE --max-concurrent 8")(pool_set)
    pools.command("list", epilog="Example: assay pool list")(pool_list)
    pools.command("create", epilog="Example: assay pool create gpu")(pool_create)
    app.add_typer(pools)


def quota(
    context: typer.Context,
    *,
    user: Annotated[str | None, typer.Option(help="The quota of this user instead of yours.")] = None,
    team: Annotated[str | None, typer.Option(help="Only the quota of this team.")] = None,
    json: Json = False,
) -> None:
    """Show your quota and your team's, and what is left of them."""
    if context.invoked_subcommand is not None:
        return
    with connect() as client:
        _quota(client.get("/quota", {"user": user, "team": team}), json=json)


def quota_set(  # noqa: PLR0913  an option a limit
    *,
    user: Annotated[str | None, typer.Option(help="The quota of this user instead of yours.")] = None,
    team: Annotated[str | None, typer.Option(help="The quota of this team instead of a user's.")] = None,
    concurrent: Annotated[
        Number, typer.Option("--max-concurrent", "--concurrent", help="Runs that may run at once, or none.")
    ] = None,
    daily: Annotated[
        Number, typer.Option("--max-daily", "--daily", help="Runs that may be submitted a day (UTC), or none.")
    ] = None,
    max_cpu: MaxCpu = None,
    max_memory: MaxMemory = None,
    max_storage: MaxStorage = None,
    max_gpu: MaxGpu = None,
    weight: Annotated[
        Number, typer.Option(help="Weight among other owners under FAIR_SHARE; the default is 1.")
    ] = None,
    json: Json = False,
) -> None:
    """Change a quota. Options that are not given stay; `none` removes a limit. No run is stopped."""
    changes = {
        "maxConcurrentTests": number(concurrent),
        "maxDailyTests": number(daily),
        **_sums(max_cpu, max_memory, max_storage, max_gpu),
        "weight": number(weight),
        "user": ... if user is None else user,
        "team": ... if team is None else team,
    }
    with connect() as client:
        _quota(client.put("/quota", body(changes)), json=json)


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
        _pool(client.get(_address(name)), json=json)


def pool_set(  # noqa: PLR0913  an option a setting
    name: Name = "default",
    *,
    strategy: Annotated[str | None, typer.Option(help=f"The order of the queue: {STRATEGIES}")] = None,
    max_concurrent: Annotated[Number, typer.Option(help="Runs at once in the whole pool, besides experiments.")] = None,
    max_experiments: Annotated[Number, typer.Option(help="Chaos experiments at once in the whole pool.")] = None,
    max_daily: Annotated[Number, typer.Option(help="Runs that may be submitted a day (UTC), or none.")] = None,
    max_cpu: MaxCpu = None,
    max_memory: MaxMemory = None,
    max_storage: MaxStorage = None,
    max_gpu: MaxGpu = None,
    profile: Annotated[str | None, typer.Option(help=f"How nodes are scored: {PROFILES}")] = None,
    candidates: Annotated[Number, typer.Option(help="Nodes that a run may be bound to, 2 to 5.")] = None,
    ageing_limit: Annotated[Number, typer.Option(help="Seconds of waiting that one step of priority is worth.")] = None,
    backfill_after: Annotated[
        Number, typer.Option(help="Seconds of waiting after which a node is reserved for the first blocked run.")
    ] = None,
    half_life: Annotated[Number, typer.Option(help="Seconds after which past usage counts half (FAIR_SHARE).")] = None,
    preemption: Annotated[Switch, typer.Option(help="on: a more important run may stop restartable ones.")] = None,
    min_runtime: Annotated[Number, typer.Option(help="Seconds that a test runs before it can be stopped.")] = None,
    spot: Annotated[Switch, typer.Option(help="on: runs may go to spot nodes.")] = None,
    utilisation: Annotated[
        Number, typer.Option("--target-utilisation", "--utilization", help="Utilisation of a node to aim at, up to 1.")
    ] = None,
    interval: Annotated[
        Number, typer.Option(help="Longest time in seconds between two passes while nothing happens.")
    ] = None,
    selector: Annotated[
        list[str] | None,
        typer.Option("--default-selector", metavar="KEY=VALUE", help="A label that nodes must have, or none."),
    ] = None,
    fixed_nodes: Annotated[
        Switch, typer.Option(help="on: no larger node will be added, so a test larger than every node is refused.")
    ] = None,
    json: Json = False,
) -> None:
    """Change the settings of a pool. Options that are not given stay. Changes take effect with the next pass."""
    changes = {
        "strategy": text(strategy),
        "maxConcurrentTests": number(max_concurrent),
        "maxConcurrentExperiments": number(max_experiments),
        "maxDailyTests": number(max_daily),
        **_sums(max_cpu, max_memory, max_storage, max_gpu),
        "profile": text(profile),
        "candidates": number(candidates),
        "ageingLimitSeconds": number(ageing_limit),
        "backfillAfterSeconds": number(backfill_after),
        "halfLifeSeconds": number(half_life),
        "preemption": switch(preemption),
        "minRuntimeSeconds": number(min_runtime),
        "enableSpotInstances": switch(spot),
        "targetNodeUtilization": number(utilisation),
        "schedulingIntervalSeconds": number(interval),
        "defaultNodeSelector": _labels(selector),
        "fixedNodes": switch(fixed_nodes),
    }
    with connect() as client, _in_words_of(selector):
        _pool(client.put(_address(name), body(changes)), json=json)


def pool_list(*, json: Json = False) -> None:
    """List the pools."""
    with connect() as client:
        answer = client.get("/pools")
    if json:
        output.as_json(answer)
        return
    output.table(
        ("pool", "strategy", "runs at once", "profile", "nodes"),
        [
            (
                p["name"],
                p["strategy"],
                p["maxConcurrentTests"],
                p["profile"],
                "fixed" if p["fixedNodes"] else "may grow",
            )
            for p in answer["pools"]
        ],
    )


def pool_create(
    name: Annotated[str, typer.Argument(help="The new pool.", show_default=False)], *, json: Json = False
) -> None:
    """Add a pool with default settings. `assay pool set` changes them; a worker must serve the pool."""
    with connect() as client:
        _pool(client.post("/pools", {"name": name}), json=json)


def number(given: str | None) -> object:
    """Return the value to send: a number, None for `none`, and any other text unchanged."""
    known = text(given)
    if not isinstance(known, str):
        return known
    try:
        value = float(known)
    except ValueError:
        return known
    if not math.isfinite(value):
        return known
    return int(known) if known.lstrip("+-").isdecimal() else value


def switch(given: str | None) -> object:
    """Return the value to send for on or off: a boolean, and any other text unchanged."""
    known = text(given)
    return {"on": True, "off": False}.get(known.lower(), known) if isinstance(known, str) else known


def text(given: str | None) -> object:
    """Return the value to send: None for `none`, else the text."""
    return ... if given is None else None if given.lower() == NONE else given


def body(changes: Mapping[str, object]) -> dict[str, object]:
    """Return the body of a change: options that were not given are left out, `none` is null."""
    return {key: value for key, value in changes.items() if value is not ...}


def _sums(cpu: str | None, memory: str | None, storage: str | None, gpu: str | None) -> dict[str, object]:
    return {
        "maxCpu": text(cpu),
        "maxMemory": text(memory),
        "maxEphemeralStorage": text(storage),
        "maxGpu": number(gpu),
    }


def _labels(pairs: Sequence[str] | None) -> object:
    """Return labels as an object; malformed ones unchanged, so that the server refuses them with all other problems."""
    if not pairs:
        return ...
    if list(pairs) == [NONE]:
        return {}
    return list(pairs) if _wrong(pairs) else dict(pair.partition("=")[::2] for pair in pairs)


def _wrong(pairs: Sequence[str] | None) -> str:
    """Return what is wrong with labels, or an empty text."""
    keys = [pair.partition("=")[0] for pair in pairs or () if "=" in pair]
    if bare := [pair for pair in pairs or () if "=" not in pair]:
        return "" if bare == [NONE] and not keys else f"write key=value, or none alone, not {', '.join(bare)}"
    return "".join(f"{key} is given twice" for key in sorted({key for key in keys if keys.count(key) > 1})[:1])


@contextmanager
def _in_words_of(pairs: Sequence[str] | None) -> Iterator[None]:
    """Report a problem of the labels in the words of the command line."""
    try:
        yield
    except RefusedError as error:
        wrong = _wrong(pairs)
        told = [
            replace(problem, message=wrong) if wrong and problem.path == "defaultNodeSelector" else problem
            for problem in error.problems
        ]
        raise RefusedError(error.status, str(error), told) from error


def _address(name: str) -> str:
    if not name:
        raise UsageError("the pool's name must not be empty: `assay pool list` names all")
    return f"/pools/{quote(name, safe='')}"


def _quota(answer: Any, *, json: bool) -> None:
    if json:
        output.as_json(answer)
        return
    uses = [(kind, answer[kind]) for kind in ("user", "team") if answer[kind]]
    output.table(
        ("of", "name", "running", "today", "left today", "cpu", "memory", "storage", "gpu", "weight"),
        [
            (
                kind,
                use["name"],
                _of(use["concurrent"], use["maxConcurrentTests"]),
                _of(use["today"], use["maxDailyTests"]),
                NONE if use["remainingToday"] is None else use["remainingToday"],
                _of(use["held"]["cpu"], use["maxCpu"]),
                _of(use["held"]["memory"], use["maxMemory"]),
                _of(use["held"]["ephemeralStorage"], use["maxEphemeralStorage"]),
                _of(use["held"]["gpu"], use["maxGpu"]),
                f"{use['weight']:g}",
            )
            for kind, use in uses
        ],
    )


def _of(used: object, most: object) -> str:
    return f"{used}" if most is None else f"{used} of {most}"


def _pool(answer: Any, *, json: bool) -> None:
    if json:
        output.as_json(answer)
        return
    labels = [f"{key}={value}" for key, value in answer["defaultNodeSelector"].items()]
    output.facts(
        [
            ("pool", answer["name"]),
            ("strategy", answer["strategy"]),
            ("runs at once", answer["maxConcurrentTests"]),
            ("experiments", answer["maxConcurrentExperiments"]),
            ("runs a day", answer["maxDailyTests"]),
            ("cpu at once", answer["maxCpu"]),
            ("memory at once", answer["maxMemory"]),
            ("storage at once", answer["maxEphemeralStorage"]),
            ("gpus at once", answer["maxGpu"]),
            ("profile", answer["profile"]),
            ("candidates", answer["candidates"]),
            ("ageing limit", output.seconds(answer["ageingLimitSeconds"])),
            ("backfill after", output.seconds(answer["backfillAfterSeconds"])),
            ("half-life", output.seconds(answer["halfLifeSeconds"])),
            ("preemption", f"after {output.seconds(answer['minRuntimeSeconds'])}" if answer["preemption"] else "off"),
            ("spot nodes", "on" if answer["enableSpotInstances"] else "off"),
            ("utilisation", answer["targetNodeUtilization"]),
            ("interval", output.seconds(answer["schedulingIntervalSeconds"])),
            ("node labels", ", ".join(labels)),
            ("nodes", _fixed(answer)),
        ]
    )


def _fixed(answer: Any) -> str:
    return "fixed" if answer["fixedNodes"] else "may grow"
