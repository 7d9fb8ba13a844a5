"""Secrets by reference: their values never pass through here."""

import re

from sqlalchemy import Connection

from db import secrets
from model import secret
from model.ids import TeamId
from model.problems import InvalidError, Problem
from model.references import Reference, secret_is_not_set
from model.request import TestRequest

NAME = re.compile(r"[a-z0-9_]{1,100}")
REFERENCE = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]{0,255}|file:/[^\x00]{1,900}|kubernetes:[a-z0-9./-]{1,500})")


def unknown_secrets(conn: Connection, request: TestRequest, team_id: TeamId | None) -> list[Problem]:
    """Return a problem for each reference in `env` and `config.env` to a secret that is not set."""
    values = [("env", request.env), ("config.env", request.config.env)]
    wanted = [
        Reference(path=f"{place}.{key}", name=name)
        for place, env in values
        for key, value in env.items()
        for name in sorted(secret.names([value]))
    ]
    if not wanted:
        return []
    known = {row.name for row in secrets.visible(conn, team_id)}
    return [secret_is_not_set(each) for each in wanted if each.name not in known]


def set_secret(conn: Connection, name: str, team: str, reference: str) -> None:
    """Name a reference. Raises: InvalidError when either is not written right."""
    problems = []
    if not NAME.fullmatch(name):
        problems.append(Problem(path="name", message="must be a-z, 0-9 and '_', 100 characters at most"))
    if not REFERENCE.fullmatch(reference):
        message = "must be env:NAME, file:/absolute/path or kubernetes:name/key; never the value itself"
        problems.append(Problem(path="reference", message=message))
    if problems:
        raise InvalidError(problems)
    secrets.put(conn, name, team, reference)
