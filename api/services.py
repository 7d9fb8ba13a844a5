"""What a request may use: the stores, the clock, the randomness. Wired once in `api.app`."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random, SystemRandom
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from api.settings import Settings
from db import gate
from db.engine import Database
from model.ids import PoolName, uuid7
from model.ports import Artifacts, Contents, Logs

_log = logging.getLogger(__name__)


class Passes:
    """Gate passes after a change, in one thread: while one waits to run, further wishes for its pool are the same."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gate")
        self._wanted: set[PoolName] = set()
        self._lock = threading.Lock()

    def want(self, pool: PoolName) -> None:
        """Try a pass soon. The request does not wait for it, and workers try too: a failure here costs a second."""
        with self._lock:
            if pool in self._wanted:
                return
            self._wanted.add(pool)
        self._thread.submit(self._run, pool)

    def close(self) -> None:
        """Finish the pass that runs and forget the others."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _run(self, pool: PoolName) -> None:
        with self._lock:
            self._wanted.discard(pool)
        try:
            self._database.call(lambda conn: gate.run_pass(conn, pool, blocking=True))
        except Exception:  # noqa: BLE001  whatever it is, the request was committed and a worker tries again
            _log.warning("a gate pass of the pool %s failed; a worker will try again", pool, exc_info=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that outlives a request."""

    settings: Settings
    database: Database
    logs: Logs
    artifacts: Artifacts
    contents: Contents
    passes: Passes
    random: Random = field(default_factory=SystemRandom)

    def now(self) -> datetime:
        """Read the clock."""
        return datetime.now(UTC)  # noqa: TID251  the wiring of this process

    def new_id(self) -> UUID:
        """Make an identifier."""
        return uuid7(self.now(), self.random)


def of(request: Request) -> Services:
    """Return the services of the application that serves `request`."""
    services: Services = request.app.state.services
    return services


Here = Annotated[Services, Depends(of)]
