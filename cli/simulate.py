"""The command `assay simulate`. It needs neither a database nor a server; `cli.simulating` does the work."""

from pathlib import Path
from typing import Annotated

import typer

from cli import output
from cli.parameters import Json

EXAMPLE = "assay simulate examples/traces/morning.csv --nodes examples/traces/nodes.csv --compare --plot morning.svg"


def mount(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("simulate", epilog=f"Example: {EXAMPLE}")(simulate)


def simulate(  # noqa: PLR0913  an option a setting
    trace: Annotated[Path, typer.Argument(help="The runs, as CSV.", show_default=False)],
    *,
    nodes: Annotated[Path, typer.Option(help="The nodes, as CSV.", show_default=False)],
    strategy: Annotated[
        list[str] | None,
        typer.Option(help="FIFO, PRIORITY (the default), FAIR_SHARE or RESOURCE_AWARE; repeatable.", metavar="NAME"),
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Run all four strategies, side by side.")] = False,
    profile: Annotated[str, typer.Option(help="How nodes are scored.", metavar="NAME")] = "default",
    max_concurrent: Annotated[
        int | None, typer.Option(min=1, help="Runs at once.", show_default="no limit but the nodes")
    ] = None,
    ageing_limit: Annotated[
        float, typer.Option(min=0, help="Seconds of waiting that one step of priority is worth.")
    ] = 3600,
    preemption: Annotated[bool, typer.Option("--preemption", help="More important runs may stop others.")] = False,
    spot: Annotated[bool, typer.Option("--spot", help="Use spot nodes too.")] = False,
    seed: Annotated[int, typer.Option(help="Decides between equal nodes.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Draw utilisation and queue over time, as SVG.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the tables as Markdown.")] = None,
    json: Json = False,
) -> None:
    """Run a trace through the scheduler in virtual time, and show waits, utilisation and fairness."""
    from cli import simulating  # noqa: PLC0415  only this command needs numpy and the scheduler
    from scheduler.values.pool import Ceiling, PoolSettings  # noqa: PLC0415

    strategies = simulating.strategies(strategy or [], every=compare)
    limits = PoolSettings(
        ceiling=Ceiling(runs=max_concurrent),
        ageing_limit=simulating.ageing(ageing_limit),
        preemption=preemption,
        profile=simulating.profile(profile),
        spot=spot,
        seed=seed,
    )
    simulating.writable(plot, report)
    reports = simulating.run(simulating.read(trace, nodes), limits, strategies)
    output.as_json(simulating.as_raw(reports)) if json else simulating.show(reports)
    simulating.write(reports, f"{trace.name} on {nodes.name}", plot=plot, report=report)
