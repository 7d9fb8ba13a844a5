"""Clusters: how a worker reaches each, and what it uses of it. Credentials stand in a file of the worker only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from db import tables
from db.errors import NotFoundError

C = tables.Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRow:
    """A cluster. `kubeconfig` is `file:/path` as the worker sees it; None: the worker runs inside the cluster."""

    name: str
    namespace: str
    image: str
    kubeconfig: str | None = None
    context: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def put(conn: Connection, row: ClusterRow) -> None:
    """Add a cluster, or change it. Workers that serve it read it at their start."""
    values = {
        "namespace": row.namespace,
        "image": row.image,
        "kubeconfig": row.kubeconfig,
        "context": row.context,
        "labels": dict(row.labels),
    }
    wanted = insert(C).values(name=row.name, **values)
    conn.execute(wanted.on_conflict_do_update(index_elements=["name"], set_=values))


def remove(conn: Connection, name: str) -> None:
    """Forget a cluster. Raises: NotFoundError."""
    if conn.execute(delete(C).where(C.name == name)).rowcount == 0:
        raise NotFoundError("cluster", name)


def find(conn: Connection, name: str) -> ClusterRow:
    """Return one cluster. Raises: NotFoundError."""
    found = [row for row in read(conn) if row.name == name]
    if not found:
        raise NotFoundError("cluster", name)
    return found[0]


def read(conn: Connection) -> Sequence[ClusterRow]:
    """Return all clusters, by name."""
    query = select(C.name, C.namespace, C.image, C.kubeconfig, C.context, C.labels).order_by(C.name)
    return [
        ClusterRow(
            name=row.name,
            namespace=row.namespace,
            image=row.image,
            kubeconfig=row.kubeconfig,
            context=row.context,
            labels=row.labels,
        )
        for row in conn.execute(query)
    ]
