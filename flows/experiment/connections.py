"""Opens the connections of an experiment from their rows. What must work without Prefect is never read from a block."""

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.observation.alertmanager import Alertmanager, AlertmanagerAccess
from cluster.observation.incidents import IncidentAccess, IncidentService
from cluster.observation.metrics import MetricsSource
from cluster.observation.prometheus import PrometheusAccess, PrometheusSource
from cluster.observation.webhook import Webhook, WebhookAccess
from db import chaos_connections
from db.chaos_connections import ChaosConnection, ConnectionKind
from flows.experiment.run import ExperimentRun
from model.ports import SecretError, Secrets

DEFAULT = "default"
"""The name of the Prometheus that is asked where none has the name of the cluster or environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """All connections by name, and the store that has their tokens."""

    rows: Mapping[str, ChaosConnection]
    secrets: Secrets

    def metrics(self, name: str) -> MetricsSource:
        """Open a Prometheus. Raises: SecretError."""
        row = self.rows[name]
        tenant = row.options.get("tenant")
        access = PrometheusAccess(url=row.url, token=self._token(row), tenant=str(tenant) if tenant else None)
        return PrometheusSource(access)

    def incidents(self, name: str) -> IncidentService:
        """Open an incident service. Raises: SecretError."""
        row = self.rows[name]
        return IncidentService(IncidentAccess(url=row.url, token=self._token(row) or ""))

    def webhook(self, name: str) -> Webhook:
        """Open a webhook. Raises: SecretError."""
        row = self.rows[name]
        signing = row.options.get("signingSecret")
        key = self.secrets.resolve(str(signing)) if signing else None
        return Webhook(WebhookAccess(url=row.url, token=self._token(row), signing=key))

    def alertmanagers(self) -> tuple[tuple[Alertmanager, ...], tuple[str, ...]]:
        """Open all Alertmanagers: each instance of a group must get each alert. Also return why others are not told."""
        opened, problems = [], []
        for row in self.rows.values():
            if row.kind is not ConnectionKind.ALERTMANAGER:
                continue
            try:
                opened.append(Alertmanager(AlertmanagerAccess(url=row.url, token=self._token(row))))
            except SecretError as error:
                problems.append(f"the Alertmanager {row.name} is not told: {error}")
        return tuple(opened), tuple(problems)

    def prometheus_of(self, place: str | None) -> str | None:
        """Return the name of the Prometheus of a cluster or environment, None if none is connected."""
        found = {name for name, row in self.rows.items() if row.kind is ConnectionKind.PROMETHEUS}
        return next((name for name in (place, DEFAULT) if name in found), None)

    def _token(self, row: ChaosConnection) -> str | None:
        return self.secrets.resolve(row.secret) if row.secret else None


async def connections_of(run: ExperimentRun) -> Connections:
    """Read the connections as they are now."""
    rows = await run.context.db.run_patiently(chaos_connections.read)
    return Connections(rows={row.name: row for row in rows}, secrets=run.context.secrets)
