"""Writes down the nodes of backends: what decides where a run may be at once, amounts alone now and then."""

from collections.abc import Sequence
from functools import partial

from db import nodes
from db.engine import Database
from db.nodes import Recorded
from model.ids import BackendName, PoolName
from scheduler.values.node import Node, differ_in_amounts_only

AMOUNT_SECONDS = 10.0
"""How often nodes are written where only amounts have changed: on a busy cluster they always have."""


class NodeRecorder:
    """Remembers what it wrote last of each backend of a pool, so that what has not changed is not even read."""

    def __init__(self, db: Database, pool: PoolName) -> None:
        self._db = db
        self._pool = pool
        self._last: dict[BackendName, Recorded] = {}
        self._at: dict[BackendName, float] = {}

    async def record(self, of: BackendName, facts: Sequence[Node], now: float) -> None:
        """Write down all nodes of a backend, as they are at `now`: seconds of any clock that only goes on."""
        last = self._last.get(of)
        soon = now - self._at.get(of, float("-inf")) < AMOUNT_SECONDS
        if last is not None and soon and last.facts != facts and differ_in_amounts_only(last.facts, facts):
            return
        record = partial(nodes.record_all, pool=self._pool, of=of, facts=facts, last=last)
        written = await self._db.run(record)
        if written is not None and written is not last:
            self._last[of], self._at[of] = written, now
