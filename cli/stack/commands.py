"""The commands of the stack: up, down, status, env, open. They import inside, so that other commands start fast."""

import os
import shlex
from dataclasses import asdict
from typing import Annotated

import typer

from cli import output
from cli.failure import CommandError

app = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]

PREFERRED_API_PORT, PREFERRED_PREFECT_PORT = 4300, 4200


class DownError(CommandError):
    """No stack runs here: start one with `assay up`, or name its state folder by ASSAY_STATE."""


@app.command(epilog="Example: assay up --no-samples")
def up(
    *,
    once: Annotated[bool, typer.Option("--once", help="Run the samples, end with their exit code, and stop.")] = False,
    samples: Annotated[bool, typer.Option(help="Submit the sample suites after the start.")] = True,
    port_api: Annotated[int, typer.Option(help="Preferred port of the API.")] = PREFERRED_API_PORT,
    port_prefect: Annotated[int, typer.Option(help="Preferred port of Prefect.")] = PREFERRED_PREFECT_PORT,
    json: Annotated[
        bool, typer.Option("--json", help="Write the verdicts of the samples as JSON, one a line.")
    ] = False,
) -> None:
    """Start everything on this machine, run the samples, and keep running until Ctrl-C."""
    from cli.stack.attach import attach  # noqa: PLC0415
    from cli.stack.boot import UpOptions, booting  # noqa: PLC0415
    from cli.stack.starting import start  # noqa: PLC0415
    from cli.stack.state import HeldError, StateFolder  # noqa: PLC0415

    os.umask(0o077)  # of all parts too, as their processes inherit it
    folder = StateFolder.find()
    folder.prepare()
    options = UpOptions(once=once, samples=samples, port_api=port_api, port_prefect=port_prefect, json=json)
    try:
        code = start(folder, booting(options))
    except HeldError as error:
        code = attach(folder, str(error), once=once, json=json)
    raise typer.Exit(code)


@app.command(epilog="Example: assay down")
def down(*, json: Json = False) -> None:
    """End the stack, also if its supervisor was killed. No process of it is left."""
    from cli.stack.starting import stop  # noqa: PLC0415
    from cli.stack.state import StateFolder  # noqa: PLC0415

    folder = StateFolder.find()
    stopped = stop(folder)
    if json:
        output.as_json({"state_folder": str(folder.path), **asdict(stopped)})
    else:
        output.say(stopped.message)


@app.command(epilog="Example: assay status --json")
def status(*, json: Json = False) -> None:
    """Show the parts of the stack. The exit code is 0 only if all of them work."""
    from cli.stack.report import look  # noqa: PLC0415
    from cli.stack.state import StateFolder  # noqa: PLC0415

    report = look(StateFolder.find())
    if json:
        output.as_json({**asdict(report), "well": report.well})
    else:
        output.facts(
            [("stack", report.phase), ("state folder", report.state_folder), ("documentation", _docs(report.api_url))]
        )
        output.table(
            ("part", "state", "since", "pid", "restarts", "address"),
            [(part.name, part.state, part.since, part.pid, part.restarts, part.address) for part in report.parts],
        )
    raise typer.Exit(0 if report.well else CommandError.exit_code)


@app.command(epilog='Example: eval "$(assay env)"')
def env(*, json: Json = False) -> None:
    """Print the variables that a shell needs to use the stack, for `eval`."""
    from cli.stack.proxies import past_proxies  # noqa: PLC0415
    from cli.stack.state import StateFolder  # noqa: PLC0415

    folder = StateFolder.find()
    record = folder.read()
    if record is None or not record.running or record.api_url is None:
        raise DownError("no stack runs here: start one with `assay up`")
    values = {
        "PREFECT_API_URL": f"{record.prefect_url}/api",
        "PREFECT_API_AUTH_STRING": folder.prefect_credential(),
        "ASSAY_URL": record.api_url,
        "ASSAY_API_KEY": folder.api_key(),
        **past_proxies(os.environ),
    }
    if json:
        output.as_json(values)
        return
    for name, value in values.items():
        output.data(f"export {name}={shlex.quote(value)}")


@app.command("open", epilog="Example: assay open")
def open_pages(*, json: Json = False) -> None:
    """Open Prefect's pages in a browser, and print the password that they ask for."""
    from cli.stack.browser import show  # noqa: PLC0415
    from cli.stack.state import StateFolder  # noqa: PLC0415

    folder = StateFolder.find()
    record = folder.read()
    if record is None or not record.running or record.prefect_url is None:
        raise DownError("no stack runs here: start one with `assay up`")
    opened = show(record.prefect_url, os.environ)
    if json:
        output.as_json({"url": record.prefect_url, "password": folder.prefect_credential(), "opened": opened})
        return
    output.say("paste this password into the page" if opened else "no browser can be opened here: do it yourself")
    output.facts([("address", record.prefect_url), ("password", folder.prefect_credential())])


def _docs(api_url: str | None) -> str | None:
    return f"{api_url}/docs" if api_url else None
