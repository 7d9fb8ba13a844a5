"""What the referee sees of a pool of the gate: rows before a pass, and after it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from properties.ageing_rows import AGED, EXPERIMENTS, PLACE, PLENTY, SLOT
from properties.referee import Ruling, Told
from properties.sight import Asked, Held, Most, Place, Scene, Shares

DRIFT = 0.01
"""Shares decay while a test runs, by less than this."""
ROWS = f"""
SELECT q.*, {PLACE} AS key, {AGED} AS aged,
    q.not_before IS NULL OR q.not_before <= clock_timestamp() AS due, p.strategy, {SLOT} AS slot,
    EXISTS (SELECT FROM workers w
        WHERE w.pool = q.pool AND NOT w.draining AND w.expires_at > clock_timestamp()) AS served,
    (SELECT d.record ->> 'code' FROM decisions d WHERE d.execution_id = q.execution_id
     ORDER BY d.number DESC LIMIT 1) AS code
FROM queue q JOIN pools p ON p.name = q.pool ORDER BY q.seq
"""
NODES = "SELECT name, cpu_milli, gpu, pods, ready FROM nodes WHERE pool = :pool"
POOL = "SELECT * FROM pools WHERE name = :pool"
USAGE = "SELECT owner_id, usage FROM fair_usage WHERE pool = :pool"
WEIGHTS = "SELECT team_id AS id, weight FROM teams UNION ALL SELECT user_id, weight FROM users"


def scene(gate_db: Any, pool: str, limits: Mapping[Any, Most]) -> Scene:
    """Return a pool before a pass; `limits` are less what other pools use."""
    rows, nodes = gate_db.sql(ROWS), gate_db.sql(NODES, pool=pool)
    real = {node.name: (node.cpu_milli, node.gpu, node.pods) for node in nodes if node.ready}
    settings = gate_db.sql(POOL, pool=pool)[0]
    held = [row for row in rows if row.state == "admitted"]
    here = [row for row in rows if row.pool == pool and row.state == "waiting" and row.due]
    return Scene(
        nodes=real | {EXPERIMENTS: (PLENTY, PLENTY, settings.max_concurrent_experiments)},
        holding=[_held(row) for row in held if row.pool == pool],
        limits=limits,
        waiting={row.execution_id: _asked(row, frozenset(real)) for row in here},
        taken=frozenset(name for row in held if row.pool != pool for name in row.exclusive),
        reserved=[(_place(row, rows), _reserved(row)) for row in rows if row.pool != pool and _keeps(row)],
        shares=_shares(gate_db, pool, settings, nodes) if settings.strategy == "FAIR_SHARE" else None,
        close=DRIFT,
    )


def ruling(gate_db: Any, pool: str, before: Scene, admitted: Iterable[Any]) -> Ruling:
    """Return what a pass decided that wrote all reasons.

    It told whoever has a position; and all that are aged, if there was a place at all. What the others were told may be
    of another pass.
    """
    settings, most = gate_db.sql(POOL, pool=pool)[0], before.limits[pool][0]
    looked = settings.preemption or most is None or sum(held.slot for held in before.holding) < most
    rows = [row for row in gate_db.sql(ROWS) if row.pool == pool]
    waits = [row for row in rows if row.state == "waiting" and row.due]
    return Ruling(
        admitted=[(run.execution_id, run.node) for run in admitted],
        told={row.execution_id: Told(code=_code(row, aged=looked), node=row.nominated) for row in waits},
        stops=any(row.preempted_for is not None for row in rows),
    )


def _code(row: Any, *, aged: bool) -> str:
    return str(row.code) if row.position is not None or (row.aged and aged) else ""


def _owners(row: Any) -> tuple[Any, ...]:
    return (row.pool, row.user_id, row.team_id)


def _held(row: Any) -> Held:
    amounts = (row.cpu_milli, row.gpu, 1)
    names = frozenset(row.exclusive)
    return Held(amounts=amounts, owners=_owners(row), node=row.node, names=names, slot=row.slot)


def _keeps(row: Any) -> bool:
    """Return whether a run of another pool has something kept in all pools: written by its own pool's last pass."""
    return row.state == "waiting" and row.reserved_for is not None and bool(row.aged and row.due and row.served)


def _place(row: Any, rows: Sequence[Any]) -> Place:
    """Return the place of a run in the order: a group has that of the first of its members that may start."""
    mates = (one for one in rows if one.group_id == row.group_id and one.state == "waiting" and one.due)
    own = (row.key, row.seq)
    return own if row.group_id is None else min((one.key, one.seq) for one in mates)


def _reserved(row: Any) -> Held:
    amounts = (row.cpu_milli, row.gpu, 1)
    names = frozenset(row.exclusive)
    return Held(amounts=amounts, owners=tuple(row.reserved_for), node=None, names=names, slot=row.slot)


def _asked(row: Any, real: frozenset[str]) -> Asked:
    return Asked(
        run=row.execution_id,
        amounts=(row.cpu_milli, row.gpu, 1),
        owners=_owners(row),
        nodes=real if row.slot else frozenset({EXPERIMENTS}),
        aged=row.aged,
        place=(row.key, row.seq),
        chosen=row.nominated is not None,
        names=frozenset(row.exclusive),
        group=row.group_id,
        slot=row.slot,
    )


def _shares(gate_db: Any, pool: str, settings: Any, nodes: Sequence[Any]) -> Shares:
    most = settings.max_concurrent_tests
    return Shares(
        usage={row.owner_id: row.usage for row in gate_db.sql(USAGE, pool=pool)},
        weights={row.id: row.weight for row in gate_db.sql(WEIGHTS)},
        penalty=1 - 0.5 ** (settings.scheduling_interval_seconds / settings.half_life_seconds),
        totals=(
            min(sum(node.pods for node in nodes), most),
            sum(node.cpu_milli for node in nodes),
            sum(node.gpu for node in nodes),
        ),
    )
