"""What the ghost of the starvation bound sees of the rows of the gate."""

from collections.abc import Callable
from typing import Any, TypeAlias

from properties.claim_checks import clash, names_of
from properties.starvation import Most, Party, Place, Seen, room, seatable

LimitsBeside: TypeAlias = Callable[[list[Place]], dict[Any, Most]]
"""Limits by owner, less what these use elsewhere."""

STEP = "CASE WHEN p.strategy = 'FIFO' THEN interval '0' ELSE make_interval(secs => p.ageing_limit_seconds) END"
"""How much later in the order each step of priority puts a run."""
KEY = f"q.enqueued_at + q.priority * {STEP}"
AGED = f"{KEY} <= clock_timestamp() - make_interval(secs => p.ageing_limit_seconds)"
PLACE = f"CAST(extract(epoch FROM {KEY}) * 1000000 AS bigint)"
SLOT = "CASE WHEN q.constraints ->> 'backend' = 'experiments' THEN 0 ELSE 1 END"
"""How many of the runs at once a run is: an experiment is none."""
PLACES = f"""
SELECT q.*, {PLACE} AS key, {AGED} AS aged,
    q.not_before IS NULL OR q.not_before <= clock_timestamp() AS due, {SLOT} AS slot,
    p.max_concurrent_experiments AS places,
    q.reason LIKE 'waits until %' OR EXISTS (SELECT FROM queue o WHERE o.preempted_for = q.execution_id) AS helped
FROM queue q JOIN pools p ON p.name = q.pool ORDER BY key, q.seq
"""
NODES = "SELECT name, cpu_milli FROM nodes WHERE pool = :pool AND ready"
EXPERIMENTS = "experiments"
"""The virtual node of experiments."""
PLENTY = 2**40


def look(gate_db: Any, pool: str, started: set[Any], limits_beside: LimitsBeside) -> Seen:
    """Return a pool as the ghost of the starvation bound sees it, from the rows alone."""
    rows = gate_db.sql(PLACES)
    held = [row for row in rows if row.state == "admitted"]
    limits = limits_beside([place_of(row) for row in held if row.pool != pool])
    holding = {row.execution_id: place_of(row) for row in held if row.pool == pool}
    real = {row.name: row.cpu_milli for row in gate_db.sql(NODES, pool=pool)}
    capacity = real | {EXPERIMENTS: PLENTY}
    own = {owner: most for owner, most in limits.items() if owner != pool}
    names = {name for row in held for name in row.exclusive}
    candidates, claimed = list[Party](), set[Any]()
    for mates in _in_order(rows):
        party = tuple(place_of(row) for row in mates)
        claims = {claim for row in mates for claim in (row.user_id, row.team_id, *row.exclusive)}
        if mates[0].pool != pool:
            claimed |= claims if any(row.reserved_for is not None for row in mates) else set()
            continue  # it was there before, and what it keeps it keeps in all pools
        open_to = {row.execution_id: list(real) if row.slot else [EXPERIMENTS] for row in mates}
        if not (seatable(party, capacity, open_to) and room((), party, limits_beside([]))):
            continue  # it could never start, and keeps nothing
        bound = claims & claimed or clash(names_of(claimed), names_of(claims))
        if bound or any(row.helped or not row.aged for row in mates):
            break
        asked = [name for row in mates for name in row.exclusive]
        taken = clash(names, asked)
        if room(holding.values(), party, own) and not taken:
            candidates.append(party)
        elif len(mates) > 1:
            break  # what it keeps depends on which of them its owner's limit stops
        claimed |= claims
    return Seen(
        candidates=candidates,
        delayed={place.run for party in candidates for place in party},
        holding=holding,
        started=started,
        aged={row.execution_id for row in held if row.aged and row.execution_id in started},
        capacity=capacity,
        limits=limits,
    )


def _in_order(rows: list[Any]) -> list[list[Any]]:
    """Return the aged runs that wait, of all pools, in order, each with the other members of its group that do."""
    waiting = [row for row in rows if row.state == "waiting" and row.due]
    parties: dict[Any, list[Any]] = {}
    for row in waiting:
        parties.setdefault(row.group_id or row.execution_id, []).append(row)
    return [mates for mates in parties.values() if mates[0].aged]


def place_of(row: Any) -> Place:
    """Return what a row holds or asks for."""
    return Place(
        run=row.execution_id,
        rank=(row.key, row.seq),
        cpu=row.cpu_milli,
        owners=(row.pool, row.user_id, row.team_id),
        node=row.node if row.state == "admitted" else row.nominated,
        slot=row.slot,
    )
