"""What the ghost of the starvation bound sees of the rows of the gate."""

from collections.abc import Callable
from typing import Any, TypeAlias

from properties.starvation import Most, Place, Seen, room

LimitsBeside: TypeAlias = Callable[[list[Place]], dict[Any, Most]]
"""Limits by owner, less what these use elsewhere."""

PLACES = """
SELECT q.*, q.enqueued_at <= clock_timestamp() - make_interval(secs => p.ageing_limit_seconds) AS aged,
    q.not_before IS NULL OR q.not_before <= clock_timestamp() AS due,
    q.reason LIKE 'waits until %' OR EXISTS (SELECT FROM queue o WHERE o.preempted_for = q.execution_id) AS helped
FROM queue q JOIN pools p ON p.name = q.pool ORDER BY q.seq
"""
NODES = "SELECT name, cpu_milli FROM nodes WHERE pool = :pool AND ready"


def look(house: Any, pool: str, started: set[Any], limits_beside: LimitsBeside) -> Seen:
    """Return a pool as the ghost of the starvation bound sees it, from the rows alone."""
    rows = house.sql(PLACES)
    held = [row for row in rows if row.state == "admitted"]
    limits = limits_beside([place_of(row) for row in held if row.pool != pool])
    holding = {row.execution_id: place_of(row) for row in held if row.pool == pool}
    capacity = {row.name: row.cpu_milli for row in house.sql(NODES, pool=pool)}
    names = {name for row in held for name in row.exclusive}
    candidates, claimed = list[Place](), set[Any]()
    for row in (row for row in rows if row.state == "waiting" and row.aged and row.due):
        place, claims = place_of(row), {row.user_id, row.team_id, *row.exclusive}
        if row.pool != pool:
            claimed |= claims if row.keeps is not None else set()
            continue  # it was there before, and what it keeps it keeps in all pools
        if place.cpu > max(capacity.values(), default=0) or not room((), place, limits_beside([])):
            continue  # it could never start, and keeps nothing
        if row.group_id or row.helped or claims & claimed:
            break
        own = {owner: most for owner, most in limits.items() if owner != pool}
        if room(holding.values(), place, own) and names.isdisjoint(row.exclusive):
            candidates.append(place)
        claimed |= claims
    return Seen(
        candidates=candidates,
        delayed={place.run for place in candidates},
        holding=holding,
        started=started,
        aged={row.execution_id for row in held if row.aged and row.execution_id in started},
        capacity=capacity,
        limits=limits,
    )


def place_of(row: Any) -> Place:
    """Return a run as the ghosts see it."""
    return Place(
        run=row.execution_id,
        seq=row.seq,
        cpu=row.cpu_milli,
        owners=(row.pool, row.user_id, row.team_id),
        node=row.node if row.state == "admitted" else row.nominated,
    )
