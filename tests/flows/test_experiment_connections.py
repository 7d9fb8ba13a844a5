"""The connections of an experiment: one that cannot be opened takes none of the others with it."""

from cluster.secrets import SecretStore
from db.chaos_connections import ChaosConnection, ConnectionKind
from flows.experiment.connections import Connections


def row(name: str, secret: str | None = None, kind: ConnectionKind = ConnectionKind.ALERTMANAGER) -> ChaosConnection:
    return ChaosConnection(name=name, kind=kind, url="http://127.0.0.1:1", secret=secret)


def test_an_alertmanager_without_its_secret_keeps_no_other_from_being_told() -> None:
    hook = row("hook", kind=ConnectionKind.WEBHOOK)
    rows = {one.name: one for one in (row("first"), row("no secret", "env:NOBODY_HAS_SET_THIS"), row("last"), hook)}

    opened, problems = Connections(rows=rows, secrets=SecretStore({})).alertmanagers()

    assert len(opened) == 2
    [problem] = problems
    assert problem.startswith("the Alertmanager no secret is not told: env:NOBODY_HAS_SET_THIS")
