"""Show and change the settings of a pool."""

from sqlalchemy import Connection

from db import pools
from db.pools import Pool, PoolChange
from model.ids import PoolName


def show(conn: Connection, name: PoolName) -> Pool:
    """Return the settings of a pool. Raises: NotFoundError."""
    return pools.read(conn, name)


def change(conn: Connection, name: PoolName, wanted: PoolChange) -> Pool:
    """Change what is given; it counts from the next pass on. Raises: NotFoundError."""
    return pools.update_pool(conn, name, wanted)
