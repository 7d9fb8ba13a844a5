"""The commands about runs of experiments: run, abort, status, show, list, report, stop, resume, target."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from cli import output
from cli.chaos_approvals import in_words
from cli.chaos_watch import ENDED, watch_execution
from cli.connection import connect
from cli.failure import UsageError
from cli.parameters import Json, Limit, Offset, run_id, say_more

if TYPE_CHECKING:
    from cli.client import Client  # httpx loads slowly

File = Annotated[Path, typer.Argument(help="The file of the experiment.", show_default=False)]
Execution = Annotated[
    str,
    typer.Argument(
        help="The id of a run of an experiment, or any unique beginning or end of it.",
        callback=run_id,
        show_default=False,
    ),
]
Path_ = Annotated[
    str, typer.Argument(metavar="PATH", help="The path of a target, such as local/shop/payments.", show_default=False)
]
Reason = Annotated[str, typer.Option(help="Why, for everybody who asks.", show_default=False)]
EXECUTIONS = "/chaos/executions"


def mount(group: typer.Typer) -> None:
    """Add the commands to the group of experiments."""
    for name, command, example in (
        ("run", run, "assay chaos run examples/chaos/payments-killed.yaml"),
        ("deploy", deploy, "assay chaos deploy examples/chaos/payments-slow.yaml"),
        ("abort", abort, "assay chaos abort 3f9a01c2"),
        ("status", status, "assay chaos status 3f9a01c2"),
        ("show", show, "assay chaos show 3f9a01c2"),
        ("list", list_executions, "assay chaos list --status running"),
        ("report", report, "assay chaos report 3f9a01c2 --output report.html"),
        ("stop", stop, 'assay chaos stop --reason "an incident is open"'),
        ("resume", resume, "assay chaos resume"),
    ):
        group.command(name, epilog=f"Example: {example}")(command)
    target = typer.Typer(name="target", no_args_is_help=True, rich_markup_mode=None)
    target.callback(help="Keep experiments off a target.", epilog="Example: assay chaos target list")(_nothing)
    target.command("cordon", epilog="Example: assay chaos target cordon local/shop/payments --reason migration")(cordon)
    target.command("uncordon", epilog="Example: assay chaos target uncordon local/shop/payments")(uncordon)
    target.command("list", epilog="Example: assay chaos target list")(list_cordons)
    group.add_typer(target)


def _nothing() -> None:
    """Do nothing: the subcommands do the work."""


def run(
    file: File,
    *,
    watch: Annotated[bool, typer.Option(help="Wait for the verdict and end with its exit code.")] = True,
    pool: Annotated[str, typer.Option(help="The pool whose gate admits it.")] = "default",
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Not before this time, with its zone: 2027-01-31T09:00:00+01:00."),
    ] = None,
    json: Json = False,
) -> None:
    """Run an experiment, show how far it is, and end with the exit code of its verdict."""
    from chaos.experiment_reading import experiment_to_raw  # noqa: PLC0415  the checks load Pydantic
    from cli.chaos_file import read_experiment  # noqa: PLC0415

    raw = experiment_to_raw(read_experiment(file))
    with connect() as client:
        made = client.post("/chaos/experiments", raw)
        query = urlencode({"pool": pool, **({"at": at} if at else {})})
        started = client.post(f"/chaos/experiments/{made['experimentId']}/run?{query}")
        output.say(f"submitted {started['executionId']}")
        if watch:
            _end_with_verdict(client, started["executionId"], json=json)
        output.as_json(started) if json else output.data(started["executionId"])


def _end_with_verdict(client: "Client", execution: str, *, json: bool) -> None:
    ended = watch_execution(client, execution)
    output.as_json(ended) if json else _write_verdict(ended)
    raise typer.Exit(ended["exitCode"])


def _write_verdict(ended: Any) -> None:
    output.data("\t".join((ended["shortId"], ended["status"], verdict(ended), ended["name"])))
    if ended["reason"]:
        output.say(f"{ended['shortId']}: {ended['reason']}")
    output.say(f"report: assay chaos report {ended['shortId']} --output report.html")


def verdict(execution: Any) -> str:
    """Return what is known about the hypothesis, in words."""
    validated = {True: "the hypothesis held", False: "the hypothesis did not hold", None: "nothing is known"}
    word: str = validated[execution["hypothesisValidated"]]
    return word if execution["ending"] in {"judged", None} else f"{execution['ending']}, {word}"


def deploy(file: File, *, json: Json = False) -> None:
    """Make or update the deployment of an experiment in Prefect, with its game days, and show the next runs."""
    from cli.deploying import as_data, deploy_experiment_file, in_words, whose_rules  # noqa: PLC0415  loads Prefect

    deployed, now = deploy_experiment_file(file), datetime.now(UTC)  # noqa: TID251  a command is its own wiring
    output.say(whose_rules(deployed.name))
    if json:
        output.as_json(as_data(deployed, now))
        return
    output.data(deployed.name)
    for line in in_words(deployed, now):
        output.say(line)


def abort(execution: Execution, *, json: Json = False) -> None:
    """Abort a run: its faults are reverted at once. Again changes nothing."""
    with connect() as client:
        answer = client.post(f"{EXECUTIONS}/{execution}/abort")
    if json:
        output.as_json(answer)
        return
    over = answer["status"] in ENDED
    said = f"had ended already: {answer['status']}" if over else f"{answer['status']}, its end was asked for"
    output.say(f"{answer['shortId']}: {said}")


def status(execution: Execution, *, json: Json = False) -> None:
    """Show how far a run is: its step, what was seen, and when the step ends at the latest."""
    with connect() as client:
        answer = client.get(f"{EXECUTIONS}/{execution}")
    if json:
        output.as_json(answer)
        return
    progress = answer["progress"] or {}
    output.facts(
        [
            ("run", answer["executionId"]),
            ("experiment", answer["name"]),
            ("status", answer["status"]),
            ("waits", answer["waitReason"]),
            ("approval", in_words(answer["approval"])),
            ("digest", answer["approval"]["digest"] if answer["approval"] else None),
            ("step", progress.get("step")),
            ("step ends", output.soon(progress.get("stepEndsAt"))),
            ("requests", progress.get("requests")),
            ("looks", progress.get("looks")),
            ("verdict", verdict(answer) if answer["completedAt"] else None),
            ("reason", answer["reason"]),
        ]
    )


def show(execution: Execution, *, json: Json = False) -> None:
    """Show what a run that has ended found. `--json` writes its journal: everything that it has seen and done."""
    with connect() as client:
        journal = client.get(f"{EXECUTIONS}/{execution}/journal")
    if json:
        output.as_json(journal)
        return
    parts = [(one["slo"], one["judgement"], one["reason"]) for one in journal["slos"]]
    parts += [
        (one["check"], one["judgement"], f"longest row of misses: {one['longestMiss']}")
        for one in journal["healthChecks"]
    ]
    output.table(("part of the hypothesis", "judgement", "why"), parts)
    output.table(
        ("fault", "target", "status", "effect"),
        [(one["name"], one["target"], one["status"], one["effect"]) for one in journal["faults"]],
    )
    if journal.get("errorBudgets"):
        _write_budgets(journal["errorBudgets"])
    if comparison := journal.get("comparison"):
        _write_comparison(comparison)
    output.say(f"{journal['verdict']}: {journal['reason']}")


def _write_comparison(comparison: Any) -> None:
    output.table(
        ("compared with the last run", "what", "the last time", "now", "same within", "change"),
        [
            (one["part"], one["what"], one["before"], one["now"], one["bound"] or None, one["change"])
            for one in comparison["differences"]
        ],
    )
    output.say(comparison["sentence"])


def _write_budgets(budgets: Any) -> None:
    output.table(
        ("error budget of", "window", "planned", "allowed", "spent"),
        [
            (
                one["slo"],
                f"{one['windowDays']} days",
                f"up to {one['plannedPercent']:.2g}%",
                None if one["allowedPercent"] is None else f"{one['allowedPercent']:g}%",
                None if one["spentPercent"] is None else f"{one['spentPercent']:.2g}%",
            )
            for one in budgets
        ],
    )


def list_executions(
    *,
    status: Annotated[str | None, typer.Option(help="scheduled, running, completed, aborted or failed.")] = None,
    limit: Limit = 20,
    offset: Offset = 0,
    json: Json = False,
) -> None:
    """List runs of experiments, newest first."""
    with connect() as client:
        answer = client.get(EXECUTIONS, {"status": status, "limit": limit, "offset": offset})
    if json:
        output.as_json(answer)
        return
    output.table(
        ("run", "status", "experiment", "submitted", "verdict"),
        [
            (
                one["shortId"],
                one["status"],
                one["name"],
                output.moment(one["submittedAt"]),
                verdict(one) if one["completedAt"] else None,
            )
            for one in answer["executions"]
        ],
    )
    say_more(answer, len(answer["executions"]))


def report(
    execution: Execution,
    *,
    file: Annotated[Path | None, typer.Option("--output", help="Where it is written. Default: stdout.")] = None,
    toolkit: Annotated[bool, typer.Option("--toolkit", help="Write a journal of Chaos Toolkit.")] = False,
    json: Json = False,
) -> None:
    """Write the report of a run that has ended: one HTML file. `--json` writes its journal instead."""
    with connect() as client:
        content = client.text(f"{EXECUTIONS}/{execution}/{'journal' if json or toolkit else 'report'}")
    if toolkit:
        content = _toolkit(content)
    if file is None:
        output.raw(content)
        return
    try:
        file.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error}") from error
    output.say(f"wrote {file}")


def _toolkit(content: bytes) -> bytes:
    """Return our journal as one of Chaos Toolkit."""
    from json import dumps, loads  # noqa: PLC0415

    from reports.toolkit_journal import toolkit_journal  # noqa: PLC0415

    return dumps(toolkit_journal(loads(content)), indent=2, ensure_ascii=False).encode()


def stop(*, reason: Reason, json: Json = False) -> None:
    """Abort all experiments, and let none begin until `assay chaos resume`."""
    with connect() as client:
        answer = client.post("/chaos/stop", {"reason": reason})
    if json:
        output.as_json(answer)
    else:
        output.say(f"all experiments are stopped; {len(answer['aborted'])} were aborted: {answer['reason']}")


def resume(*, json: Json = False) -> None:
    """Allow experiments again. Those that were aborted stay so."""
    with connect() as client:
        answer = client.post("/chaos/resume")
    output.as_json(answer) if json else output.say("experiments may run again")


def cordon(path: Path_, *, reason: Reason, json: Json = False) -> None:
    """Keep all experiments off a target."""
    with connect() as client:
        _write_cordons(client.post("/chaos/cordons", {"path": path, "reason": reason}), json=json)


def uncordon(path: Path_, *, json: Json = False) -> None:
    """Let experiments use a target again, for example after a person has looked at a residual."""
    with connect() as client:
        _write_cordons(client.delete("/chaos/cordons", {"path": path}), json=json)


def list_cordons(*, json: Json = False) -> None:
    """List the targets that no experiment may use, and why."""
    with connect() as client:
        _write_cordons(client.get("/chaos/cordons"), json=json)


def _write_cordons(answer: Any, *, json: bool) -> None:
    if json:
        output.as_json(answer)
        return
    rows = [(one["path"], output.moment(one["at"]), one["by"], one["reason"]) for one in answer["cordons"]]
    output.table(("target", "since", "by", "reason"), rows)
