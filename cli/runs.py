"""The commands about runs: run, list, show, logs, results, artifacts, cancel, retry."""

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import output
from cli.connection import connect, names_of_secrets
from cli.failure import UsageError
from cli.watch import counts, describe, detachable, drawn, starts, watch_execution, watch_suite


def _id(text: str) -> str:
    """Return the text if it can be part of a run's id. Raises: UsageError."""
    if re.fullmatch("[0-9a-fA-F-]+", text):
        return text
    raise UsageError(f"{text!r} is not part of a run's id, which has only 0-9, a-f and '-': `assay list` shows the ids")


Json = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]
Run = Annotated[
    str,
    typer.Argument(help="The id of a run, or any unique beginning or end of it.", callback=_id, show_default=False),
]


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`, in the order of its help."""
    for name, command, example in (
        ("run", run, "assay run examples/suites/orders.yaml --set config.timeout=60"),
        ("list", list_runs, "assay list --status failed --limit 5"),
        ("show", show, "assay show 3f9a01c2"),
        ("logs", logs, "assay logs -f 3f9a01c2"),
        ("results", results, "assay results 3f9a01c2 --junit report.xml"),
        ("artifacts", artifacts, "assay artifacts 3f9a01c2 screenshots/cart.png --to cart.png"),
        ("cancel", cancel, "assay cancel 3f9a01c2"),
        ("retry", retry, "assay retry 3f9a01c2 --no-watch"),
    ):
        app.command(name, epilog=f"Example: {example}")(command)


def run(  # noqa: PLR0913  an option each
    file: Annotated[Path, typer.Argument(help="A test or a suite in YAML or JSON.", show_default=False)],
    *,
    watch: Annotated[bool, typer.Option(help="Wait for the verdict and end with its exit code.")] = True,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the file; repeatable.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, max=9, help="The priority of all tests in the file; 0 is the highest.")
    ] = None,
    pool: Annotated[str, typer.Option(help="The pool whose nodes run the tests.")] = "default",
    json: Json = False,
) -> None:
    """Run a test or a suite, and end with the exit code of its verdict."""
    from cli.suite_file import load, send_content  # noqa: PLC0415  the model's checks load Pydantic
    from model.definition import to_raw  # noqa: PLC0415
    from model.suite import Suite, suite_to_raw  # noqa: PLC0415

    chosen = [*(settings or []), *([f"priority={priority}"] if priority is not None else [])]
    loaded = load(file, chosen, names_of_secrets)
    with connect() as client:
        ready = send_content(client, loaded, file.parent)
        if isinstance(ready, Suite):
            answer = client.post(f"/suites/runs?pool={quote(pool, safe='')}", suite_to_raw(ready))
            _run_suite(client, answer, watch=watch, json=json)
        else:
            answer = client.post(f"/tests?pool={quote(pool, safe='')}", to_raw(ready))
            _run_test(client, answer, watch=watch, json=json)


def _run_test(client: Any, answer: Any, *, watch: bool, json: bool) -> None:

    execution_id = answer["executionId"]
    output.say(f"submitted {execution_id}")
    _warn(answer)
    if not watch:
        output.as_json(answer) if json else output.data(execution_id)
        return
    with detachable(execution_id):
        ended = watch_execution(client, execution_id)
    output.as_json(ended) if json else _verdicts([ended])
    raise typer.Exit(ended["exitCode"])


def _run_suite(client: Any, answer: Any, *, watch: bool, json: bool) -> None:

    suite_run_id = answer["suiteRunId"]
    output.say(f"submitted suite {suite_run_id}: {len(answer['executions'])} tests")
    _warn(answer)
    if not watch:
        output.as_json(answer) if json else output.data(suite_run_id)
        return
    with detachable(suite_run_id, suite=True):
        ended = watch_suite(client, suite_run_id)
    output.as_json(ended) if json else _verdicts(ended["executions"])
    raise typer.Exit(ended["exitCode"])


def _warn(answer: Any) -> None:
    for warning in answer["warnings"]:
        output.say(f"warning: {warning}")


def _verdicts(executions: list[Any]) -> None:
    """Write the verdicts, unless the screen shows them already, and the reason of each that is not completed."""
    if not drawn():
        output.table(
            ("run", "status", "name", "verdict"),
            [(e["shortId"], e["status"], e["name"], describe(e)) for e in executions],
        )
    for execution in executions:
        if execution["status"] != "completed":
            cause = execution["detail"] or execution["failureReason"] or execution["status"]
            output.say(f"{execution['shortId']}: {cause} (assay results {execution['shortId']})")


def list_runs(  # noqa: PLR0913  an option a filter
    *,
    status: Annotated[
        str | None, typer.Option(help="queued, running, completed, failed, cancelled or timeout.")
    ] = None,
    type_: Annotated[str | None, typer.Option("--type", help="The tool, for example pytest.")] = None,
    label: Annotated[str | None, typer.Option(help="key=value")] = None,
    tag: Annotated[str | None, typer.Option(help="A tag.")] = None,
    suite: Annotated[str | None, typer.Option(help="Only tests of this suite run.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    offset: Annotated[int, typer.Option(min=0, max=10_000)] = 0,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    query = {"status": status, "type": type_, "label": label, "tag": tag, "suiteRun": suite}
    with connect() as client:
        answer = client.get("/tests", {**query, "limit": limit, "offset": offset})
    if json:
        output.as_json(answer)
        return
    output.table(
        ("run", "status", "name", "submitted", "took", "reason"),
        [
            (e["shortId"], e["status"], e["name"], output.moment(e["submittedAt"]),
             output.seconds(e["durationSeconds"]), e["failureReason"] or e["waitReason"] or None)
            for e in answer["executions"]
        ],
    )  # fmt: skip
    shown = offset + len(answer["executions"])
    if shown < answer["total"]:
        output.say(f"{answer['total'] - shown} more: --offset {shown}")


def show(run: Run, *, json: Json = False) -> None:
    """Show one run: its state, why it waits, how it ended."""
    with connect() as client:
        answer = client.get(f"/tests/{run}")
    if json:
        output.as_json(answer)
        return
    resources = answer["resources"]
    output.facts(
        [
            ("run", answer["executionId"]),
            ("name", answer["name"]),
            ("type", answer["type"]),
            ("status", f"{answer['status']} ({answer['phase']})"),
            ("reason", answer["failureReason"]),
            ("detail", answer["detail"]),
            ("position", answer["queuePosition"]),
            ("waits", answer["waitReason"]),
            ("starts about", output.moment(answer["estimatedStartTime"])),
            ("expected", starts(answer) if answer["status"] == "queued" else None),
            ("priority", answer["priority"]),
            ("tests", counts(answer["progress"])),
            ("node", resources["nodeName"]),
            ("cpu", resources["cpuUsage"]),
            ("memory", resources["memoryUsage"]),
            ("peak cpu", resources.get("peakCpuUsage")),
            ("peak memory", resources.get("peakMemoryUsage")),
            ("suggested", _suggested(answer.get("suggested"))),
            ("commit", answer["provenance"]["commit"]),
            ("content", _short(answer["provenance"]["content"])),
            ("tools", ", ".join(f"{tool} {version}" for tool, version in answer["provenance"]["tools"].items())),
            ("submitted", output.moment(answer["submittedAt"])),
            ("by", answer["submittedBy"]),
            ("started", output.moment(answer["startedAt"])),
            ("ended", output.moment(answer["completedAt"])),
            ("took", output.seconds(answer["durationSeconds"])),
            ("suite run", answer["suiteRunId"]),
            ("retry of", answer["retriedFrom"]),
            ("cancelling", "requested" if answer["cancelRequested"] and not answer["completedAt"] else None),
            *((f"attempt {a['number']}", _attempt(a)) for a in answer["attempts"]),
        ]
    )


def _suggested(known: Any) -> str | None:
    if not known:
        return None
    requests = f"cpuRequest {known['cpuRequest']}, memoryRequest {known['memoryRequest']}"
    return f"{requests} (p95 of {known['runs']} run{'' if known['runs'] == 1 else 's'}; `auto` takes it over)"


def _short(digest: str | None) -> str | None:
    return digest and digest[:12]


def _attempt(attempt: Any) -> str:
    ended = attempt["failureReason"] or attempt["status"] or "running"
    code = "" if attempt["exitCode"] is None else f", exit code {attempt['exitCode']}"
    return f"{attempt['cause']} on {attempt['node'] or 'no node'}: {ended}{code}"


def logs(
    run: Run,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue until the run has ended.")] = False,
    json: Json = False,
) -> None:
    """Write the log of a run to stdout."""
    if follow and json:
        raise UsageError("--json and --follow exclude each other: a growing log is not a JSON document")
    with connect() as client:
        if follow:
            from cli.logs import follow as follow_log  # noqa: PLC0415  httpx takes a while to load

            with detachable(run):
                follow_log(client, run)
            return
        content = _whole_log(client, run)
    if json:
        output.as_json({"run": run, "log": content.decode("utf-8", "replace")})
    else:
        output.raw(content)


def _whole_log(client: Any, run: str) -> bytes:
    content = b""
    while piece := client.text(f"/tests/{run}/logs", {"offset": len(content)}):
        content += piece
    return content


def results(
    run: Run,
    *,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file; - means stdout.")] = None,
    attempt: Annotated[int | None, typer.Option(min=1, help="The attempt. Default: the last one with results.")] = None,
    json: Json = False,
) -> None:
    """Show the result of each test of a run."""
    with connect() as client:
        if junit is not None:
            report = client.text(f"/tests/{run}/results", _known(format="junit", attempt=attempt))
            output.raw(report) if str(junit) == "-" else _write(junit, report)
            return
        answer = _all_results(client, run, attempt)
    if answer["total"] > len(answer["results"]):
        output.say(f"{answer['total'] - len(answer['results'])} more than can be shown: --junit FILE writes all")
    if json:
        output.as_json(answer)
        return
    output.table(
        ("status", "test", "took", "message"),
        [(r["status"], r["name"], f"{r['durationMs']} ms", _first_line(r["errorMessage"])) for r in answer["results"]],
    )
    if not answer["results"]:
        output.say("no results yet")


def _all_results(client: Any, run: str, attempt: int | None) -> Any:
    """Read all pages of the attempt that the first page shows."""
    answer = client.get(f"/tests/{run}/results", {"attempt": attempt})
    page = answer
    while page["links"]["next"]:
        query = {"attempt": answer["attempt"], "limit": page["limit"], "offset": page["offset"] + page["limit"]}
        page = client.get(f"/tests/{run}/results", query)
        answer["results"] += page["results"]
    return {key: value for key, value in answer.items() if key not in {"limit", "offset", "links"}}


def _known(**query: object) -> dict[str, object]:
    return {name: value for name, value in query.items() if value is not None}


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error}") from error
    output.say(f"wrote {path}")


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0][:200]


def artifacts(
    run: Run,
    name: Annotated[str | None, typer.Argument(help="The file to fetch. Without it, all are listed.")] = None,
    *,
    to: Annotated[
        Path | None, typer.Option(help="The file to write. Default: its own name, in the current folder.")
    ] = None,
    json: Json = False,
) -> None:
    """List the files that a run left, or fetch one."""
    with connect() as client:
        if name is not None:
            target = to or Path(name).name
            written = client.download(f"/tests/{run}/artifacts/{quote(name)}", Path(target))
            output.as_json({"file": str(target), "sizeBytes": written}) if json else output.say(f"wrote {target}")
            return
        answer = client.get(f"/tests/{run}/artifacts")
    if json:
        output.as_json(answer)
        return
    output.table(
        ("name", "type", "size"), [(a["name"], a["type"], output.size(a["sizeBytes"])) for a in answer["artifacts"]]
    )


def cancel(
    run: Run,
    *,
    suite: Annotated[bool, typer.Option("--suite", help="RUN is a suite run: cancel all its tests.")] = False,
    json: Json = False,
) -> None:
    """Cancel a run. Cancelling it again changes nothing."""
    with connect() as client:
        answer = client.post(f"/suites/runs/{run}/cancel" if suite else f"/tests/{run}/cancel")
    if json:
        output.as_json(answer)
    else:
        output.data(f"{answer.get('executionId') or answer['suiteRunId']}\t{_cancelled(answer)}")


def _cancelled(answer: Any) -> str:
    if answer["status"] in {"queued", "running"}:
        return "cancelling"
    return str(answer["status"])


def retry(
    run: Run,
    *,
    watch: Annotated[bool, typer.Option(help="Wait for the verdict and end with its exit code.")] = True,
    json: Json = False,
) -> None:
    """Run the same test again, as a new run."""
    with connect() as client:
        answer = client.post(f"/tests/{run}/retry")
        execution_id = answer["executionId"]
        output.say(f"submitted {execution_id}")
        _warn(answer)
        if not watch:
            output.as_json(answer) if json else output.data(execution_id)
            return
        with detachable(execution_id):
            ended = watch_execution(client, execution_id)
    output.as_json(ended) if json else _verdicts([ended])
    raise typer.Exit(ended["exitCode"])
