"""Opens the Kubernetes clusters that a worker serves, as their rows appear: adding one needs no restart (013.14)."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cluster.backend import Backend, UnavailableError
from cluster.backend_factory import BackendSettings, ClusterSettings, open_cluster
from db import clusters
from db.clusters import ClusterRow
from db.engine import Database
from model.ids import BackendName
from orchestrator.cluster_settings import settings_of

EVERY = "*"
"""The name that stands for all clusters."""
NOT_CALLED = frozenset({EVERY})

log = logging.getLogger("assay.clusters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A cluster that is served, and the row that it was opened with."""

    settings: ClusterSettings
    backend: Backend


class ServedClusters:
    """The clusters that one worker serves, by name.

    A cluster that the worker's settings name is served as soon as it has a row. With `*` every other cluster is served
    too once it has answered, so that nothing is placed in a cluster that this worker cannot reach.
    """

    def __init__(self, db: Database, wanted: Collection[str], offered: BackendSettings) -> None:
        self._db = db
        self._wanted = frozenset(wanted)
        self._offered = offered
        self._opened: dict[str, Opened] = {}
        self._said: dict[str, str] = {}

    async def look(self, *, idle: bool) -> Mapping[BackendName, Backend]:
        """Open what is new; if the worker is `idle`, follow what has changed or is gone. Return all that are served."""
        rows = {row.name: row for row in await self._db.run(clusters.read)}
        for name in sorted(self._wanted - NOT_CALLED - rows.keys()):
            self._say(name, f"cluster {name} is not known yet: assay cluster add {name} ...")
        for name, row in rows.items():
            if name in self._opened:
                await self._renew(row, idle=idle)
            elif name in self._wanted or EVERY in self._wanted:
                await self._open(row)
        if idle:
            for name in sorted(self._opened.keys() - rows.keys()):
                self._drop(name)
        return {opened.backend.name: opened.backend for opened in self._opened.values()}

    def settings(self) -> Mapping[str, ClusterSettings]:
        """Return how to reach the clusters that are served, by name."""
        return {name: opened.settings for name, opened in self._opened.items()}

    async def _open(self, row: ClusterRow) -> None:
        """Serve a cluster by this row, instead of by an older one that it may have had."""
        settings = settings_of(row)
        backend = open_cluster(settings, self._offered)
        try:
            if row.name not in self._wanted:
                await backend.nodes()
        except UnavailableError as failed:
            backend.close()
            self._say(row.name, f"cluster {row.name} is not served by its row: {failed}")
        else:
            before = self._opened.get(row.name)
            self._opened[row.name] = Opened(settings=settings, backend=backend)
            if before is not None:
                before.backend.close()
            self._say(row.name, f"cluster {row.name} is served", level=logging.INFO)

    async def _renew(self, row: ClusterRow, *, idle: bool) -> None:
        """Open a cluster anew whose row has changed. A flow that runs keeps the one that it has begun with."""
        if self._opened[row.name].settings == settings_of(row):
            return
        if idle:
            await self._open(row)
        else:
            self._say(row.name, f"cluster {row.name} has changed: the new row is used once this worker runs nothing")

    def _drop(self, name: str) -> None:
        """Serve a cluster no longer that was removed."""
        self._opened.pop(name).backend.close()
        self._say(name, f"cluster {name} is served no longer", level=logging.INFO)

    def _say(self, name: str, words: str, *, level: int = logging.WARNING) -> None:
        """Log what has become of a cluster, once."""
        if self._said.get(name) != words:
            self._said[name] = words
            log.log(level, "%s", words)
