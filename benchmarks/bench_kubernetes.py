"""What a Kubernetes cluster costs a worker, and how fast pods are bound, with kube-scheduler alone in the same run.

    eval "$(../shared/cluster/up --no-real --nodes 500 --cpu 16 --memory 64Gi)"
    PYTHONPATH=.:tests .venv/bin/python benchmarks/bench_kubernetes.py [bind] [watch] [follow] [snapshot] [--pods N]

    bind       pods bound a second on fake nodes: our placement chooses five candidates for each, then kube-scheduler
               chooses by itself; in turns
    watch      memory and threads of a process that waits for the ends of as many pods
    follow     memory and threads of a process that follows the logs of 200 running pods; it needs a kwok that serves
               the file ASSAY_BENCH_LOG as the log of all containers: `up --kwok-config FILE` with a resource of the
               API kwok.x-k8s.io/v1alpha1, kind ClusterLogs, spec.logs [{logsFile: the file, follow: true}]
    snapshot   5,000 nodes in memory and in PostgreSQL: how long a refresh takes, and what it writes

Without a cluster in KUBECONFIG only `snapshot` is run.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import goals
from ground import furnished, load
from harness import cluster_namespaces, fake_nodes
from sqlalchemy import text

from cluster.backend import AttemptId, LaunchOrder
from cluster.contents import ContentStore
from cluster.kubernetes import names
from cluster.kubernetes.api_objects import ApiNode, Pod
from cluster.kubernetes.backend import Disk, KubernetesBackend
from cluster.kubernetes.connection import ClusterAccess, Connection
from cluster.kubernetes.list_watch import ListWatch, Source
from cluster.kubernetes.log_streams import LogStreams
from cluster.kubernetes.node_watch import NodeWatch
from cluster.kubernetes.pod import PodSite, pod_of
from cluster.kubernetes.spool import Spool
from db import nodes
from db.engine import Database
from db.seeds import DEFAULT_POOL
from model.command import Command
from model.config import ExecutionConfig, Toleration, TolerationOperator
from model.content import InlineContent
from model.ids import ExecutionId, NodeName, RunId, backend_of_cluster
from model.resources import ResourceRequirements
from scheduler.placement.ask import Ask
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.placement import choose
from scheduler.values.pool import PoolSettings
from scheduler.values.run import Constraints, Shape

TURNS = 3
CREATORS = 12
WRITES_AN_HOUR = 360
"""What only changes amounts is written every ten seconds (flows/node_recorder.py)."""
SNAPSHOT_NODES = 5000
FOLLOWED = 200
FOLLOW_SECONDS = 15.0
LINES = 100
ANYWHERE = Toleration(operator=TolerationOperator.EXISTS)
RESOURCES = ResourceRequirements(cpu_request="100m", memory_request="64Mi")
Body = dict[str, Any]
_WRITTEN = text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")


class Bound:
    """Counts the pods of a namespace that were bound."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bound: set[str] = set()

    def listed(self, objects: Sequence[Pod]) -> None:
        """Count these."""
        for one in objects:
            self.changed(one)

    def changed(self, one: Pod) -> None:
        """Count a pod that is bound."""
        if one.spec.node_name:
            with self._changed:
                self._bound.add(one.metadata.name)
                self._changed.notify_all()

    def deleted(self, one: Pod) -> None:
        """Keep what was counted."""

    def wait(self, pods: Sequence[str]) -> None:
        """Wait until all of these are bound."""
        wanted = set(pods)
        with self._changed:
            if not self._changed.wait_for(lambda: wanted <= self._bound, 600):
                raise TimeoutError(f"{len(wanted - self._bound)} pods are not bound")


@contextmanager
def namespace() -> Iterator[Connection]:
    """Give a namespace of a cluster with fake nodes."""
    connection = Connection(cluster_namespaces.make(fake_nodes.usable()))
    try:
        yield connection
    finally:
        cluster_namespaces.remove(connection)
        connection.close()


def pods_path(connection: Connection) -> str:
    """Return the path of the pods of our namespace."""
    return f"/api/v1/namespaces/{connection.access.namespace}/pods"


def bind(number: int) -> None:
    """Compare how many pods are bound a second."""
    rates: dict[str, list[float]] = {"our placement": [], "kube-scheduler alone": []}
    with namespace() as connection:
        bound = Bound()
        source = Source(title="bound", path=pods_path(connection), kind=Pod)
        watch: ListWatch[Pod] = ListWatch(connection, source, bound)
        facts = NodeWatch(connection)
        watch.begin()
        found = len(facts.read())
        for turn in range(2 * TURNS):
            who, bodies = ("our placement", ours) if turn % 2 == 0 else ("kube-scheduler alone", theirs)
            rates[who].append(rate(connection, bound, bodies(connection, facts, number), number))
        watch.close()
        facts.close()
    print(f"{number} pods on {found} nodes, pods bound a second, {TURNS} turns each:")
    for who, measured in rates.items():
        print(f"  {who:22} {statistics.median(measured):7.1f}   ({', '.join(f'{one:.1f}' for one in measured)})")
    ratio = statistics.median(rates["our placement"]) / statistics.median(rates["kube-scheduler alone"])
    print(goals.at_least("our placement against kube-scheduler alone", ratio, 1.0, " times"))


def rate(connection: Connection, bound: Bound, bodies: Iterator[Body], number: int) -> float:
    """Make pods, wait until all are bound, remove them. Return how many were bound a second."""
    made: list[str] = []
    begun = time.monotonic()

    def create(body: Body) -> None:
        connection.create(pods_path(connection), body)
        made.append(body["metadata"]["name"])

    with ThreadPoolExecutor(CREATORS) as threads:
        list(threads.map(create, bodies))
        bound.wait(made)
        took = time.monotonic() - begun
        list(threads.map(lambda name: connection.delete(f"{pods_path(connection)}/{name}", grace=0), made))
    return number / took


def ours(connection: Connection, facts: NodeWatch, number: int) -> Iterator[Body]:
    """Yield pods for which our placement has chosen candidates; the time of the choice counts."""
    fleet = NodeUsage(facts.read())
    shape = Shape(RESOURCES.requested(), Constraints(tolerations=(ANYWHERE,)))
    for _ in range(number):
        run = ExecutionId(RunId(uuid4()))
        placed = choose(fleet, Ask(shape=shape, limits=PoolSettings(spot=True)), run)
        fleet.take(placed[0].node, shape.resources)
        yield body_of(connection, run, [score.node for score in placed])


def theirs(connection: Connection, _facts: NodeWatch, number: int) -> Iterator[Body]:
    """Yield the same pods without any node named."""
    for _ in range(number):
        body = body_of(connection, ExecutionId(RunId(uuid4())), [NodeName("any")])
        del body["spec"]["affinity"]
        yield body


def body_of(connection: Connection, run: ExecutionId, candidates: Sequence[NodeName]) -> Body:
    """Return the pod of a run. Nobody fetches results here, so it has no finalizer."""
    order = order_of(run, candidates)
    own = tuple(names.cluster_node(node, connection.access.name) for node in candidates)
    body: Body = pod_of(order, PodSite(namespace=connection.access.namespace, nodes=own, image="python:3"))
    body["metadata"]["finalizers"] = []
    return body


def order_of(run: ExecutionId, candidates: Sequence[NodeName]) -> LaunchOrder:
    """Return the order to launch a run."""
    return LaunchOrder(
        attempt=AttemptId(execution_id=run, number=1),
        node=candidates[0],
        candidates=tuple(candidates),
        content=InlineContent(files={"run.sh": "true"}),
        command=Command(argv=("sh", "run.sh")),
        resources=RESOURCES,
        config=ExecutionConfig(tolerations=(ANYWHERE,)),
    )


def watch(number: int) -> None:
    """Tell what it costs to wait for as many pods."""
    with namespace() as connection, tempfile.TemporaryDirectory() as folder:
        facts = NodeWatch(connection)
        bodies = list(ours(connection, facts, number))
        facts.close()
        with ThreadPoolExecutor(CREATORS) as threads:
            list(threads.map(lambda body: connection.create(pods_path(connection), body), bodies))
        attempts = [names.attempt_of(Pod.model_validate(body).metadata) for body in bodies]
        asyncio.run(_wait_for(connection.access, [one for one in attempts if one is not None], Path(folder)))


async def _wait_for(access: ClusterAccess, attempts: Sequence[AttemptId], folder: Path) -> None:
    backend = KubernetesBackend(access, Disk(runs=folder / "runs", contents=ContentStore(folder / "content")))
    await backend.wait(attempts[0], 1)
    memory, threads = resident(), threading.active_count()
    waiting = [asyncio.create_task(backend.wait(attempt, 20)) for attempt in attempts]
    await asyncio.sleep(15)
    more, beside = resident() - memory, threading.active_count() - threads
    print(f"waiting for {len(attempts)} pods: {more / 2**20:.1f} MB more, {more / len(attempts) / 1024:.1f} KB a pod")
    print(f"  threads: {threading.active_count()} in all, {beside} of them for the pods")
    await asyncio.gather(*waiting)
    backend.close()


def follow(number: int) -> None:
    """Tell what it costs to follow as many logs."""
    source = Path(os.environ["ASSAY_BENCH_LOG"])
    source.write_text("")
    with namespace() as connection, tempfile.TemporaryDirectory() as folder:
        facts = NodeWatch(connection)
        bodies = list(ours(connection, facts, number))
        facts.close()
        with ThreadPoolExecutor(CREATORS) as threads:
            list(threads.map(lambda body: connection.create(pods_path(connection), body), bodies))
        time.sleep(FOLLOW_SECONDS)  # until kwok has let all of them run
        paths = [f"{pods_path(connection)}/{body['metadata']['name']}" for body in bodies]
        streams = LogStreams(connection)
        memory, others = resident(), threading.active_count()
        spools = [Spool(folder=Path(folder) / str(place)) for place in range(number)]
        for path, spool in zip(paths, spools, strict=True):
            streams.follow(path, spool)
        begun = time.process_time()
        expected = print_lines(source)
        time.sleep(FOLLOW_SECONDS)
        cpu = time.process_time() - begun
        whole = sum(spool.make().output.exists() and spool.files.output.read_bytes() == expected for spool in spools)
        more, beside = resident() - memory, threading.active_count() - others
        print(f"following {number} logs: {more / 2**20:.1f} MB more, {more / number / 1024:.1f} KB a log")
        print(f"  threads: {beside} more; {whole} logs arrived whole; {cpu:.1f} s of CPU for {LINES} lines of each")
        streams.close()


def print_lines(target: Path) -> bytes:
    """Let the keeper of every pod print pieces of output, ten a second. Return the whole output."""
    output = b""
    with target.open("a") as file:
        for number in range(LINES):
            piece = f"line {number}\n".encode() * 5
            line = {"file": "output", "at": len(output), "data": b64encode(piece).decode()}
            file.write(f"2026-11-30T00:00:00.000000000Z stdout F {json.dumps(line)}\n")
            file.flush()
            output += piece
            time.sleep(0.1)
    return output


def snapshot(number: int) -> None:
    """Tell how long a refresh takes, and what it writes."""
    with furnished() as ground:
        db = ground.db
        facts = NodeWatch(Connection(ClusterAccess(name="lab", namespace="n", image="i", kubeconfig=Path("none"))))
        given = [api_node(place) for place in range(number)]
        print(f"{number} nodes, CPU seconds in memory, then wall seconds and bytes of WAL in PostgreSQL:")
        timed("taken in and computed", lambda: (facts.take_nodes(given), facts.left()))
        recorded: list[nodes.Recorded | None] = [None]

        def refresh() -> None:
            seen = facts.left()
            last = recorded[0]
            recorded[0] = db.call(
                lambda conn: nodes.record_all(conn, DEFAULT_POOL, backend_of_cluster("lab"), seen, last)
            )

        for what, changed in (
            ("first", 0),
            ("nothing changed", 0),
            ("10 nodes", 10),
            ("100 nodes", 100),
            ("all", number),
        ):
            took, used, written = [], [], []
            for turn in range(1 if what == "first" else 5):
                facts.take_pods([pod_on(place, turn) for place in range(changed)])
                before, begun, cpu = wal(db), time.monotonic(), time.process_time()
                refresh()
                took.append(time.monotonic() - begun)
                used.append(time.process_time() - cpu)
                written.append(wal(db) - before)
            size = statistics.median(written)
            hour = "" if what == "first" else f"{size * WRITES_AN_HOUR / 2**20:8.1f} MB an hour"
            times = f"{statistics.median(took):7.3f} s ({statistics.median(used):.3f} s of CPU)"
            print(f"  {what:22} {times} {size / 1024:10.1f} KB {hour}")


def timed(what: str, work: Callable[[], object]) -> None:
    """Print what some work costs."""
    begun = time.process_time()
    work()
    print(f"  {what:22} {time.process_time() - begun:7.3f} s")


def api_node(place: int) -> ApiNode:
    """Return a node as a cloud has them: with a dozen labels, each of them the only one of its name."""
    labels = {f"cloud.example/label-{number}": f"value-{place % (number + 2)}" for number in range(10)}
    name = f"ip-10-{place // 250}-{place % 250}.internal"
    own = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{place % 3}"}
    return ApiNode.model_validate(
        {
            "metadata": {"name": name, "labels": labels | own},
            "status": {
                "allocatable": {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
    )


def pod_on(place: int, turn: int) -> Pod:
    """Return somebody's pod; in each turn it has another size."""
    containers = [{"name": "c", "resources": {"requests": {"cpu": f"{100 + turn}m"}}}]
    spec = {"nodeName": api_node(place).metadata.name, "containers": containers}
    return Pod.model_validate({"metadata": {"name": f"p{place}"}, "spec": spec, "status": {"phase": "Running"}})


def wal(db: Database) -> int:
    """Return how many bytes were written to the log in all."""
    return int(db.call(lambda conn: conn.execute(_WRITTEN).scalar_one()))


def resident() -> int:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run the parts that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], "bind", "watch", "follow", "snapshot"], default=[])
    parser.add_argument("--nodes", type=int, default=SNAPSHOT_NODES, help="of the snapshot")
    parser.add_argument("--pods", type=int, default=1000)
    given = parser.parse_args()
    cluster = bool(os.environ.get("KUBECONFIG"))
    parts = given.parts or (["bind", "watch", "snapshot"] if cluster else ["snapshot"])
    if cluster and not given.parts and os.environ.get("ASSAY_BENCH_LOG"):
        parts.insert(2, "follow")
    if not cluster:
        print("no cluster in KUBECONFIG: bind and watch are left out")
    print(load())
    if "bind" in parts:
        bind(given.pods)
    if "watch" in parts:
        watch(given.pods)
    if "follow" in parts:
        follow(FOLLOWED)
    if "snapshot" in parts:
        snapshot(given.nodes)


if __name__ == "__main__":
    main()
