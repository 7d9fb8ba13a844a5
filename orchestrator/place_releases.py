"""Runs that end in one transaction: their places are freed, and who waits for their ends is told, once for all."""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from db import gate, listen
from model.ids import ExecutionId


@dataclass(slots=True)
class PlaceReleases:
    """The places that a transaction gives up, each under its epoch."""

    places: list[tuple[ExecutionId, int]] = field(default_factory=list)

    def add(self, execution_id: ExecutionId, epoch: int) -> None:
        """Give up one more."""
        self.places.append((execution_id, epoch))

    def carry_out(self, conn: Connection) -> None:
        """Free them all, before the transaction commits."""
        if self.places:
            gate.release_many(conn, self.places)
            listen.notify_all(conn, [f"ended:{execution_id}" for execution_id, _ in self.places])
