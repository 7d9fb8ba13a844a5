"""Where all members of a group could be at once: a node for each.

Not all ways are tried. Whoever has the fewest nodes to choose from comes first, and of these the largest, to the node
where it leaves least; or, where that is asked for, to the one that will be free soonest.
"""

import numpy as np

from model.ids import ExecutionId
from scheduler.admission.equivalence_classes import Members
from scheduler.placement.ask import Ask
from scheduler.placement.node_filter import able, fits
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.placement import choose, lacking, undisturbed
from scheduler.values.node_arrays import Amounts, Columns, Mask, NodeColumns, Numbers, vector
from scheduler.values.run import Queued, Shape


def find_nodes(room: NodeUsage, members: Members, near: NodeUsage | None = None) -> NodeColumns | None:
    """Return nodes on which all members find room at once; None where none were found.

    `near`: the nodes as they are used now; those come first that lack least of what a member needs.
    """
    able_of = _able_of(room, members)
    if not _enough(room, members, able_of):
        return None
    soonest = None if near is None else _fill(room, members, able_of, near)
    return soonest or _fill(room, members, able_of) or _one_by_one(room, members)


def fit(room: NodeUsage, members: Members, columns: NodeColumns) -> bool:
    """Return whether all members find room at once, each on the node that it has."""
    able_of = _able_of(room, members)
    if not all(able_of[run.shape][column] for (_, run), column in zip(members, columns, strict=True)):
        return False
    if all(run_class.ask.free for run_class, _ in members):
        return _hold(room, members, columns)
    room, at = room.copy(), dict(zip((run.execution_id for _, run in members), columns, strict=True))
    for run_class, run in _hardest_first(members, able_of):
        if not _open(room, run_class.ask, able_of)[at[run.execution_id]]:
            return False
        _occupy(room, run, at[run.execution_id])
    return True


def _able_of(room: NodeUsage, members: Members) -> dict[Shape, Mask]:
    asks = {run_class.ask.shape: run_class.ask for run_class, _ in members}
    return {shape: able(room.node_table, ask) for shape, ask in asks.items()}


def _hold(room: NodeUsage, members: Members, columns: NodeColumns) -> bool:
    """Return whether nodes have room for all that sit there."""
    shapes = {run.shape: vector(run.shape.resources) for _, run in members}
    wanted = np.zeros_like(room.free.T)
    np.add.at(wanted, list(columns), [shapes[run.shape] for _, run in members])
    return not bool(((wanted > 0) & (wanted > room.free.T)).any())


def _enough(room: NodeUsage, members: Members, able_of: dict[Shape, Mask]) -> bool:
    """Return whether there is room for all members of each shape, if there were no other shapes: else why try."""
    wanted: dict[Shape, int] = {}
    for _, run in members:
        wanted[run.shape] = wanted.get(run.shape, 0) + 1
    return all(_places(room.free[:, able_of[shape]], shape) >= number for shape, number in wanted.items())


def _places(free: Amounts, shape: Shape) -> int:
    request = vector(shape.resources)
    asked = request > 0
    each = np.maximum(free[asked], 0) // request[asked, None]
    return int(each.min(axis=0).sum())


def _hardest_first(members: Members, able_of: dict[Shape, Mask]) -> Members:
    order = {
        shape: (int(mask.sum()), [-amount for amount in vector(shape.resources).tolist()])
        for shape, mask in able_of.items()
    }
    return sorted(members, key=lambda one: (*order[one[1].shape], one[1].seq, one[1].execution_id))


def _fill(
    room: NodeUsage, members: Members, able_of: dict[Shape, Mask], near: NodeUsage | None = None
) -> NodeColumns | None:
    room, near = room.copy(), None if near is None else near.copy()
    at: dict[ExecutionId, int] = {}
    for run_class, run in _hardest_first(members, able_of):
        columns = np.flatnonzero(_open(room, run_class.ask, able_of))
        if not len(columns):
            return None
        waits = np.zeros(len(columns)) if near is None else _waits(near, run_class.ask, columns)
        best = np.lexsort((columns, _over(room, run_class.ask, columns), waits))[0]
        column = at[run.execution_id] = int(columns[best])
        _occupy(room, run, column)
        if near is not None:
            _occupy(near, run, column)
    return [at[run.execution_id] for _, run in members]


def _one_by_one(room: NodeUsage, members: Members) -> NodeColumns | None:
    """Return the nodes that a pass would choose on these."""
    room = room.copy()
    columns: list[int] = []
    for run_class, run in members:
        placed = choose(room, run_class.ask, run.execution_id)
        if not placed:
            return None
        columns.append(room.place[placed[0].node])
        _occupy(room, run, columns[-1])
    return columns


def _open(room: NodeUsage, ask: Ask, able_of: dict[Shape, Mask]) -> Mask:
    """Return which nodes take a run now."""
    return able_of[ask.shape] & fits(room.free, vector(ask.shape.resources)) & undisturbed(room, ask)


def _over(room: NodeUsage, ask: Ask, columns: Columns) -> Numbers:
    """Return how much of each node would be left over, of what the run needs most of in it."""
    request = vector(ask.shape.resources)[:, None]
    share = request / np.maximum(room.capacity[:, columns], 1)
    left = (room.free[:, columns] - request) / np.maximum(room.capacity.max(axis=1, keepdims=True), 1)
    return np.asarray(np.take_along_axis(left, share.argmax(axis=0)[None], axis=0)[0])


def _waits(near: NodeUsage, ask: Ask, columns: Columns) -> Numbers:
    """Return how far each node is from taking a run: what it lacks; one more where other runs close it."""
    shut = ~undisturbed(near, ask)[columns]
    return lacking(near, ask, columns) + shut


def _occupy(room: NodeUsage, run: Queued, column: int) -> None:
    room.take(room.nodes[column].name, run.shape.resources, 1, run.labels)
