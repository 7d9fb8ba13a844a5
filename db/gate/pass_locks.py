"""The locks of the gate, in the order in which they are always taken.

    next    of a pool, by try only. Its holder will make the next pass, and has not begun to read
    owner   of users, teams and exclusive names, in order of key. Only if there are several pools, since limits and
            names hold over all of them
    run     of a pool. Held from before the first read of a pass until its decisions are committed
    enter   of a pool. Shared by all who enqueue, until they commit; exclusive, by try only, for whoever raises the
            watermarks (queue_watermarks)

A committed change needs one pass that begins to read after it. If a caller finds `next` taken, it may go, because the
holder of `next` has not read yet. So if many callers come at once, one makes a pass, one waits, the others go, and no
change is overlooked. `next` is a lock of the session, since it is given back in the middle of a transaction. The other
locks end with the transaction, or with the connection.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from db.locks import Lock, lock_key
from db.prepared import Prepared
from db.sql_text import statement
from model.claims import path_of
from model.ids import PoolName

PATIENCE = "5s"
"""How long a caller waits for a pass that takes milliseconds. After that it leaves the pass to the workers."""

_LOCK_NOT_AVAILABLE = "55P03"

_TURN = Prepared("""
SELECT CASE
    WHEN pg_current_xact_id_if_assigned() IS NOT NULL THEN CASE
        WHEN (SELECT count(*) > 1 FROM pools) THEN 'own'
        WHEN pg_try_advisory_xact_lock(:run, :pool) THEN 'run'
        ELSE 'own'
    END
    WHEN NOT pg_try_advisory_lock(:next, :pool) THEN 'served'
    WHEN (SELECT count(*) > 1 FROM pools) THEN 'next'
    WHEN NOT pg_try_advisory_xact_lock(:run, :pool) THEN 'next'
    WHEN pg_advisory_unlock(:next, :pool) THEN 'run'
END AS turn
""")
_TRY_RUN = statement("SELECT pg_try_advisory_xact_lock(:run, :pool)")
_WAIT_RUN = statement("SELECT set_config('lock_timeout', :patience, true), pg_advisory_xact_lock(:run, :pool)")
_UNLOCK_NEXT = statement("SELECT pg_advisory_unlock(:next, :pool)")
_WAIT_OWNERS = statement("""
SELECT set_config('lock_timeout', :patience, true), pg_advisory_xact_lock(:owner, key)
FROM unnest(CAST(:keys AS int[])) AS key
""")
_TRY_OWNERS = statement("""
SELECT key FROM unnest(CAST(:keys AS int[])) AS key WHERE pg_try_advisory_xact_lock(:owner, key)
""")

Claims = Callable[[], Iterable[str]]


def owner_claim(owner: UUID) -> str:
    """Return the name of the lock of a user or a team."""
    return owner.hex


def name_claim(name: str) -> str:
    """Return the name of the lock that decides over an entry of a claim: only those of one path conflict."""
    return f"name {path_of(name)}"


def try_pass(conn: Connection, pool: PoolName) -> bool:
    """Lock the pool if its lock is free."""
    return bool(conn.execute(_TRY_RUN, {"run": Lock.RUN, "pool": lock_key(pool)}).scalar_one())


def wait_pass(conn: Connection, pool: PoolName, claims: Claims) -> bool:
    """Lock the pool, and wait for its lock. False: another pass will read what was committed before this call.

    A transaction that has written something waits in any case, since no other pass can read what is not committed.
    `claims` returns the locks of the owners and names. It is called only if there are several pools.
    """
    ids = {"run": Lock.RUN, "next": Lock.NEXT, "pool": lock_key(pool)}
    turn = _TURN.execute(conn, ids)[0].turn
    if turn in {"run", "served"}:
        return bool(turn == "run")
    if turn == "own":
        return _wait(conn, pool, claims)
    with _given_back(conn, ids):
        return _wait(conn, pool, claims)


def try_claims(conn: Connection, claims: Iterable[str]) -> set[str]:
    """Return those of `claims` whose locks were free. It never waits, so it may come after the lock of the pool."""
    keys = {claim: lock_key(claim) for claim in claims}
    taken = set(conn.execute(_TRY_OWNERS, {"owner": Lock.OWNER, "keys": sorted(set(keys.values()))}).scalars())
    return {claim for claim, key in keys.items() if key in taken}


def hold_all(conn: Connection, pools: Iterable[PoolName]) -> None:
    """Lock all these pools until the transaction ends, so that no pass of them is made."""
    for key in sorted({lock_key(pool) for pool in pools}):
        conn.execute(_WAIT_RUN, {"patience": "30s", "run": Lock.RUN, "pool": key})


def _wait(conn: Connection, pool: PoolName, claims: Claims) -> bool:
    keys = sorted({lock_key(claim) for claim in claims()})
    try:
        with conn.begin_nested():
            if keys:
                conn.execute(_WAIT_OWNERS, {"patience": PATIENCE, "owner": Lock.OWNER, "keys": keys})
            conn.execute(_WAIT_RUN, {"patience": PATIENCE, "run": Lock.RUN, "pool": lock_key(pool)})
    except OperationalError as exc:
        if getattr(exc.orig, "pgcode", None) == _LOCK_NOT_AVAILABLE:
            return False
        raise
    return True


@contextmanager
def _given_back(conn: Connection, ids: dict[str, int]) -> Iterator[None]:
    """Give `next` back. On any error the session is closed, which frees its locks."""
    try:
        yield
        conn.execute(_UNLOCK_NEXT, ids)
    except BaseException:
        if not conn.invalidated:
            conn.invalidate()
        raise
