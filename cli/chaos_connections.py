"""The commands about what experiments ask: connect, disconnect, connections."""

from typing import Annotated
from urllib.parse import quote

import typer

from cli import output
from cli.connection import connect as connect_to_api
from cli.failure import UsageError
from cli.parameters import Json

Name = Annotated[str, typer.Argument(help="The name that safety checks use.", show_default=False)]


def mount(group: typer.Typer) -> None:
    """Add the commands to the group of experiments."""
    example = "assay chaos connect default --kind prometheus --url http://127.0.0.1:9090"
    group.command("connect", epilog=f"Example: {example}")(connect)
    group.command("disconnect", epilog="Example: assay chaos disconnect default")(disconnect)
    group.command("connections", epilog="Example: assay chaos connections")(connections)


def connect(  # noqa: PLR0913  an option each
    name: Name,
    *,
    kind: Annotated[str | None, typer.Option(help="prometheus, incidents, webhook or alertmanager.")] = None,
    url: Annotated[str | None, typer.Option(help="Its address.")] = None,
    secret: Annotated[
        str | None, typer.Option(help="The reference of its token, as the worker sees it: env:NAME or file:/path.")
    ] = None,
    service: Annotated[
        list[str] | None, typer.Option(help="incidents: a service whose incidents count; repeatable.")
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="incidents: an escalation policy for onCall; repeatable.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="prometheus: the header X-Scope-OrgID.")] = None,
    signing_secret: Annotated[
        str | None, typer.Option(help="webhook: the reference of the secret by which messages are signed.")
    ] = None,
    block: Annotated[
        str | None, typer.Option(help="Copy all of it from a Prefect block: TYPE/NAME, such as assay-prometheus/prod.")
    ] = None,
    json: Json = False,
) -> None:
    """Connect a Prometheus, an incident service, a webhook or an Alertmanager, or change it."""
    if block is not None:
        from cli.deploying import connection_of_block  # noqa: PLC0415  only this pays for what it imports

        body = connection_of_block(block)
    elif kind is None or url is None:
        raise UsageError("give --kind and --url, or --block")
    else:
        body = {
            "kind": kind,
            "url": url,
            "secret": secret,
            "services": service or [],
            "policies": policy or [],
            "tenant": tenant,
            "signingSecret": signing_secret,
        }
    with connect_to_api() as client:
        answer = client.put(f"/chaos/connections/{quote(name, safe='')}", body)
    output.as_json(answer) if json else output.say(f"{name} is connected: {answer['kind']} at {answer['url']}")


def disconnect(name: Name, *, json: Json = False) -> None:
    """Forget a connection. Checks that name it block from then on."""
    with connect_to_api() as client:
        client.delete(f"/chaos/connections/{quote(name, safe='')}")
    output.as_json({"name": name}) if json else output.say(f"{name} is not connected any more")


def connections(*, json: Json = False) -> None:
    """List what experiments ask."""
    with connect_to_api() as client:
        answer = client.get("/chaos/connections")
    if json:
        output.as_json(answer)
        return
    rows = [(one["name"], one["kind"], one["url"], one["secret"]) for one in answer["connections"]]
    output.table(("name", "kind", "url", "token"), rows)
