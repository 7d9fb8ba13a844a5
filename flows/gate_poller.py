"""The gate's pulse in a worker: a pass as often as the pool says, and within a second whenever one is due.

`schedulingIntervalSeconds` is how seldom a pass may be made while nothing has happened. It holds up nobody.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy import Connection

from db import gate, gate_due
from db.engine import Database
from db.gate import PassOutcome
from db.gate_due import Marks
from model.ids import PoolName

LONGEST = timedelta(seconds=1)
"""Between two looks at whether a pass is due."""


class GatePoller:
    """Makes the passes of one worker that nobody asks for. `again` makes one that waits for those of other pools."""

    def __init__(self, db: Database, pool: PoolName, again: Callable[[], Awaitable[None]]) -> None:
        self._db = db
        self._pool = pool
        self._again = again
        self._seen: Marks | None = None
        self._passed_at = 0.0

    async def beat(self, now: float) -> timedelta:
        """Make a pass if one is due at `now`, in seconds of a clock that never goes back; return until the next look.

        Another's pass that is under way may have begun before what is due happened: then it stays due. So it does where
        another pool's pass was in the way of somebody; that one is looked at again at once besides.
        """
        marks = await self._db.run(self._read)
        outcome = await self._db.run(self._pass) if self._due(marks, now) else None
        if outcome is not None:
            self._seen, self._passed_at = None if outcome.again else marks, now
            if outcome.again:
                await self._again()
        return min(marks.interval, LONGEST)

    def _due(self, marks: Marks, now: float) -> bool:
        rested = now - self._passed_at >= marks.interval.total_seconds()
        return rested or marks.restless or self._seen is None or marks != self._seen

    def _read(self, conn: Connection) -> Marks:
        return gate_due.read(conn, self._pool)

    def _pass(self, conn: Connection) -> PassOutcome | None:
        return gate.run_pass(conn, self._pool)
