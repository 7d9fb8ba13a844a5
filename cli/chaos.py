"""Commands for experiments that need no server: validate, plan, providers. Others have modules of their own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import chaos_approvals, chaos_connections, chaos_import, chaos_render, chaos_runs, chaos_score, output
from cli.chaos_file import read_experiment
from cli.failure import CommandError
from cli.parameters import Json
from model.fault import EXIT_REFUSED

if TYPE_CHECKING:
    from chaos.experiment import Experiment
    from chaos.plan import Plan

File = Annotated[Path, typer.Argument(help="The file of the experiment.", show_default=False)]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(envvar="KUBECONFIG", help="How to reach the cluster.", show_default=False),
]


class PlanError(CommandError):
    """The targets cannot be looked at: start the services, or name a target of a local environment."""


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(name="chaos", no_args_is_help=True, rich_markup_mode=None)
    group.callback(help="Plan and run chaos experiments.", epilog="Example: assay chaos providers")(_nothing)
    group.command("validate", epilog="Example: assay chaos validate examples/chaos/payments-killed.yaml")(validate)
    group.command("plan", epilog="Example: assay chaos plan examples/chaos/payments-killed.yaml")(plan)
    group.command("providers", epilog="Example: assay chaos providers --json")(providers)
    group.command("render", epilog="Example: assay chaos render examples/chaos/payments-slow.yaml")(chaos_render.render)
    group.command("import", epilog="Example: assay chaos import experiment.json --cluster staging")(
        chaos_import.import_experiment
    )
    chaos_runs.mount(group)
    group.command("score", epilog="Example: assay chaos score payments")(chaos_score.score)
    chaos_approvals.mount(group)
    chaos_connections.mount(group)
    app.add_typer(group)


def _nothing() -> None:
    """Do nothing: the subcommands do the work."""


def validate(file: File, *, json: Json = False) -> None:
    """Check an experiment, and show every problem with its path."""
    from chaos.experiment_reading import experiment_to_raw  # noqa: PLC0415

    experiment = read_experiment(file)
    if json:
        output.as_json(experiment_to_raw(experiment))
    else:
        output.say(f"{file}: {experiment.name} is valid")


def plan(file: File, *, kubeconfig: Kubeconfig = None, json: Json = False) -> None:
    """Show what an experiment would do to which processes or pods, and every reason against it. Nothing is done."""
    experiment = read_experiment(file)
    made = _planned(experiment, kubeconfig)
    output.as_json(_raw(made)) if json else _show(made)
    if made.problems:
        raise typer.Exit(EXIT_REFUSED)


def providers(*, json: Json = False) -> None:
    """Show which fault is real with which provider, what it needs, and why it is refused."""
    from chaos.provider import CAPABILITIES  # noqa: PLC0415

    rows = [
        (str(provider), str(kind), not one.refused, one.how, one.needs, one.refused)
        for (provider, kind), one in CAPABILITIES.items()
    ]
    heads = ("provider", "fault", "real", "how", "needs", "refused")
    if json:
        output.as_json([dict(zip(heads, row, strict=True)) for row in rows])
    else:
        shown = [(row[0], row[1], "yes" if row[2] else "no", row[3] or row[5], row[4]) for row in rows]
        output.table(("provider", "fault", "real", "how, or why not", "needs"), shown)


def _planned(experiment: "Experiment", kubeconfig: Path | None) -> "Plan":
    import asyncio  # noqa: PLC0415

    from chaos.plan import plan as made_of  # noqa: PLC0415
    from chaos.targets import resolve  # noqa: PLC0415
    from cli.stack.state import StateFolder  # noqa: PLC0415
    from cluster.backend_factory import ClusterSettings  # noqa: PLC0415
    from cluster.fault_providers import PlaceError, PlaceSettings, open_place  # noqa: PLC0415

    name = experiment.target.cluster
    if name is not None and kubeconfig is None:
        raise PlanError("to look at pods with your own rights, name a configuration: --kubeconfig FILE")
    own = {str(name): ClusterSettings(name=str(name), namespace="", image="", kubeconfig=f"file:{kubeconfig}")}
    settings = PlaceSettings(state=StateFolder.find().path, clusters=own if name else {})
    try:
        place = open_place(experiment.target, settings)
        found = asyncio.run(place.targets.find(experiment.target))
    except PlaceError as error:
        raise PlanError(str(error)) from error
    resolution = resolve(experiment, found.candidates, found.graph)
    return made_of(experiment, resolution, there=found.providers)


def _show(made: "Plan") -> None:
    output.table(
        ("target", "service", "known by"),
        [(one.name, one.service, one.identity) for one in made.resolution.targets],
    )
    output.table(
        ("fault", "from", "to", "by", "how", "why so"),
        [
            (one.fault.name, f"{one.begins:g} s", f"{one.ends:g} s", one.provider, one.how, one.why)
            for one in made.faults
        ],
    )
    output.table(
        ("SLO", "readings", "smallest p", "A/A check"),
        [
            (
                one.slo,
                f"{one.readings[0]} and {one.readings[1]}",
                "-" if one.smallest_p is None else f"{one.smallest_p:.2g}",
                "possible" if one.noise_check else "not possible",
            )
            for one in made.slos
        ],
    )
    if made.prices:
        _show_prices(made)
    if made.claims:
        output.say(f"claims {', '.join(made.claims)}; takes at most {made.seconds:g} s after its admission")
    for problem in made.problems:
        output.say(f"refused: {problem}")


def _show_prices(made: "Plan") -> None:
    output.table(
        ("error budget of", "costs up to", "burn rate", "bad requests"),
        [
            (
                f"{one.slo}, {one.window.days} days",
                f"{one.percent:.3g}%",
                f"{one.burn_rate:.3g}",
                "-" if one.bad_requests is None else f"{one.bad_requests:.0f}",
            )
            for one in made.prices
        ],
    )


def _raw(made: "Plan") -> dict[str, object]:
    return {
        "experiment": made.experiment,
        "provider": made.provider.value,
        "targets": [
            {"place": one.place, "service": one.service, "name": one.name, "identity": one.identity}
            for one in made.resolution.targets
        ],
        "of": made.resolution.of,
        "callers": list(made.resolution.callers),
        "trafficShare": made.resolution.traffic_share,
        "claims": list(made.claims),
        "seconds": made.seconds,
        "errorBudgets": [
            {
                "slo": one.slo,
                "windowDays": one.window.days,
                "percent": one.percent,
                "burnRate": one.burn_rate,
                "badRequests": one.bad_requests,
            }
            for one in made.prices
        ],
        "faults": [
            {
                "name": one.fault.name,
                "type": one.fault.type.value,
                "begins": one.begins,
                "ends": one.ends,
                "how": one.how,
                "provider": one.provider,
                "why": one.why,
            }
            for one in made.faults
        ],
        "problems": list(made.problems),
    }
