"""What experiments ask, as Prefect blocks: the forms from which rows of our table are written by `assay chaos connect`.

Workers read the rows, never the blocks, so that experiments and their way back do not depend on Prefect.
"""

from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field

REFERENCE = "env:NAME or file:/path, as the worker sees it; empty if it asks for none"


class Prometheus(Block):
    """A Prometheus, or what speaks its interface, that has the SLOs of experiments."""

    _block_type_name: ClassVar[str] = "Assay Prometheus"
    _block_type_slug: ClassVar[str] = "assay-prometheus"
    _description: ClassVar[str] = "Has the SLOs of experiments. Connect it by `assay chaos connect --block`."

    url: str = Field(max_length=2000, description="What stands before /api/v1, such as http://prometheus:9090")
    token_reference: str | None = Field(None, max_length=1000, description=REFERENCE)
    tenant: str | None = Field(None, max_length=200, description="The header X-Scope-OrgID of Mimir and Thanos")

    def row(self) -> dict[str, object]:
        """Return the body of `PUT /chaos/connections/NAME`."""
        secret, tenant = self.token_reference or None, self.tenant or None
        return {"kind": "prometheus", "url": self.url, "secret": secret, "tenant": tenant}


class IncidentService(Block):
    """An incident service with PagerDuty's REST interface."""

    _block_type_name: ClassVar[str] = "Assay Incident Service"
    _block_type_slug: ClassVar[str] = "assay-incident-service"
    _description: ClassVar[str] = "Is asked for open incidents and who is on call. `assay chaos connect --block`."

    url: str = Field("https://api.pagerduty.com", max_length=2000, description="The address of its interface")
    token_reference: str = Field(max_length=1000, description=REFERENCE)
    services: list[str] = Field(default_factory=list, description="Ids of services whose incidents count; none: all")
    policies: list[str] = Field(default_factory=list, description="Ids of escalation policies for onCall")

    def row(self) -> dict[str, object]:
        """Return the body of `PUT /chaos/connections/NAME`."""
        own = {"services": self.services, "policies": self.policies}
        return {"kind": "incidents", "url": self.url, "secret": self.token_reference, **own}


class Webhook(Block):
    """A webhook that is asked before a fault: 2xx agrees, 4xx refuses."""

    _block_type_name: ClassVar[str] = "Assay Webhook"
    _block_type_slug: ClassVar[str] = "assay-webhook"
    _description: ClassVar[str] = "Gets the targets of an experiment and agrees or not. `assay chaos connect --block`."

    url: str = Field(max_length=2000, description="Its address; it gets a POST with JSON")
    token_reference: str | None = Field(None, max_length=1000, description=REFERENCE)
    signing_reference: str | None = Field(
        None, max_length=1000, description=f"The secret by which messages are signed, whsec_...: {REFERENCE}"
    )

    def row(self) -> dict[str, object]:
        """Return the body of `PUT /chaos/connections/NAME`."""
        own = {"signingSecret": self.signing_reference or None}
        return {"kind": "webhook", "url": self.url, "secret": self.token_reference or None, **own}


class Alertmanager(Block):
    """An Alertmanager that is told while an experiment runs."""

    _block_type_name: ClassVar[str] = "Assay Alertmanager"
    _block_type_slug: ClassVar[str] = "assay-alertmanager"
    _description: ClassVar[str] = "Gets an alert while an experiment runs. `assay chaos connect --block`."

    url: str = Field(max_length=2000, description="What stands before /api/v2, such as http://alertmanager:9093")
    token_reference: str | None = Field(None, max_length=1000, description=REFERENCE)

    def row(self) -> dict[str, object]:
        """Return the body of `PUT /chaos/connections/NAME`."""
        return {"kind": "alertmanager", "url": self.url, "secret": self.token_reference or None}


BLOCKS: tuple[type[Prometheus | IncidentService | Webhook | Alertmanager], ...] = (
    Prometheus,
    IncidentService,
    Webhook,
    Alertmanager,
)
