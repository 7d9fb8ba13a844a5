"""The commands about runs: run, wait, list, show, cancel, retry. `cli.outcomes` has those about what a run left."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote
from uuid import UUID

import typer

from cli import found_run, output
from cli.connection import connect, names_of_secrets
from cli.failure import UsageError
from cli.found_run import FoundRun
from cli.parameters import Json, Limit, Offset, Run, Timeout, run_id, say_more
from cli.screen import drawn
from cli.watch import FOREVER, Patience, detachable, patiently, watch_run
from cli.words import about_experiment, by_status, closing, counts, describe, starts
from model.ids import short
from model.plural import counted

if TYPE_CHECKING:
    from cli.client import Client  # httpx loads slowly

_MOST_REASONS = 20
"""Runs that did not pass whose reasons are written after a suite."""
_OPTIONS = {"suiteRun": "suite"}
"""Names of options, by the name of the parameter of the API where they differ."""


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`, in the order of its help."""
    for name, command, example in (
        ("run", run, "assay run examples/suites/orders.yaml --set config.timeout=60"),
        ("wait", wait, "assay wait 3f9a01c2 --timeout 600"),
        ("list", list_runs, "assay list --status failed --limit 5"),
        ("show", show, "assay show 3f9a01c2"),
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
    timeout: Timeout = None,
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
            output.say(f"submitted suite {answer['suiteRunId']}: {counted(len(answer['executions']), 'test')}")
            submitted = found_run.suite(answer["suiteRunId"])
        else:
            answer = client.post(f"/tests?pool={quote(pool, safe='')}", to_raw(ready))
            output.say(f"submitted {answer['executionId']}")
            submitted = found_run.test(answer["executionId"])
        _follow(client, submitted, answer, Patience(seconds=timeout) if watch else None, json=json)


def _follow(client: "Client", run: FoundRun, answer: Any, patience: Patience | None, *, json: bool) -> None:
    """Watch a run that was just submitted. With no patience at all, only write its id."""
    for warning in answer.get("warnings", []):
        output.say(f"warning: {warning}")
    if patience is not None:
        _end_with_verdict(client, run, patience, json=json)
    elif json:
        output.as_json(answer)
    else:
        output.data(run.id)


def _end_with_verdict(client: "Client", run: FoundRun, patience: Patience, *, json: bool) -> None:
    """Watch a run until it has ended, write its verdict, and end with its exit code."""
    with detachable(run.id):
        ended = watch_run(client, run, patience)
    output.as_json(ended) if json else _write_verdict(run, ended)
    raise typer.Exit(ended["exitCode"])


def _write_verdict(run: FoundRun, ended: Any) -> None:
    if run.is_test:
        _verdicts([ended])
    elif run.is_suite:
        _verdicts(found_run.tests_of(run, ended))
        output.say(closing(ended["name"], ended))
        for line in about_experiment(ended):
            output.say(line)
    else:
        output.data("\t".join((ended["shortId"], ended["status"], ended["title"])))
        if ended["detail"]:
            output.say(f"{ended['shortId']}: {ended['detail']}")


def _verdicts(executions: list[Any]) -> None:
    """Write the verdicts, unless the screen shows them already, and the reason of each that is not completed."""
    if not drawn():
        output.table(
            ("run", "status", "name", "verdict"),
            [(e["shortId"], e["status"], e["name"], describe(e)) for e in executions],
        )
    others = [execution for execution in executions if execution["status"] != "completed"]
    for execution in others[:_MOST_REASONS]:
        cause = execution["detail"] or execution["failureReason"] or execution["status"]
        output.say(f"{execution['shortId']}: {cause} (assay results {execution['shortId']})")
    if len(others) > _MOST_REASONS:
        output.say(
            f"and {len(others) - _MOST_REASONS} more that did not pass: assay list --suite {others[0]['suiteRunId']}"
        )


def wait(
    run: Run,
    *,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Wait until a run or a suite run has ended, and end with the exit code of its verdict.

    A run that has ended gives its verdict at once. The command survives restarts of the API.
    """
    patience = Patience(seconds=timeout)
    with connect() as client:
        with detachable(run):
            found = patiently(lambda: found_run.find(client, run), patience)
        _end_with_verdict(client, found, patience, json=json)


def list_runs(  # noqa: PLR0913  an option a filter
    *,
    status: Annotated[
        str | None, typer.Option(help="queued, running, completed, failed, cancelled or timeout.")
    ] = None,
    type_: Annotated[str | None, typer.Option("--type", help="The tool, for example pytest.")] = None,
    label: Annotated[str | None, typer.Option(help="key=value")] = None,
    tag: Annotated[str | None, typer.Option(help="A tag.")] = None,
    suite: Annotated[str | None, typer.Option(help="Only tests of this suite run.")] = None,
    suites: Annotated[bool, typer.Option("--suites", help="List suite runs instead of tests.")] = False,
    limit: Limit = 20,
    offset: Offset = 0,
    json: Json = False,
) -> None:
    """List tests, or suite runs, newest first."""
    query = {"status": status, "type": type_, "label": label, "tag": tag, "suiteRun": suite}
    if suites:
        _list_suites(query, {"limit": limit, "offset": offset}, json=json)
        return
    with connect() as client:
        if suite is not None:
            query["suiteRun"] = found_run.find(client, run_id(suite)).id
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
    say_more(answer, len(answer["executions"]))


def _list_suites(filters: Mapping[str, object], page: Mapping[str, int], *, json: bool) -> None:
    if given := [name for name, value in filters.items() if value is not None]:
        raise UsageError(f"--suites lists suite runs: --{_OPTIONS.get(given[0], given[0])} is a filter of tests")
    with connect() as client:
        answer = client.get("/suites/runs", page)
    if json:
        output.as_json(answer)
        return
    output.table(
        ("run", "status", "name", "submitted", "took", "tests"),
        [
            (s["shortId"], s["status"], s["name"], output.moment(s["submittedAt"]),
             output.seconds(s["durationSeconds"]), _tests_in_words(s) or s["note"])
            for s in answer["suiteRuns"]
        ],
    )  # fmt: skip
    say_more(answer, len(answer["suiteRuns"]))


def _tests_in_words(suite_run: Any) -> str:
    return by_status(Counter(suite_run["counts"]))


def show(run: Run, *, json: Json = False) -> None:
    """Show one run or suite run: its state, why it waits, how it ended."""
    with connect() as client:
        found = found_run.find(client, run)
        answer = client.get(found.details)
    if json:
        output.as_json(answer)
    elif found.is_test:
        _show_test(answer)
    elif found.is_suite:
        _show_suite(answer, found_run.tests_of(found, answer))
    else:
        output.facts([(name, value) for name, value in answer.items() if name != "links"])


def _show_suite(answer: Any, tests: list[Any]) -> None:
    output.facts(
        [
            ("suite run", answer["suiteRunId"]),
            ("name", answer["name"]),
            ("status", answer["status"]),
            ("note", answer["note"]),
            ("tests", _tests_in_words(answer)),
            ("submitted", output.moment(answer["submittedAt"])),
            ("ended", output.moment(answer["completedAt"])),
            ("took", output.seconds(answer["durationSeconds"])),
            ("exit code", answer["exitCode"]),
            ("cancelling", "requested" if answer["cancelRequested"] and not answer["completedAt"] else None),
        ]
    )
    output.table(
        ("run", "status", "name", "state"),
        [(e["shortId"], e["status"], e["name"], describe(e)) for e in tests],
    )
    for line in about_experiment(answer):
        output.say(line)


def _show_test(answer: Any) -> None:
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
            ("under faults", ", ".join(short(UUID(run)) for run in answer["underExperiment"]) or None),
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


def cancel(
    run: Run,
    *,
    suite: Annotated[bool, typer.Option("--suite", help="Not needed: the id tells that RUN is a suite run.")] = False,  # noqa: ARG001
    json: Json = False,
) -> None:
    """Cancel a run, or all tests of a suite run. Cancelling it again changes nothing."""
    with connect() as client:
        found = found_run.find(client, run)
        answer = client.post(f"{found.details}/cancel")
    if json:
        output.as_json(answer)
    else:
        output.data(f"{found.id}\t{_cancelled(answer)}")


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
    """Run the same test or suite again, as a new run."""
    with connect() as client:
        found = found_run.find(client, run)
        if found.is_test:
            answer = client.post(f"{found.details}/retry")
            again = found_run.test(answer["executionId"])
        else:
            answer = client.post(f"/runs/{found.id}/retry")
            again = found_run.found(answer["runId"], answer["kind"])
        output.say(f"submitted {again.id}")
        _follow(client, again, answer, FOREVER if watch else None, json=json)
