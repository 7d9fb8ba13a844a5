"""Runs that end in one transaction: their places are freed together, and their ends are told together."""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from db import notices
from db.gate import queue
from model.ids import ExecutionId
from model.notices import Ended


@dataclass(slots=True)
class PlaceReleases:
    """The places that a transaction gives up, each under its epoch, and the ends of the runs that held them."""

    places: list[tuple[ExecutionId, int]] = field(default_factory=list)
    ends: list[Ended] = field(default_factory=list)

    def add(self, execution_id: ExecutionId, epoch: int, ended: Ended) -> None:
        """Give up one more place."""
        self.places.append((execution_id, epoch))
        self.ends.append(ended)

    def carry_out(self, conn: Connection) -> None:
        """Free them all, before the transaction commits."""
        if self.places:
            queue.release_many(conn, self.places)
            notices.tell(conn, self.ends)
