"""Makes the periodic passes of the gate in a worker: after the interval of the pool, or within a second if one is due.

`schedulingIntervalSeconds` is the longest time between two passes while nothing happens. It delays no run.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy import Connection

from db.engine import Database
from db.gate import change_detection
from db.gate.change_detection import Fingerprint
from model.ids import PoolName
from orchestrator import admission
from orchestrator.admission import PassOutcome

LONGEST = timedelta(seconds=1)
"""The time between two checks of whether a pass is due."""


class GatePoller:
    """Makes the periodic passes of one worker. `again` makes a pass that waits for the passes of other pools."""

    def __init__(self, db: Database, pool: PoolName, again: Callable[[], Awaitable[None]]) -> None:
        self._db = db
        self._pool = pool
        self._again = again
        self._seen: Fingerprint | None = None
        self._passed_at = 0.0

    async def beat(self, now: float) -> timedelta:
        """Make a pass if one is due at `now`, in seconds of a monotonic clock. Returns: the time until the next check.

        If another worker's pass is under way, it may have begun before the change, so a pass stays due. If a pass had
        to skip runs because another pool was deciding about them, a pass stays due, and one more is made at once.
        """
        found = await self._db.run(self._read)
        outcome = await self._db.run(self._pass) if self._due(found, now) else None
        if outcome is not None:
            self._seen, self._passed_at = None if outcome.again else found, now
            if outcome.again:
                await self._again()
        return min(found.interval, LONGEST)

    def _due(self, found: Fingerprint, now: float) -> bool:
        rested = now - self._passed_at >= found.interval.total_seconds()
        return rested or found.restless or self._seen is None or found != self._seen

    def _read(self, conn: Connection) -> Fingerprint:
        return change_detection.read(conn, self._pool)

    def _pass(self, conn: Connection) -> PassOutcome | None:
        return admission.request(conn, self._pool)
