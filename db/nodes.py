"""The last known facts of the nodes, written by whoever watches them.

They stand twice: in `nodes`, a row each, for people; and in `node_snapshots`, packed into one row a pool, for passes.
The snapshot's row is locked while either is written, so that both tell the same. Only what changed is written: the rows
of nodes that are different, and the packed value if any is. Its version rises only then. It begins with the database's
clock in microseconds, so that a pool made anew never repeats one.
"""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock as ThreadLock

from sqlalchemy import Connection, text

from db.locks import Lock, lock_key
from model.config import Effect
from model.ids import EXPERIMENTS, BackendName, NodeName, PoolName
from model.resources import Resources
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.node import Node, Taint, virtual_node
from scheduler.values.node_table import NONE_UNSERVED
from scheduler.values.packed_nodes import pack, unpack

SEEN_AGAIN = timedelta(seconds=10)
"""How old `node_snapshots.observed_at` may become while nothing changes."""
FLEETS = 16
"""Pools whose nodes a process keeps ready."""
NARROWED = 4
"""Narrowed fleets of a pool that a process keeps ready."""
UNKNOWN = -1
"""No version is this."""

_LOCK = text("""
INSERT INTO node_snapshots (pool, version, nodes, packed) VALUES (:pool, 0, 0, '') ON CONFLICT (pool) DO NOTHING
""")
_LOCKED = text("SELECT version, packed FROM node_snapshots WHERE pool = :pool FOR UPDATE")
_REPLACE = text("""
UPDATE node_snapshots SET nodes = :nodes, packed = :packed, observed_at = clock_timestamp(),
    version = greatest(version + 1, CAST(extract(epoch FROM clock_timestamp()) * 1e6 AS bigint))
WHERE pool = :pool
""")
_SEEN_AGAIN = text("""
UPDATE node_snapshots SET observed_at = clock_timestamp()
WHERE pool = :pool AND observed_at < clock_timestamp() - CAST(:age AS interval)
""")
_TRY = text("""
SELECT pg_try_advisory_xact_lock(:kind, :key) AS mine,
    (SELECT version FROM node_snapshots WHERE pool = :pool) AS version
""")
_SNAPSHOT = text("""
SELECT version, observed_at, CASE WHEN version = :known THEN NULL ELSE packed END AS packed
FROM node_snapshots WHERE pool = :pool AND version > 0
""")
_RECORD = text("""
INSERT INTO nodes (pool, name, cpu_milli, memory_bytes, ephemeral_bytes, gpu, pods, labels, taints, ready, backend,
    observed_at)
SELECT :pool, n.name, n.cpu_milli, n.memory_bytes, n.ephemeral_bytes, n.gpu, n.pods, n.labels, n.taints, n.ready,
    n.backend, clock_timestamp()
FROM jsonb_to_recordset(CAST(:nodes AS jsonb)) AS n(
    name text, cpu_milli bigint, memory_bytes bigint, ephemeral_bytes bigint, gpu int, pods int, labels jsonb,
    taints jsonb, ready boolean, backend text)
ON CONFLICT (pool, name) DO UPDATE SET
    cpu_milli = excluded.cpu_milli, memory_bytes = excluded.memory_bytes, ephemeral_bytes = excluded.ephemeral_bytes,
    gpu = excluded.gpu, pods = excluded.pods, labels = excluded.labels, taints = excluded.taints,
    ready = excluded.ready, backend = excluded.backend, observed_at = excluded.observed_at
""")
_VERSION = text("SELECT version FROM node_snapshots WHERE pool = :pool")
_READ = text("""
SELECT name, cpu_milli, memory_bytes, ephemeral_bytes, gpu, pods, labels, taints, ready, backend
FROM nodes WHERE pool = :pool ORDER BY name
""")
_OTHERS = text("SELECT name FROM nodes WHERE pool = :pool AND backend = :backend AND name <> ALL(:names) ORDER BY name")
_FORGET = text("DELETE FROM nodes WHERE pool = :pool AND name = ANY(:names)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a fleet reaches. `served`: the backends that a live worker serves; None: take all as served.

    `virtual`: the backends that get a virtual node, for runs that need no node (012.2); that of experiments has so many
    places as the pool runs `experiments` at once.
    """

    served: frozenset[BackendName] | None = None
    virtual: frozenset[BackendName] = frozenset()
    experiments: int = 0

    def virtual_nodes(self) -> list[Node]:
        """Return the virtual nodes, by name."""
        return [
            virtual_node(backend, self.experiments) if backend == EXPERIMENTS else virtual_node(backend)
            for backend in sorted(self.virtual)
        ]


WHOLE = Reach()
"""All nodes, and no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The nodes of a pool as of one version, and when they were last looked at. Version 0: nobody packed them yet."""

    version: int
    nodes: tuple[Node, ...]
    observed_at: datetime | None = None


def record(conn: Connection, pool: PoolName, nodes: Sequence[Node]) -> None:
    """Write what is known of some nodes of a pool; its others stay as they are."""
    if not nodes:
        return
    known = _locked(conn, pool)
    given = {node.name: node for node in nodes}
    changed = [node for name, node in given.items() if known.nodes.get(name) != node]
    if changed or not known.packed:
        conn.execute(_RECORD, {"pool": pool, "nodes": json.dumps([_row(node) for node in changed])})
        _replace(conn, pool, known.nodes | given)
    else:
        conn.execute(_SEEN_AGAIN, {"pool": pool, "age": SEEN_AGAIN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a process has written of a backend last, and the version of the snapshot after it."""

    version: int
    facts: Sequence[Node]


def record_all(
    conn: Connection, pool: PoolName, of: BackendName, facts: Sequence[Node], last: Recorded | None = None
) -> Recorded | None:
    """Write what is known of all nodes of a backend. Those that it has no more are taken out.

    Of several workers that look at one backend, whoever wins a lock writes; None for the others. `last` is what the
    caller wrote before: if that still stands, nothing is read.
    """
    row = conn.execute(_TRY, {"kind": Lock.NODES, "key": lock_key(f"{pool}/{of}"), "pool": pool}).one()
    if not row.mine:
        return None
    if last is not None and last.version == row.version and last.facts == facts:
        conn.execute(_SEEN_AGAIN, {"pool": pool, "age": SEEN_AGAIN})
        return last
    record(conn, pool, facts)
    gone = conn.execute(_OTHERS, {"pool": pool, "backend": of, "names": [node.name for node in facts]}).scalars().all()
    if gone:
        forget(conn, pool, [NodeName(name) for name in gone])
    return Recorded(version=conn.execute(_VERSION, {"pool": pool}).scalar_one_or_none() or 0, facts=facts)


def forget(conn: Connection, pool: PoolName, names: Sequence[NodeName]) -> None:
    """Take nodes out that are gone. The places of runs on them stay until those are known to be gone too."""
    known = _locked(conn, pool)
    gone = set(names)
    left = {name: node for name, node in known.nodes.items() if name not in gone}
    conn.execute(_FORGET, {"pool": pool, "names": list(names)})
    if len(left) < len(known.nodes):
        _replace(conn, pool, left)


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
            backend=BackendName(row.backend),
        )
        for row in conn.execute(_READ, {"pool": pool})
    ]


def snapshot(conn: Connection, pool: PoolName, known_version: int = UNKNOWN) -> Snapshot | None:
    """Return the nodes of a pool, None where their version is the known one: then not even the bytes are read."""
    row = conn.execute(_SNAPSHOT, {"pool": pool, "known": known_version}).one_or_none()
    if row is None:
        return Snapshot(version=0, nodes=tuple(read(conn, pool)))
    if row.packed is None:
        return None
    nodes = _unpacked(bytes(row.packed))
    if nodes is None:
        nodes = tuple(read(conn, pool))
    return Snapshot(version=row.version, nodes=nodes, observed_at=row.observed_at)


def node_usage(conn: Connection, pool: PoolName, present: int = UNKNOWN, reach: Reach = WHOLE) -> tuple[NodeUsage, int]:
    """Return the nodes of a pool, without use, as a fleet of the caller's own, and their version.

    A process builds the fleet once for each version and each `reach`, since what the labels of a node decide is
    remembered from pass to pass. A caller that has just read the version gives it as `present`, which saves a query.
    """
    address = (str(conn.engine.url), pool)
    base = _ready.get(address)
    found = None if present > 0 and present == base.version else snapshot(conn, pool, base.version)
    if found is not None:
        base = _Base(version=found.version, node_usage=NodeUsage(found.nodes))
        _ready.keep(address, base)
    unserved = NONE_UNSERVED if reach.served is None else (base.node_usage.backends | reach.virtual) - reach.served
    return base.narrowed_to(unserved, reach).copy(), base.version


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """A fleet without use, to be copied; `version` is that of its nodes.

    `narrowed`: the same with some of it unserved, or with virtual nodes.
    """

    version: int = UNKNOWN
    node_usage: NodeUsage
    narrowed: OrderedDict[tuple[frozenset[BackendName], frozenset[BackendName], int], NodeUsage] = field(
        default_factory=OrderedDict
    )

    def narrowed_to(self, unserved: frozenset[BackendName], reach: Reach) -> NodeUsage:
        """Return the fleet with these backends unserved, and with the virtual nodes that are reached."""
        if not unserved and not reach.virtual:
            return self.node_usage
        key = (unserved, reach.virtual, reach.experiments)
        known = self.narrowed.get(key)
        if known is None:
            made = NodeUsage([*self.node_usage.nodes, *reach.virtual_nodes()], unserved)
            known = self.narrowed[key] = made
            while len(self.narrowed) > NARROWED:
                self.narrowed.popitem(last=False)
        return known


class _Ready:
    """The fleets that are ready, by database and pool; the one that was made first goes first."""

    def __init__(self) -> None:
        self._lock = ThreadLock()
        self._bases: OrderedDict[tuple[str, PoolName], _Base] = OrderedDict()

    def get(self, address: tuple[str, PoolName]) -> _Base:
        with self._lock:
            return self._bases.get(address, _Base(node_usage=NodeUsage()))

    def keep(self, address: tuple[str, PoolName], base: _Base) -> None:
        with self._lock:
            self._bases.pop(address, None)
            if base.version:
                self._bases[address] = base
            if len(self._bases) > FLEETS:
                self._bases.popitem(last=False)


_ready = _Ready()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Locked:
    """The nodes as they stand. Not `packed`: there is no snapshot of them yet."""

    nodes: dict[NodeName, Node]
    packed: bool


def _locked(conn: Connection, pool: PoolName) -> _Locked:
    """Return the nodes, with the snapshot locked until the end of the transaction."""
    conn.execute(_LOCK, {"pool": pool})
    row = conn.execute(_LOCKED, {"pool": pool}).one()
    nodes = _unpacked(bytes(row.packed)) if row.version else None
    known = read(conn, pool) if nodes is None else nodes
    return _Locked(nodes={node.name: node for node in known}, packed=row.version > 0)


def _unpacked(packed: bytes) -> tuple[Node, ...] | None:
    """Return packed nodes; None where another version of Assay packed them, in a format that this one cannot read."""
    try:
        return unpack(packed)
    except ValueError:
        return None


def _replace(conn: Connection, pool: PoolName, nodes: dict[NodeName, Node]) -> None:
    conn.execute(_REPLACE, {"pool": pool, "nodes": len(nodes), "packed": pack(nodes.values())})


def _row(node: Node) -> dict[str, object]:
    return {
        "name": node.name,
        "cpu_milli": node.capacity.cpu_milli,
        "memory_bytes": node.capacity.memory_bytes,
        "ephemeral_bytes": node.capacity.ephemeral_bytes,
        "gpu": node.capacity.gpu,
        "pods": node.pods,
        "labels": dict(node.labels),
        "taints": [{"key": t.key, "value": t.value, "effect": t.effect} for t in node.taints],
        "ready": node.ready,
        "backend": node.backend,
    }
