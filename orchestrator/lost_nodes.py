"""What becomes of runs whose node has no live worker: they stay, until the node is lost or a person forgets it.

observe    count for how long each backend has had no live worker, by observed time (scheduler/values/absence.py)
give_up    one run of a backend that is lost: its attempt failed with the node, and it is tried elsewhere
forget     a node that will not come back: all its runs are given up at once, and the node is removed (010.7)

The epoch is raised first, so that a worker that comes back late changes nothing more (010.8).
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from db import backends, nodes, pools, runs, workers
from db.backends import Placed
from db.errors import ConflictError, NotFoundError
from db.gate import queue
from db.gate.queue import Requeue
from db.nodes import Reach
from db.runs import Run
from model import fault
from model.claims import is_exclusive
from model.execution import Status
from model.ids import BackendName, ExecutionId, NodeName, PoolName
from orchestrator import lifecycle
from orchestrator.lifecycle import Grant
from orchestrator.submit_feasibility import empty_pool
from scheduler.placement.ask import Ask
from scheduler.placement.filter_reasons import impossible
from scheduler.values.absence import observe as count


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Why runs of a backend are given up. `forgotten`: a person says that nothing of them runs any more.

    `node` is the one that is lost, if it is not the whole backend: its cluster has a worker, and says that it is away.
    """

    pool: PoolName
    backend: BackendName
    why: str
    forgotten: bool = False
    node: NodeName | None = None


def observe(conn: Connection, pool: PoolName, lost_after: timedelta) -> list[Loss]:
    """Look at the backends of a pool; return those that have been without a live worker for long enough to be lost.

    The nodes of a cluster that was removed leave the pool, once nobody serves them and no run is placed there (013.16).
    """
    lost = []
    for found in backends.look(conn, pool):
        if found.removed and not found.served and not backends.placed(conn, pool, found.name):
            _take_out(conn, pool, found.name)
            continue
        absence = None if found.served else count(found.absence, found.look)
        if absence != found.absence:
            backends.note(conn, pool, found.name, absence)
        if absence is not None and absence.counted >= lost_after:
            why = f"no live worker served it for {absence.counted.total_seconds():.0f} s"
            lost.append(Loss(pool=pool, backend=found.name, why=why))
    return lost


def give_up(conn: Connection, loss: Loss, execution_id: ExecutionId) -> bool:
    """Give up the place of one run on a lost backend; False where it stays there.

    A run whose test began stays while no other live node could take it, and always if it has exclusive names: its test
    may still be using them (010.6).
    """
    row = runs.lock(conn, execution_id)
    place = backends.place(conn, execution_id, loss.backend)
    if row is None or row.status.terminal or place is None or _is_there(conn, loss, place):
        return False
    began = row.status is Status.RUNNING
    if began and not loss.forgotten and not _may_be_given_up(conn, loss, row, place):
        return False
    epoch = queue.fence_off(conn, execution_id)
    if epoch is None:
        return False
    if not began:
        return queue.requeue(conn, execution_id, epoch, Requeue())
    _fail(conn, Grant(execution_id=execution_id, epoch=epoch, node=place.node), loss)
    return True


def forget(conn: Connection, pool: PoolName, name: NodeName) -> int:
    """Remove a node, and give up all that is placed there; return how many runs that were.

    Raises: NotFoundError for the pool or the node; ConflictError while a live worker serves the node.
    """
    pools.read(conn, pool)
    node = next((node for node in nodes.read(conn, pool) if node.name == name), None)
    if node is None:
        raise NotFoundError("node", name)
    if backends.is_served(conn, pool, node.backend):
        raise ConflictError(f"a live worker serves node {name}: stop that worker first")
    loss = Loss(pool=pool, backend=node.backend, why="it was removed by `assay nodes forget`", forgotten=True)
    given_up = [give_up(conn, loss, run) for run in backends.placed(conn, pool, node.backend, name)]
    nodes.forget(conn, pool, [name])
    backends.drop(conn, pool, node.backend)
    return sum(given_up)


def _take_out(conn: Connection, pool: PoolName, backend: BackendName) -> None:
    """Take all nodes of a backend out of a pool."""
    nodes.forget(conn, pool, [node.name for node in nodes.read(conn, pool) if node.backend == backend])
    backends.drop(conn, pool, backend)


def _is_there(conn: Connection, loss: Loss, place: Placed) -> bool:
    """Return whether the place is not lost after all: it is on another node, or a worker has come back."""
    if loss.node is not None:
        return place.node != loss.node
    return backends.is_served(conn, loss.pool, loss.backend)


def _may_be_given_up(conn: Connection, loss: Loss, row: Run, place: Placed) -> bool:
    if any(is_exclusive(entry) for entry in place.exclusive):
        return False
    return row.cancel_requested or _fits_elsewhere(conn, loss.pool, place)


def _fits_elsewhere(conn: Connection, pool: PoolName, place: Placed) -> bool:
    """Return whether a node that a live worker serves could take the run if nothing else ran there."""
    empty = empty_pool(conn, pool)
    node_usage, _ = nodes.node_usage(conn, pool, reach=Reach(served=workers.served(conn, pool)))
    ask = Ask(shape=place.shape, limits=empty.limits, labels=place.labels)
    return impossible(node_usage, ask) is None


def _fail(conn: Connection, grant: Grant, loss: Loss) -> None:
    """End the open attempt as lost with its node. Then the run is tried again, or ends."""
    verdict = fault.NODE_LOST.verdict(f"node {grant.node} was lost: {loss.why}")
    lifecycle.abandon(conn, grant, verdict)
