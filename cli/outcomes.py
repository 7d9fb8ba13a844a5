"""The commands about what a run left: logs, results, artifacts. Each takes a run or a suite run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import quote

import typer

from cli import found_run, output
from cli.connection import connect
from cli.failure import UsageError
from cli.found_run import FoundRun
from cli.parameters import Json, Run
from cli.watch import detachable
from cli.words import describe

if TYPE_CHECKING:
    from cli.client import Client  # httpx loads slowly

_PAGE = 200


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`, in the order of its help."""
    for name, command, example in (
        ("logs", logs, "assay logs -f 3f9a01c2"),
        ("results", results, "assay results 3f9a01c2 --junit report.xml"),
        ("artifacts", artifacts, "assay artifacts 3f9a01c2 screenshots/cart.png --to cart.png"),
    ):
        app.command(name, epilog=f"Example: {example}")(command)


def logs(
    run: Run,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue until the run has ended.")] = False,
    json: Json = False,
) -> None:
    """Write the log of a run to stdout. With --follow, end with the exit code of its verdict.

    The logs of all tests of a suite run are written with the name of the test before each line.
    """
    if follow and json:
        raise UsageError("--json and --follow exclude each other: a growing log is not a JSON document")
    with connect() as client:
        if follow:
            _follow_logs(client, run)
        found = found_run.find(client, run)
        if found.is_suite:
            _suite_logs(client, found, json=json)
        else:
            content = _whole_log(client, found.id)
            output.as_json({"run": run, "log": _text(content)}) if json else output.raw(content)


def _follow_logs(client: "Client", text: str) -> NoReturn:
    """Write a log as it grows, and end with the exit code of the verdict."""
    from cli.logs import follow, follow_suite  # noqa: PLC0415  httpx takes a while to load

    with detachable(text):
        run = found_run.find(client, text)
        ended = follow_suite(client, run) if run.is_suite else follow(client, run)
    for test in found_run.tests_of(run, ended):
        output.say(f"{test['shortId']}  {test['name']}  {test['status']}  {describe(test)}")
    raise typer.Exit(ended["exitCode"])


def _suite_logs(client: "Client", suite: FoundRun, *, json: bool) -> None:
    from cli.logs import prefixed  # noqa: PLC0415  httpx takes a while to load

    tests = client.get(suite.details)["executions"]
    logs = ((test, _whole_log(client, test["executionId"])) for test in tests)
    if json:
        output.as_json([{"run": test["executionId"], "name": test["name"], "log": _text(log)} for test, log in logs])
        return
    for test, log in logs:
        output.raw(prefixed(test["name"], log))


def _text(log: bytes) -> str:
    return log.decode("utf-8", "replace")


def _whole_log(client: "Client", execution_id: str) -> bytes:
    content = b""
    while piece := client.text(f"/tests/{execution_id}/logs", {"offset": len(content)}):
        content += piece
    return content


def results(
    run: Run,
    *,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file; - means stdout.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Show only failures.")] = False,
    attempt: Annotated[int | None, typer.Option(min=1, help="The attempt. Default: the last one with results.")] = None,
    json: Json = False,
) -> None:
    """Show the result of each test of a run, and on stderr the message and the trace of each failure.

    The results of a suite run are those of all its tests.
    """
    with connect() as client:
        found = found_run.find(client, run)
        if found.is_suite and attempt is not None:
            raise UsageError("--attempt is of a single run: `assay show` lists the runs of a suite run")
        if junit is not None:
            _write_junit(client, found, junit, attempt)
            return
        query = {"attempt": attempt, "status": "failed" if failed else None}
        tests = found_run.tests_of(found, client.get(found.details))
        answers = [(test, _all_results(client, test["executionId"], query)) for test in tests]
    if json:
        output.as_json([{"name": t["name"], **a} for t, a in answers] if found.is_suite else answers[0][1])
        return
    _write_results(answers, with_names=found.is_suite)
    for _, answer in answers:
        _say_failures(answer["results"])
    _say_missing(answers, failed=failed)


def _write_results(answers: list[tuple[Any, Any]], *, with_names: bool) -> None:
    headings = (*(("of",) if with_names else ()), "status", "test", "took", "message")
    output.table(
        headings,
        [
            (*((test["name"],) if with_names else ()), r["status"], r["name"], f"{r['durationMs']} ms", _message(r))
            for test, answer in answers
            for r in answer["results"]
        ],
    )


def _say_missing(answers: list[tuple[Any, Any]], *, failed: bool) -> None:
    """Say what the table does not show."""
    left_out = sum(answer["total"] - len(answer["results"]) for _, answer in answers)
    if left_out:
        output.say(f"{left_out} more than can be shown: --junit FILE writes all")
    elif not any(answer["results"] for _, answer in answers):
        output.say(_nothing(answers, failed=failed))


def _nothing(answers: list[tuple[Any, Any]], *, failed: bool) -> str:
    """Say why the table is empty."""
    if failed and any(answer["summary"]["totalTests"] for _, answer in answers):
        return "no test failed"
    ended = all(test["completedAt"] for test, _ in answers)
    return "it left no results" if ended else "no results yet"


def _write_junit(client: "Client", run: FoundRun, to: Path, attempt: int | None) -> None:
    if run.is_suite:
        report = client.text(f"{run.details}/junit")
    else:
        query = {"format": "junit", "attempt": attempt}
        report = client.text(f"{run.details}/results", {k: v for k, v in query.items() if v is not None})
    output.raw(report) if str(to) == "-" else _write(to, report)


def _all_results(client: "Client", execution_id: str, query: dict[str, Any]) -> Any:
    """Read all pages of the attempt that the first page shows."""
    address = f"/tests/{execution_id}/results"
    answer = client.get(address, query)
    page = answer
    while page["links"]["next"]:
        here = {"attempt": answer["attempt"], "limit": page["limit"], "offset": page["offset"] + page["limit"]}
        page = client.get(address, {**query, **here})
        answer["results"] += page["results"]
    return {key: value for key, value in answer.items() if key not in {"limit", "offset", "links"}}


def _message(result: Any) -> str:
    """Return the first line of a result's message; for a flaky one, where it failed before."""
    first = (result["errorMessage"] or "").strip().partition("\n")[0][:200]
    if result["status"] != "passed" or not result["flaky"]:
        return first
    attempts = ", ".join(map(str, result["failedInAttempts"]))
    return f"flaky: failed before in {f'attempt {attempts}' if attempts else 'the same attempt'}"


def _say_failures(results: list[Any]) -> None:
    """Write the message and the trace of each failure."""
    for result in results:
        if result["status"] != "failed":
            continue
        message, trace = result["errorMessage"] or "", result["stackTrace"] or ""
        output.say(f"\n{output.printable(result['name'])}")
        for line in (*(() if message in trace else message.splitlines()), *trace.splitlines()):
            output.say(f"    {output.printable(line)}")


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error}") from error
    output.say(f"wrote {path}")


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
        found = found_run.find(client, run)
        if not found.is_test:
            raise UsageError("files belong to single tests: `assay show` lists the runs of a suite run")
        if name is not None:
            target = to or Path(name).name
            written = client.download(f"{found.details}/artifacts/{quote(name)}", Path(target))
            output.as_json({"file": str(target), "sizeBytes": written}) if json else output.say(f"wrote {target}")
            return
        answer = client.get(f"{found.details}/artifacts")
    if json:
        output.as_json(answer)
        return
    output.table(
        ("name", "type", "size"), [(a["name"], a["type"], output.size(a["sizeBytes"])) for a in answer["artifacts"]]
    )
