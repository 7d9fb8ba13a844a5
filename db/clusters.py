"""Clusters: how a worker reaches each, and what it uses of it. Credentials stand in a file of the worker only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from db import tables
from db.errors import NotFoundError
from model.pod_policy import NOTHING_ALLOWED, PodPolicy
from model.resources import DEFAULT_GPU

C = tables.Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRow:
    """A cluster. `kubeconfig` is `file:/path` as the worker sees it; None: the worker runs inside the cluster.

    `gpu` is the name of the resource that a GPU is. `policy` says what pods may ask for. With `network_required` no
    test starts before the cluster was seen to enforce network policies.
    """

    name: str
    namespace: str
    image: str
    kubeconfig: str | None = None
    context: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    gpu: str = DEFAULT_GPU
    policy: PodPolicy = NOTHING_ALLOWED
    network_required: bool = False


def put(conn: Connection, row: ClusterRow) -> None:
    """Add a cluster, or change it. Workers read the rows every few seconds."""
    values = {
        "namespace": row.namespace,
        "image": row.image,
        "kubeconfig": row.kubeconfig,
        "context": row.context,
        "labels": dict(row.labels),
        "gpu": row.gpu,
        "priority_classes": sorted(row.policy.priority_classes),
        "runtime_classes": sorted(row.policy.runtime_classes),
        "control_plane": row.policy.control_plane,
        "network_required": row.network_required,
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
    return [
        ClusterRow(
            name=row.name,
            namespace=row.namespace,
            image=row.image,
            kubeconfig=row.kubeconfig,
            context=row.context,
            labels=row.labels,
            gpu=row.gpu,
            policy=PodPolicy(
                priority_classes=frozenset(row.priority_classes),
                runtime_classes=frozenset(row.runtime_classes),
                control_plane=row.control_plane,
            ),
            network_required=row.network_required,
        )
        for row in conn.execute(select(C.__table__).order_by(C.name))
    ]
