"""The commands that explain waiting: queue and explain."""

from typing import Annotated, Any

import typer

from cli import output
from cli.connection import connect
from cli.parameters import Json, Run
from model.plural import counted

TERMS = ("total", "free", "utilisation", "affinity", "spot", "balance")
Pool = Annotated[str, typer.Option(help="The pool.")]


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`, in the order of its help."""
    app.command("queue", epilog="Example: assay queue --limit 50")(queue)
    app.command("explain", epilog="Example: assay explain 3f9a01c2")(explain)


def queue(
    *,
    pool: Pool = "default",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    offset: Annotated[int, typer.Option(min=0, max=10_000)] = 0,
    calibration: Annotated[
        bool, typer.Option("--calibration", help="Show how accurate the estimated starts of the last 7 days were.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the waiting runs in the order of the queue, each with its reason and estimated start."""
    if calibration:
        _calibration(json=json)
        return
    with connect() as client:
        answer = client.get("/queue", {"pool": pool, "limit": limit, "offset": offset})
    if json:
        output.as_json(answer)
        return
    output.table(
        ("position", "run", "name", "user", "team", "priority", "waited", "share", "starts", "reason"),
        [
            (
                e["position"],
                e["executionId"][-8:],
                e["name"],
                e["user"],
                e["team"],
                e["priority"],
                output.seconds(e["waitedSeconds"]),
                share(e["share"]),
                output.soon(e["estimatedStartTime"]),
                e["reason"],
            )
            for e in answer["entries"]
        ],
        spare=("share", "user", "waited"),
    )
    shown = offset + len(answer["entries"])
    more = f"; {answer['total'] - shown} more: --offset {shown}" if shown < answer["total"] else ""
    output.say(f"waiting in the pool {answer['pool']}: {counted(answer['total'], 'run')}{more}")


def _calibration(*, json: bool) -> None:
    with connect() as client:
        answer = client.get("/forecasts")
    if json:
        output.as_json(answer)
        return
    output.table(
        ("pool", "starts", "before p50", "before p90", "off by"),
        [
            (p["pool"], p["number"], share(p["beforeP50"]), share(p["beforeP90"]), output.seconds(p["medianError"]))
            for p in answer["pools"]
        ],
    )
    if not answer["pools"]:
        output.say(f"no run with an estimated start has started in the last {answer['days']} days")


def explain(run: Run, *, json: Json = False) -> None:
    """Show why a run waits or how it was admitted: which runs are before it, and every decision about it."""
    with connect() as client:
        answer = client.get(f"/tests/{run}/explanation")
    if json:
        output.as_json(answer)
        return
    output.facts(_facts(answer))
    if answer["waiting"]:
        _ahead(answer["waiting"]["ahead"])
    _decisions(answer["decisions"])
    for decision in answer["decisions"]:
        _candidates(decision)


def share(value: float | None) -> str | None:
    """Return a share as a percentage."""
    return None if value is None else f"{value:.1%}"


def _facts(answer: Any) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("run", answer["executionId"]),
        ("name", answer["name"]),
        ("status", f"{answer['status']} ({answer['phase']})"),
        ("pool", answer["pool"]),
        ("by", f"{answer['user']} of {answer['team']}" if answer["team"] else answer["user"]),
        ("priority", answer["priority"]),
    ]
    now = answer["waiting"]
    if now:
        of = "" if now["total"] is None else f" of {now['total']}"
        facts += [
            ("position", None if now["position"] is None else f"{now['position']}{of}"),
            ("waits", now["reason"]),
            ("waited", output.seconds(now["waitedSeconds"])),
            ("share", share(now["share"])),
            ("starts", _estimate(now["estimate"])),
        ]
    return facts


def _estimate(estimate: Any) -> str | None:
    if estimate is None:
        return None
    likely, late = output.moment(estimate["p50"]), output.moment(estimate["p90"])
    return f"about {likely}, in 9 of 10 cases before {late} (by {estimate['basis']})"


def _ahead(others: list[Any]) -> None:
    output.table(
        ("", "run", "name", "team", "priority", "share"),
        [("ahead", o["shortId"], o["name"], o["team"], o["priority"], share(o["share"])) for o in others],
    )


def _decisions(decisions: list[Any]) -> None:
    output.table(
        ("", "at", "what", "behind"),
        [("said", output.moment(d["at"]), d["text"], _behind(d)) for d in decisions],
    )


def _behind(decision: Any) -> str | None:
    """Return the runs that were before it, those that blocked it first."""
    others = {o["executionId"]: o for o in [*decision["blockedBy"], *decision["ahead"]]}
    told = [f"{o['shortId']} ({o['name']}{_told_share(o)})" for o in others.values()]
    return ", ".join(told) or None


def _told_share(other: Any) -> str:
    priority = "" if other["priority"] is None else f", priority {other['priority']}"
    return priority if other["share"] is None else f"{priority}, share {share(other['share'])}"


def _candidates(decision: Any) -> None:
    if decision["candidates"]:
        output.table(
            ("", "node", *TERMS, "at"),
            [
                (
                    "chosen" if c["chosen"] else "scored",
                    c["node"],
                    *(f"{c[term]:.3f}" for term in TERMS),
                    output.moment(decision["at"]),
                )
                for c in decision["candidates"]
            ],
        )
