"""The commands of a second person: approve and deny."""

import shlex
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import connect
from cli.failure import UsageError
from cli.parameters import Json, run_id

EXECUTIONS = "/chaos/executions"
Execution = Annotated[
    str,
    typer.Argument(
        help="The id of a run of an experiment, or any unique beginning or end of it.",
        callback=run_id,
        show_default=False,
    ),
]
Comment = Annotated[str, typer.Option(help="Why, for everybody who asks.")]


def mount(group: typer.Typer) -> None:
    """Add the commands to the group of experiments."""
    group.command("approve", epilog="Example: assay chaos approve 3f9a01c2")(approve)
    group.command("deny", epilog='Example: assay chaos deny 3f9a01c2 --comment "a release is under way"')(deny)


def approve(
    execution: Execution,
    *,
    digest: Annotated[
        str | None, typer.Option(help="What was looked at: `approval.digest`. Unless given that of the run as it is.")
    ] = None,
    comment: Comment = "",
    json: Json = False,
) -> None:
    """Approve a run that waits for a second person. Set ASSAY_API_KEY to your own key: who submitted it may not."""
    with connect() as client:
        if digest is None:
            found = client.get(f"{EXECUTIONS}/{execution}")
            digest = _asked(found)["digest"]
            definition = client.get(f"/chaos/experiments/{found['experimentId']}")["definition"]
            for line in what_is_approved(definition, digest):
                output.say(output.printable(line))
        answer = client.post(f"{EXECUTIONS}/{execution}/approve", {"digest": digest, "comment": comment})
    _write(answer, json=json)


def deny(execution: Execution, *, comment: Comment = "", json: Json = False) -> None:
    """Deny a run that waits for a second person. It ends at once."""
    with connect() as client:
        answer = client.post(f"{EXECUTIONS}/{execution}/deny", {"comment": comment})
    _write(answer, json=json)


def in_words(approval: Any) -> str | None:
    """Return where an approval stands, for `assay chaos status`. None if none was asked for."""
    if approval is None:
        return None
    if approval["state"] == "waiting":
        return f"waits for {' or '.join(approval['approvers'])}, until {output.moment(approval['expiresAt'])}"
    said = f"{approval['state']} by {approval['by']}, {output.moment(approval['decidedAt'])}"
    return f"{said}: {approval['comment']}" if approval["comment"] else said


def what_is_approved(definition: Any, digest: str) -> Iterator[str]:
    """Yield in words what an experiment expects, breaks and runs."""
    target = " ".join(f"{key} {value}" for key, value in definition["target"].items() if isinstance(value, str))
    yield f"{definition['name']}, at {target} ({digest})"
    if title := definition["hypothesis"].get("title"):
        yield f"  hypothesis: {title}"
    for fault in definition["faults"]:
        given = ", ".join(f"{key} {value}" for key, value in fault["parameters"].items())
        yield f"  {fault['type']} for {fault['durationSeconds']} s{f' ({given})' if given else ''}"
    if test := (definition.get("load") or {}).get("test"):
        yield f"  load: the test {test!r}, in its newest version when the baseline begins"
    for check in definition["hypothesis"].get("healthChecks", ()):
        if check["type"] == "command":
            yield f"  health check {check['name']!r} runs: {shlex.join(check['command'])}"


def _asked(found: Any) -> Any:
    if found["approval"] is None:
        raise UsageError("no rule asks for an approval of this run")
    return found["approval"]


def _write(answer: Any, *, json: bool) -> None:
    if json:
        output.as_json(answer)
    else:
        output.say(f"{answer['shortId']}: {in_words(answer['approval'])}")
