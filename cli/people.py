"""The commands about people: team and user."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from cli import output
from cli.connection import connect
from cli.parameters import Json, Limit, Offset, say_more
from cli.rules_file import read_document


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`, in the order of its help."""
    teams = typer.Typer(name="team", no_args_is_help=True, rich_markup_mode=None)
    teams.callback(help="Add and list teams, and put users into them.", epilog="Example: assay team list")(_nothing)
    teams.command("create", epilog="Example: assay team create platform")(team_create)
    teams.command("list", epilog="Example: assay team list")(team_list)
    teams.command("add", epilog="Example: assay team add platform anna")(team_add)
    teams.command("uses", epilog="Example: assay team uses platform k8s/lab/shop")(team_uses)
    teams.command("chaos-rules", epilog="Example: assay team chaos-rules platform --file rules.yaml")(team_chaos_rules)
    app.add_typer(teams)
    users = typer.Typer(name="user", no_args_is_help=True, rich_markup_mode=None)
    users.callback(help="Add and list users.", epilog="Example: assay user list")(_nothing)
    users.command("create", epilog="Example: assay user create anna --team platform")(user_create)
    users.command("list", epilog="Example: assay user list --team platform")(user_list)
    users.command("key", epilog="Example: assay user key anna")(user_key)
    users.command("keys", epilog="Example: assay user keys anna")(user_keys)
    users.command("revoke", epilog="Example: assay user revoke anna 3f9a01c2")(user_revoke)
    app.add_typer(users)


def _nothing() -> None:
    """Do nothing: the subcommands do the work."""


def team_create(
    name: Annotated[str, typer.Argument(help="The new team.", show_default=False)], *, json: Json = False
) -> None:
    """Add a team with the default quota. `assay quota set --team NAME` changes it."""
    with connect() as client:
        answer = client.post("/teams", {"name": name})
    output.as_json(answer) if json else output.say(f"added the team {answer['name']}")


def team_uses(
    team: Annotated[str, typer.Argument(help="The team.", show_default=False)],
    paths: Annotated[
        list[str] | None, typer.Argument(help="k8s/CLUSTER/NAMESPACE[/SERVICE] or local/ENVIRONMENT[/SERVICE].")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Say what tests of a team use that do not say it themselves, so that experiments wait for them and no others."""
    with connect() as client:
        answer = client.put(f"/teams/{quote(team, safe='')}/uses", {"uses": paths or []})
    output.as_json(answer) if json else output.say(
        f"{team} uses {', '.join(answer['uses']) or 'nothing that is known'}"
    )


def team_chaos_rules(
    team: Annotated[str, typer.Argument(help="The team.", show_default=False)],
    *,
    file: Annotated[Path | None, typer.Option(help="Replace the rules by those of this file.")] = None,
    json: Json = False,
) -> None:
    """Show or replace the rules of a team about its experiments: what they cost, when they run, who approves."""
    path = f"/teams/{quote(team, safe='')}/chaos-rules"
    with connect() as client:
        answer = client.get(path) if file is None else client.put(path, read_document(file))
    if json:
        output.as_json(answer)
    else:
        from model.document import write_yaml  # noqa: PLC0415  YAML loads slowly

        output.data(write_yaml(answer["rules"]).rstrip())


def team_list(*, limit: Limit = 20, offset: Offset = 0, json: Json = False) -> None:
    """List teams."""
    with connect() as client:
        answer = client.get("/teams", {"limit": limit, "offset": offset})
    if json:
        output.as_json(answer)
        return
    output.table(
        ("team", "users", "since"),
        [(t["name"], t["members"], output.moment(t["createdAt"])) for t in answer["teams"]],
    )
    say_more(answer, len(answer["teams"]))


def team_add(
    team: Annotated[str, typer.Argument(help="The team.", show_default=False)],
    user: Annotated[str, typer.Argument(help="The user.", show_default=False)],
    *,
    json: Json = False,
) -> None:
    """Put a user into a team. A user is in one team at most."""
    with connect() as client:
        answer = client.put(f"/teams/{quote(team, safe='')}/members/{quote(user, safe='')}", {})
    output.as_json(answer) if json else output.say(f"{answer['name']} is in the team {answer['team']} now")


def user_create(
    name: Annotated[str, typer.Argument(help="The new user.", show_default=False)],
    *,
    email: Annotated[str | None, typer.Option(help="The mail address. Default: NAME@localhost.")] = None,
    team: Annotated[str | None, typer.Option(help="The team of the user. Default: none.")] = None,
    json: Json = False,
) -> None:
    """Add a user with the default quota. `assay quota set --user NAME` changes it."""
    wanted = {"name": name, "email": email, "team": team}
    with connect() as client:
        answer = client.post("/users", {key: value for key, value in wanted.items() if value is not None})
    output.as_json(answer) if json else output.say(f"added the user {answer['name']}")


def user_list(
    *,
    team: Annotated[str | None, typer.Option(help="Only users of this team.")] = None,
    limit: Limit = 20,
    offset: Offset = 0,
    json: Json = False,
) -> None:
    """List users."""
    with connect() as client:
        answer = client.get("/users", {"team": team, "limit": limit, "offset": offset})
    if json:
        output.as_json(answer)
        return
    output.table(
        ("user", "team", "mail address", "since"),
        [(u["name"], u["team"], u["email"], output.moment(u["createdAt"])) for u in answer["users"]],
    )
    say_more(answer, len(answer["users"]))


def user_key(user: Annotated[str, typer.Argument(help="The user.", show_default=False)], *, json: Json = False) -> None:
    """Make a key by which the API knows a person, and write it to stdout. It is shown this once."""
    with connect() as client:
        answer = client.post(f"/users/{quote(user, safe='')}/keys")
    if json:
        output.as_json(answer)
        return
    output.data(answer["key"])
    output.say(f"{user} sets ASSAY_API_KEY to it; `assay user revoke {user} {answer['keyId']}` takes it back")


def user_keys(
    user: Annotated[str, typer.Argument(help="The user.", show_default=False)], *, json: Json = False
) -> None:
    """List the keys of a person, without their secrets."""
    with connect() as client:
        answer = client.get(f"/users/{quote(user, safe='')}/keys")
    if json:
        output.as_json(answer)
        return
    rows = [
        (k["keyId"], k["user"], output.moment(k["createdAt"]), output.moment(k["revokedAt"])) for k in answer["keys"]
    ]
    output.table(("key", "user", "since", "revoked"), rows)


def user_revoke(
    user: Annotated[str, typer.Argument(help="The user.", show_default=False)],
    key: Annotated[str, typer.Argument(help="The id of the key, as `assay user keys` shows it.", show_default=False)],
    *,
    json: Json = False,
) -> None:
    """Refuse a key of a person from now on."""
    with connect() as client:
        client.delete(f"/users/{quote(user, safe='')}/keys/{quote(key, safe='')}")
    output.as_json({"keyId": key}) if json else output.say(f"the key {key} of {user} is refused from now on")
