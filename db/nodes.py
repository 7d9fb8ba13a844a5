"""The last known facts of the nodes, written by whoever watches them."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, text

from model.config import Effect
from model.ids import NodeName, PoolName
from model.resources import Resources
from scheduler.node import Node, Taint

_RECORD = text("""
INSERT INTO nodes (pool, name, cpu_milli, memory_bytes, ephemeral_bytes, gpu, pods, labels, taints, ready, observed_at)
VALUES (:pool, :name, :cpu_milli, :memory_bytes, :ephemeral_bytes, :gpu, :pods,
        CAST(:labels AS jsonb), CAST(:taints AS jsonb), :ready, clock_timestamp())
ON CONFLICT (pool, name) DO UPDATE SET
    cpu_milli = excluded.cpu_milli, memory_bytes = excluded.memory_bytes, ephemeral_bytes = excluded.ephemeral_bytes,
    gpu = excluded.gpu, pods = excluded.pods, labels = excluded.labels, taints = excluded.taints,
    ready = excluded.ready, observed_at = excluded.observed_at
""")
_READ = text("""
SELECT name, cpu_milli, memory_bytes, ephemeral_bytes, gpu, pods, labels, taints, ready
FROM nodes WHERE pool = :pool ORDER BY name
""")
_FORGET = text("DELETE FROM nodes WHERE pool = :pool AND name = ANY(:names)")


def record(conn: Connection, pool: PoolName, nodes: Sequence[Node]) -> None:
    """Write what is known of some nodes of a pool; its others stay as they are. In order of name: no deadlock."""
    if nodes:
        conn.execute(_RECORD, [{"pool": pool, **_row(node)} for node in sorted(nodes, key=lambda node: node.name)])


def read(conn: Connection, pool: PoolName) -> list[Node]:
    """Return the nodes of a pool, by name."""
    return [
        Node(
            name=NodeName(row.name),
            capacity=Resources(
                cpu_milli=row.cpu_milli,
                memory_bytes=row.memory_bytes,
                ephemeral_bytes=row.ephemeral_bytes,
                gpu=row.gpu,
            ),
            pods=row.pods,
            labels=row.labels,
            taints=tuple(Taint(key=t["key"], value=t["value"], effect=Effect(t["effect"])) for t in row.taints),
            ready=row.ready,
        )
        for row in conn.execute(_READ, {"pool": pool})
    ]


def forget(conn: Connection, pool: PoolName, names: Sequence[NodeName]) -> None:
    """Take nodes out that are gone. The places of runs on them stay until those are known to be gone too."""
    conn.execute(_FORGET, {"pool": pool, "names": list(names)})


def _row(node: Node) -> dict[str, object]:
    return {
        "name": node.name,
        "cpu_milli": node.capacity.cpu_milli,
        "memory_bytes": node.capacity.memory_bytes,
        "ephemeral_bytes": node.capacity.ephemeral_bytes,
        "gpu": node.capacity.gpu,
        "pods": node.pods,
        "labels": json.dumps(dict(node.labels)),
        "taints": json.dumps([{"key": t.key, "value": t.value, "effect": t.effect} for t in node.taints]),
        "ready": node.ready,
    }
